//! The plans: every request of a run without faults, with every fault of its kind, and pairs drawn from that. It runs
//! none.

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use crate::fault_proxy::{
    Plan,
    plan::{Fault, Kind, Step},
};

/// How many requests of each kind a run without faults made.
#[derive(Clone, Debug, Default)]
pub struct Space(Vec<(Kind, u32)>);

impl Space {
    /// From the trace of such a run, where each request of the first operator stands as `1 put#2`.
    pub fn of(trace: &[String]) -> Self {
        let last = |kind: Kind| {
            let mark = format!(" 1 {}#", kind.word());
            let numbers = trace.iter().filter_map(|line| {
                let (_, rest) = line.split_once(&mark)?;
                rest.split(' ').next()?.parse::<u32>().ok()
            });
            numbers.max().unwrap_or_default()
        };
        let mut counts: Vec<_> = Kind::ALL.iter().map(|&kind| (kind, last(kind))).collect();
        // A connection has no line of its own; there is one for each read and each call. A plan with a fault at a list or a
        // watch has both in place of a streamed list.
        let (streams, requests) = (last(Kind::Stream), last(Kind::Look) + last(Kind::Call));
        for (kind, count) in &mut counts {
            *count += match kind {
                Kind::List | Kind::Watch => streams,
                Kind::Connect => requests,
                _ => 0,
            };
        }
        counts.retain(|&(_, count)| count > 0);
        Self(counts)
    }

    pub fn boundaries(&self) -> u32 {
        self.0.iter().map(|&(_, count)| count).sum()
    }

    pub fn counts(&self) -> &[(Kind, u32)] {
        &self.0
    }

    /// Every fault at every request.
    pub fn single(&self) -> Vec<Plan> {
        let mut plans = Vec::new();
        for &(kind, count) in &self.0 {
            for ordinal in 1..=count {
                for fault in kind.faults() {
                    plans.push(Plan::single(Step { kind, ordinal, fault }));
                }
            }
        }
        plans
    }

    /// Ordered pairs, half of them with two operators, the same ones for the same seed.
    pub fn pairs(&self, plans: usize, seed: u64) -> Vec<Plan> {
        let mut random = StdRng::seed_from_u64(seed);
        (0..plans)
            .map(|_| {
                let first = self.draw(&mut random, u32::MAX);
                // Counted from the first one's strike, after which fewer requests are left.
                let second = self.draw(&mut random, 2);
                Plan::of(vec![first, second], random.random_range(1..=2))
            })
            .collect()
    }

    fn draw(&self, random: &mut StdRng, most: u32) -> Step {
        let total: u32 = self.0.iter().map(|&(_, count)| count.min(most)).sum();
        let mut place = random.random_range(0..total.max(1));
        for &(kind, count) in &self.0 {
            let count = count.min(most);
            if place < count {
                let fault = kind.faults().choose(random).copied().unwrap_or(Fault::Reset);
                return Step { kind, ordinal: place + 1, fault };
            }
            place -= count;
        }
        Step { kind: Kind::Put, ordinal: 1, fault: Fault::Reset }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space() -> Space {
        let lines = ["    3 ms  1 stream#1 /apis", "    9 ms  1 put#1 request", "   12 ms  1 put#2 request -> 200"];
        Space::of(&lines.map(str::to_owned))
    }

    #[test]
    fn every_request_meets_every_fault_of_its_kind_and_pages_replace_a_stream() {
        let space = space();
        assert_eq!(space.boundaries(), 5);
        let faults = [Kind::List, Kind::Watch, Kind::Stream, Kind::Put, Kind::Put].map(|kind| kind.faults().len());
        assert_eq!(space.single().len(), faults.iter().sum::<usize>());
    }

    #[test]
    fn pairs_are_the_same_for_the_same_seed_and_others_for_another() {
        let drawn = |seed| space().pairs(50, seed).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }
}
