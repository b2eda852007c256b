//! Breadth-first search over the modelled world: the first violation found is a shortest one.

use std::collections::{HashMap, VecDeque};

use super::world::{Budget, Mutant, State, World};

/// What a search found.
pub struct Found {
    /// States reached.
    pub states: usize,
    /// The law that was broken, and the shortest way there.
    pub violation: Option<(&'static str, Vec<String>)>,
    /// States from which no closed state can be reached any more.
    pub stuck: usize,
}

/// Explores everything within the budget, or up to the first violation.
pub fn explore(budget: Budget, mutant: Option<Mutant>) -> Found {
    let mut world = World::new(budget, mutant);
    let first = world.first();
    let mut index: HashMap<State, u32> = HashMap::from([(first.clone(), 0)]);
    let mut came_from: Vec<(u32, String)> = vec![(0, String::new())];
    let mut closed = vec![world.is_closed(&first)];
    let mut before: Vec<Vec<u32>> = vec![Vec::new()];
    let mut queue = VecDeque::from([first]);
    while let Some(state) = queue.pop_front() {
        let here = index[&state];
        for (label, next) in world.steps(&state) {
            let next = world.tidied(next);
            let there = u32::try_from(index.len()).unwrap();
            let there = *index.entry(next.clone()).or_insert(there);
            if there as usize == came_from.len() {
                came_from.push((here, label));
                closed.push(world.is_closed(&next));
                before.push(vec![here]);
                if let Some(law) = world.broken(&next) {
                    return Found { states: index.len(), violation: Some((law, trace(&came_from, there))), stuck: 0 };
                }
                queue.push_back(next);
            } else {
                before[there as usize].push(here);
            }
        }
    }
    Found { states: index.len(), violation: None, stuck: unreachable_from(&closed, &before) }
}

fn trace(came_from: &[(u32, String)], mut at: u32) -> Vec<String> {
    let mut labels = Vec::new();
    while at != 0 {
        let (before, label) = &came_from[at as usize];
        labels.push(label.clone());
        at = *before;
    }
    labels.reverse();
    labels
}

/// Counts the states from which no closed one can be reached, by walking back from all closed ones.
fn unreachable_from(closed: &[bool], before: &[Vec<u32>]) -> usize {
    let mut reached = closed.to_vec();
    let mut open: Vec<usize> = (0..closed.len()).filter(|&state| closed[state]).collect();
    while let Some(state) = open.pop() {
        for &earlier in &before[state] {
            if !std::mem::replace(&mut reached[earlier as usize], true) {
                open.push(earlier as usize);
            }
        }
    }
    reached.iter().filter(|reached| !**reached).count()
}
