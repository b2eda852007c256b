//! The invariants of every state, and the equivalence of states.

use redistribution_operator::api::AttemptState;

use super::{
    product::{NO_ATTEMPT, Number},
    world::{Call, Mutant, Replica, State, Task, World},
};

/// More writes than any budget can require.
const MOST_WRITES: u8 = 40;

impl World {
    /// Nothing more has to happen, or no attempt is left in the budget.
    pub fn is_closed(&self, state: &State) -> bool {
        self.product.facts(state.object.0).is_closed || state.left.attempts == 0
    }

    /// The same state, reached by a step that changed the object or not, without details that can no longer make a difference, so that equal futures are explored once.
    pub fn tidied(&mut self, mut state: State, has_changed: bool) -> State {
        let (shown, present) = (self.seen(&state), state.object.1);
        let holds = |number: Number| {
            let is_held =
                |task: &Task| matches!(task, Task::Lost((other, ..), _) | Task::Ready((other, ..)) if *other == number);
            let held = |replica: &Replica| replica.tasks.iter().any(is_held);
            state.replicas.iter().any(held)
        };
        // A permit that no replica holds sends nothing.
        let permits = (0..self.budget.attempts).filter(|&number| state.permits & 1 << number != 0 && holds(number));
        state.permits = permits.map(|number| 1 << number).sum();
        // A claim built from an older version can never be applied.
        state.late_claims.retain(|&(_, base)| base.1 == state.object.1);
        let current = self.product.facts(state.object.0).attempt.map(|(number, ..)| number);
        // What was sent or carried out for an attempt that nothing can record any more counts by its generation only.
        let mut recordable = self.product.facts(state.object.0).named;
        recordable |= state.replicas.iter().fold(0, |bits, replica| bits | Self::live(replica));
        recordable |= state.late_claims.iter().fold(0, |bits, &(number, _)| bits | 1 << number);
        recordable |= state.under_way.iter().fold(0, |bits, &(number, ..)| bits | 1 << number);
        for calls in [&mut state.sent, &mut state.executed] {
            for call in calls.iter_mut().filter(|call| call.0 != NO_ATTEMPT && recordable & 1 << call.0 == 0) {
                call.0 = NO_ATTEMPT;
            }
            calls.sort_unstable();
        }
        // No invariant speaks of what was carried out for an earlier object.
        let uid = self.product.uid(state.object.0);
        state.executed.retain(|call| call.1 == uid);
        for replica in &mut state.replicas {
            // A read of an earlier version can only meet a conflict, and one of the present view can be made again.
            if replica.cache.is_some_and(|seen| has_changed || seen == shown) {
                (replica.cache, replica.is_kept) = (None, false);
            }
            let is_late = |task: &Task| matches!(task, Task::Fresh(seen, _) if seen.1 != present);
            if self.mutant != Some(Mutant::ClaimWithoutSwap) {
                for task in replica.tasks.iter_mut().filter(|task| is_late(task)) {
                    *task = Task::None;
                }
            }
            let matters =
                |number: Number| Some(number) == current || state.late_claims.iter().any(|&(late, _)| late == number);
            replica.abandoned = (0..self.budget.attempts)
                .filter(|&number| replica.abandoned & 1 << number != 0 && matters(number))
                .map(|number| 1 << number)
                .sum();
            replica.lapsed = replica.lapsed.filter(|&number| number == NO_ATTEMPT || Some(number) == current);
            let here = (self.product.uid(state.object.0), self.product.generation(state.object.0));
            replica.sent = replica.sent.filter(|&sent| sent == here);
            replica.tasks.sort_unstable();
        }
        if self.budget.replicas > 1 {
            state.replicas.sort_unstable();
        }
        state
    }

    /// The invariant that this state breaks.
    pub fn broken(&self, state: &State) -> Option<&'static str> {
        let twice = |calls: &[Call]| {
            let requests: Vec<_> = calls.iter().map(|&(_, uid, generation)| (uid, generation)).collect();
            (1..requests.len()).any(|end| requests[..end].contains(&requests[end]))
        };
        if state.object.1 >= MOST_WRITES {
            return Some("writes without end");
        }
        if twice(&state.sent) {
            return Some("two requests for one uid and generation");
        }
        let overlap = |&(_, uid, generation): &Call| {
            state.under_way.iter().any(|&(_, other, of)| other == uid && of != generation)
        };
        if state.under_way.iter().any(overlap) {
            return Some("two generations under way at once");
        }
        let facts = self.product.facts(state.object.0);
        if let Some((number, attempt, status_code)) = facts.attempt {
            let has = |calls: &[Call]| calls.iter().any(|&(other, ..)| other == number);
            match (attempt, status_code) {
                (AttemptState::NotSent, _) if has(&state.sent) => {
                    return Some("NotSent is recorded for a request that was sent");
                }
                (AttemptState::Answered, Some(200)) if !has(&state.executed) => {
                    return Some("delivered is recorded for a call that was not carried out");
                }
                (AttemptState::Answered, Some(403)) if has(&state.executed) => {
                    return Some("refused is recorded for a call that was carried out");
                }
                _ => {}
            }
        }
        let (delivered, of_generation) = facts.delivered.as_ref()?;
        let of = |&(_, uid, generation): &Call| uid == facts.uid && Some(i64::from(generation)) == *of_generation;
        if delivered == "True" && !state.executed.iter().any(of) {
            return Some("delivered is reported for a generation that was not carried out");
        }
        let may_be = state.executed.iter().chain(&state.under_way).any(of);
        (delivered == "False" && may_be)
            .then_some("not delivered is reported for a call that was or may be carried out")
    }
}
