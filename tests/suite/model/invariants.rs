//! The invariants of every state, and the equivalence of states.

use super::{
    product::{NO_ATTEMPT, Number},
    world::{Call, Replica, State, Task, World},
};

/// More writes than any budget can require.
const MOST_WRITES: u8 = 40;

impl World {
    /// Nothing more has to happen, or no attempt is left in the budget.
    pub fn is_closed(&self, state: &State) -> bool {
        self.product.is_closed(state.object.0) || state.left.attempts == 0
    }

    /// The same state without details that can no longer make a difference, so that equal futures are explored once.
    pub fn tidied(&self, mut state: State) -> State {
        let holds = |number: Number| {
            let is_held =
                |task: &Task| matches!(task, Task::Lost((other, ..), _) | Task::Ready((other, ..)) if *other == number);
            let held = |replica: &Replica| replica.tasks.iter().any(is_held);
            state.replicas.iter().any(held)
        };
        // A permit that no replica holds sends nothing.
        let permits = (0..self.budget.attempts).filter(|&number| state.permits & 1 << number != 0 && holds(number));
        state.permits = permits.map(|number| 1 << number).sum();
        let awaited = |number: Number| {
            let is_awaited = |task: &Task| matches!(task, Task::Waiting((other, ..)) if *other == number);
            state.replicas.iter().any(|replica| replica.tasks.iter().any(is_awaited))
        };
        state.replies.retain(|&(number, _)| awaited(number));
        // A claim built from an older version can never be applied.
        state.late_claims.retain(|&(_, base)| base.1 == state.object.1);
        let current = self.product.attempt(state.object.0).map(|(number, _)| number);
        for replica in &mut state.replicas {
            let matters =
                |number: Number| Some(number) == current || state.late_claims.iter().any(|&(late, _)| late == number);
            replica.abandoned = (0..self.budget.attempts)
                .filter(|&number| replica.abandoned & 1 << number != 0 && matters(number))
                .map(|number| 1 << number)
                .sum();
            replica.lapsed = replica.lapsed.filter(|&number| number == NO_ATTEMPT || Some(number) == current);
            let here = (self.product.uid(state.object.0), self.product.generation(state.object.0));
            replica.sent = replica.sent.filter(|&sent| sent == here);
            // An older view than the present one leads only to a conflict; one such view represents all.
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
        let (uid, status) = (self.product.uid(state.object.0), self.product.object(state.object.0).status.as_ref()?);
        if let Some((number, attempt)) = self.product.attempt(state.object.0) {
            let has = |calls: &[Call]| calls.iter().any(|&(other, ..)| other == number);
            match (attempt.state.as_str(), attempt.status_code) {
                ("NotSent", _) if has(&state.sent) => return Some("NotSent is recorded for a request that was sent"),
                ("Answered", Some(200)) if !has(&state.executed) => {
                    return Some("delivered is recorded for a call that was not carried out");
                }
                ("Answered", Some(403)) if has(&state.executed) => {
                    return Some("refused is recorded for a call that was carried out");
                }
                _ => {}
            }
        }
        let delivered = status.conditions.iter().find(|condition| condition.type_ == "Delivered")?;
        let of = |&(_, other, generation): &Call| {
            other == uid && Some(i64::from(generation)) == delivered.observed_generation
        };
        if delivered.status == "True" && !state.executed.iter().any(of) {
            return Some("delivered is reported for a generation that was not carried out");
        }
        let may_be = state.executed.iter().chain(&state.under_way).any(of);
        (delivered.status == "False" && may_be)
            .then_some("not delivered is reported for a call that was or may be carried out")
    }
}
