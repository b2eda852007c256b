//! Breadth-first search over the modelled world: the first violation found is a shortest one.

use std::hash::BuildHasherDefault;

use indexmap::IndexSet;
use rustc_hash::FxHasher;

use super::world::{Budget, Label, Mutant, State, World};

/// The result of a search.
pub struct Found {
    /// States reached.
    pub states: usize,
    /// The broken invariant, and a shortest path to it.
    pub violation: Option<(&'static str, Vec<String>)>,
    /// States from which no closed state is reachable: their number, and a shortest path to one of them.
    pub stuck: Option<(usize, Vec<String>)>,
}

/// Explores everything within the budget, or up to the first violation.
pub fn explore(budget: Budget, mutant: Option<Mutant>) -> Found {
    let mut world = World::new(budget, mutant);
    let first = world.first();
    // In the order of discovery, which is the order of a breadth-first search.
    let mut states: IndexSet<State, BuildHasherDefault<FxHasher>> = IndexSet::default();
    let mut came_from: Vec<Option<(u32, Label)>> = vec![None];
    let mut closed = vec![world.is_closed(&first)];
    // From, to.
    let mut edges: Vec<(u32, u32)> = Vec::new();
    states.insert(first);
    let mut here = 0;
    while let Some(state) = states.get_index(here as usize).cloned() {
        for (label, next) in world.steps(&state) {
            let has_changed = next.object.1 != state.object.1;
            let (there, is_new) = states.insert_full(world.tidied(next, has_changed));
            let at = u32::try_from(there).unwrap();
            edges.push((here, at));
            if is_new {
                let next = &states[there];
                came_from.push(Some((here, label)));
                closed.push(world.is_closed(next));
                if let Some(property) = world.broken(next) {
                    return Found {
                        states: states.len(),
                        violation: Some((property, trace(&came_from, at))),
                        stuck: None,
                    };
                }
            }
        }
        here += 1;
    }
    let stuck = stuck(closed, &edges);
    let first = stuck.first().and_then(|first| u32::try_from(*first).ok());
    let stuck = first.map(|first| (stuck.len(), trace(&came_from, first)));
    Found { states: states.len(), violation: None, stuck }
}

fn trace(came_from: &[Option<(u32, Label)>], mut at: u32) -> Vec<String> {
    let mut labels = Vec::new();
    while let Some((before, label)) = came_from[at as usize] {
        labels.push(label.to_string());
        at = before;
    }
    labels.reverse();
    labels
}

/// The states from which no closed one is reachable, by walking back from all closed ones.
fn stuck(mut reached: Vec<bool>, edges: &[(u32, u32)]) -> Vec<usize> {
    // The edges by their end: those that end in state n are `from[starts[n]..starts[n + 1]]`.
    let mut starts = vec![0_usize; reached.len() + 1];
    for &(_, to) in edges {
        starts[to as usize + 1] += 1;
    }
    for state in 0..reached.len() {
        starts[state + 1] += starts[state];
    }
    let (mut next, mut from) = (starts.clone(), vec![0_u32; edges.len()]);
    for &(before, to) in edges {
        from[next[to as usize]] = before;
        next[to as usize] += 1;
    }
    let mut open: Vec<usize> = (0..reached.len()).filter(|&state| reached[state]).collect();
    while let Some(state) = open.pop() {
        for &earlier in &from[starts[state]..starts[state + 1]] {
            if !std::mem::replace(&mut reached[earlier as usize], true) {
                open.push(earlier as usize);
            }
        }
    }
    (0..reached.len()).filter(|&state| !reached[state]).collect()
}
