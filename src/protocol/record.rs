//! PURE: the outcome of an attempt, the effect of recording it, and the history of replaced attempts.

use k8s_openapi::jiff::Timestamp;

use crate::{
    api::{Attempt, AttemptState, ClusterRedistributionStatus, PastAttempt, Reason, text::truncate},
    protocol::conditions::to_second,
};

#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Answered, NotSent or Unknown.
    pub state: AttemptState,
    pub reason: Reason,
    /// Without any secret. For `NotSent` a sentence without its full stop: the object decides whether it is retried.
    pub message: String,
    pub status_code: Option<i32>,
    pub error_code: Option<String>,
    pub request_id: Option<String>,
    /// Wait that a 429 asked for, in seconds.
    pub retry_after: Option<i64>,
}

impl Record {
    pub fn new(state: AttemptState, reason: Reason, message: &str) -> Self {
        let message = message.to_owned();
        Self { state, reason, message, status_code: None, error_code: None, request_id: None, retry_after: None }
    }
}

/// The effect of a record on the current status.
#[derive(Debug, PartialEq)]
pub enum Recording {
    Write(Box<ClusterRedistributionStatus>),
    /// The status already records an outcome of the same or a higher rank.
    Known,
    /// Another attempt replaced it and history does not contain it: for log and event only.
    Replaced,
}

/// How many replaced attempts are kept.
const MAX_HISTORY: usize = 10;

/// Adds an attempt that a newer one replaces.
pub fn push_history(history: &mut Vec<PastAttempt>, replaced: Attempt) {
    if let Some(past) = past(replaced) {
        history.insert(0, past);
        history.truncate(MAX_HISTORY);
    }
}

/// The status to write for the outcome of an attempt that has been replaced.
pub fn recorded_in_history(
    mut next: ClusterRedistributionStatus,
    attempt_id: &str,
    record: &Record,
    now: Timestamp,
) -> Recording {
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
