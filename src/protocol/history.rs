//! PURE: the history of replaced attempts.

use k8s_openapi::jiff::Timestamp;

use crate::{
    api::{Attempt, AttemptState, ClusterRedistributionStatus, PastAttempt, text::truncate},
    protocol::{
        conditions::to_second,
        record::{Record, Recording},
    },
};

/// How many replaced attempts are kept.
const MAX_HISTORY: usize = 10;

/// Adds an attempt that a newer one replaces.
pub fn push(history: &mut Vec<PastAttempt>, replaced: Attempt) {
    if let Some(past) = past(replaced) {
        history.insert(0, past);
        history.truncate(MAX_HISTORY);
    }
}

/// The status to write for the outcome of an attempt that has been replaced.
pub fn recorded(mut next: ClusterRedistributionStatus, attempt_id: &str, record: &Record, now: Timestamp) -> Recording {
    let Some(past) = next.history.iter_mut().find(|past| past.id == attempt_id) else { return Recording::Replaced };
    let known = AttemptState::parse(&past.state).map_or(u8::MAX, AttemptState::knowledge);
    if record.state.knowledge() <= known {
        return Recording::Known;
    }
    record.state.as_str().clone_into(&mut past.state);
    past.status_code = record.status_code;
    past.error_code = record.error_code.as_deref().map(|code| truncate(code, 64));
    past.request_id = record.request_id.as_deref().map(|id| truncate(id, 128));
    past.finished_time = Some(to_second(now));
    // History never contains NotSent, which could not have reached the cloud.
    next.history.retain(|past| past.state != AttemptState::NotSent.as_str());
    Recording::Write(Box::new(next))
}

/// The history entry of a replaced attempt; none if it could not have reached the cloud.
fn past(attempt: Attempt) -> Option<PastAttempt> {
    matches!(attempt.known_state(), Some(AttemptState::Answered | AttemptState::Unknown)).then(|| PastAttempt {
        id: attempt.id,
        generation: attempt.generation,
        spec_hash: attempt.spec_hash,
        state: attempt.state,
        status_code: attempt.status_code,
        error_code: attempt.error_code,
        request_id: attempt.request_id,
        finished_time: attempt.finished_time,
        cluster_id: attempt.baseline.and_then(|baseline| baseline.cluster_id),
        other: std::collections::BTreeMap::default(),
    })
}
