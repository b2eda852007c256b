//! PURE: the transitions of a status, from hold to claim to outcome. Each takes the current status and returns the one to
//! write, so that fields it does not set are kept. The clock is an argument; nothing is written here.

use k8s_openapi::jiff::Timestamp;

use crate::{
    api::{
        Attempt, AttemptState, ClusterRedistribution, ClusterRedistributionStatus as Status, MAX_RETRY_AFTER,
        PastAttempt, Reason, ReasonClass, text::truncate,
    },
    protocol::{
        conditions::{REDISTRIBUTED, reason_at, set_at, set_class_at, to_second},
        journal::{ATTEMPT_LOST, is_complete},
    },
};

/// How many replaced attempts are kept.
const MAX_HISTORY: usize = 10;

/// The outcome of an attempt: Answered, NotSent or Unknown.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
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
    /// An outcome without an answer.
    pub fn new(state: AttemptState, reason: Reason, message: &str) -> Self {
        let message = message.to_owned();
        Self { state, reason, message, status_code: None, error_code: None, request_id: None, retry_after: None }
    }

    fn error_code(&self) -> Option<String> {
        self.error_code.as_deref().map(|code| truncate(code, 64))
    }

    fn request_id(&self) -> Option<String> {
        self.request_id.as_deref().map(|id| truncate(id, 128))
    }
}

/// The effect of a record on the current status.
#[derive(Debug, PartialEq)]
pub enum Recording {
    Write(Box<Status>),
    /// The status already records an outcome of the same or a higher rank.
    Known,
    /// Another attempt replaced it and history does not contain it: for log and event only.
    Replaced,
}

/// The status of an object that is held. `None` if status shows this already.
pub fn held(status: Option<&Status>, generation: i64, reason: Reason, message: &str, now: Timestamp) -> Option<Status> {
    held_as(reason.class(), status, generation, reason, message, now)
}

/// As [`held`], for a refusal that a precheck found before the call: nothing was claimed, and the object resumes without
/// an edit once the cause is fixed.
pub fn held_before_call(
    status: Option<&Status>,
    generation: i64,
    reason: Reason,
    message: &str,
    now: Timestamp,
) -> Option<Status> {
    let class = if reason.class() == ReasonClass::Refused { ReasonClass::Blocked } else { reason.class() };
    held_as(class, status, generation, reason, message, now)
}

fn held_as(
    class: ReasonClass,
    status: Option<&Status>,
    generation: i64,
    reason: Reason,
    message: &str,
    now: Timestamp,
) -> Option<Status> {
    let mut next = status.cloned().unwrap_or_default();
    let is_new_generation = set_observed_generation(&mut next, generation);
    let changed = set_class_at(&mut next.conditions, generation, class, reason, message, now);
    (is_new_generation || changed).then_some(next)
}

/// The status of an object that has lost a part of its journal: held as `JournalInvalid`, and an attempt of this generation
/// with an unknown outcome replaces the missing one. Without it managed fields would keep naming the missing attempt, and
/// the status of the next generation would look as if it hid something. `None` if status shows this already.
pub fn held_as_lost(
    status: Option<&Status>,
    (uid, generation): (&str, i64),
    message: &str,
    now: Timestamp,
) -> Option<Status> {
    let mut next = held(status, generation, Reason::JournalInvalid, message, now)?;
    match &mut next.attempt {
        Some(attempt) if is_complete(attempt) => {
            attempt.closed.get_or_insert(true);
        }
        attempt => {
            *attempt = Some(Box::new(Attempt {
                // The key by which the next generation waits for the lost attempt.
                id: format!("{ATTEMPT_LOST}{generation}"),
                message: Some(truncate(message, 256)),
                ..closed_attempt(uid, generation, AttemptState::Unknown)
            }));
        }
    }
    Some(next)
}

fn closed_attempt(uid: &str, generation: i64, state: AttemptState) -> Attempt {
    let (uid, state) = (uid.to_owned(), state.as_str().to_owned());
    Attempt { uid, generation, state, closed: Some(true), ..Attempt::default() }
}

/// A status that sets every field that is evidence of a call; for a dry run only.
pub fn full_status(object: &ClusterRedistribution, now: Timestamp) -> Status {
    let (uid, generation) =
        (object.metadata.uid.as_deref().unwrap_or_default(), object.metadata.generation.unwrap_or_default());
    let id = "dry-run".to_owned();
    let attempt = Attempt { id, ..closed_attempt(uid, generation, AttemptState::Answered) };
    let mut next = Status {
        observed_generation: Some(generation),
        status_code: Some(200),
        history: past(attempt.clone()).into_iter().collect(),
        attempt: Some(Box::new(attempt)),
        ..Status::default()
    };
    set_at(&mut next.conditions, generation, Reason::Delivered, "dry run", now);
    next
}

/// The status without the journal of another object, which a backup can bring along. That journal is removed with the
/// first hold for another reason; until then only that journal shows why an edit was needed first.
pub fn without_foreign(status: Option<&Status>, uid: &str) -> Option<Status> {
    let mut next = status.cloned()?;
    // An empty uid was pruned, and may have been this object's.
    if next.attempt.as_ref().is_some_and(|attempt| attempt.uid != uid && !attempt.uid.is_empty()) {
        next.attempt = None;
        next.history.clear();
    }
    Some(next)
}

/// The status that claims the right to call: `attempt` becomes the journal, the previous attempt goes to history.
pub fn claimed(status: Option<&Status>, attempt: Attempt, message: &str, now: Timestamp) -> Status {
    let mut next = status.cloned().unwrap_or_default();
    set_observed_generation(&mut next, attempt.generation);
    // Also within a generation: a call that starts now cannot have an answer yet.
    next.status_code = None;
    remove_observation(&mut next);
    set_at(&mut next.conditions, attempt.generation, Reason::RequestInFlight, message, now);
    let uid = attempt.uid.clone();
    if let Some(replaced) = next.attempt.replace(Box::new(attempt)) {
        if replaced.uid != uid {
            // A journal copied from another object is no history of this one; its generations would contradict this one's.
            next.history.clear();
        } else if let Some(past) = past(*replaced) {
            next.history.insert(0, past);
            next.history.truncate(MAX_HISTORY);
        }
    }
    next
}

/// The status to write for an attempt's outcome, given the object's current status and generation.
pub fn recorded(
    status: &Status,
    current_generation: i64,
    attempt_id: &str,
    record: &Record,
    now: Timestamp,
) -> Recording {
    let mut next = status.clone();
    let Some(attempt) = next.attempt.as_mut().filter(|attempt| attempt.id == attempt_id) else {
        return recorded_in_history(next, attempt_id, record, now);
    };
    let Some(state) = attempt.known_state() else { return Recording::Replaced };
    if record.state.knowledge() <= state.knowledge() {
        return Recording::Known;
    }
    // Once Unknown was recorded, this generation is closed, whatever is learned later.
    let was_closed = state == AttemptState::Unknown || attempt.closed == Some(true);
    let generation = attempt.generation;
    // Once JournalInvalid was reported for a generation, it stays: another attempt of it may have been lost.
    let is_invalid = reason_at(&next.conditions, generation) == Some(Reason::JournalInvalid.as_str());
    attempt.closed = Some(was_closed || is_invalid || record.state == AttemptState::Unknown);
    record.state.as_str().clone_into(&mut attempt.state);
    attempt.finished_time = Some(to_second(now));
    attempt.status_code = record.status_code;
    attempt.error_code = record.error_code();
    attempt.request_id = record.request_id();
    attempt.retry_after_seconds = record.retry_after.map(|seconds| seconds.clamp(0, MAX_RETRY_AFTER));
    attempt.message = Some(truncate(&record.message, 256));
    // A late record must not change the conditions of a newer generation that was reported before it, whichever of both
    // fields an older CRD may have pruned.
    let reported = next.conditions.iter().filter(|condition| condition.type_ == "Ready");
    let reported = reported.filter_map(|ready| ready.observed_generation).chain(next.observed_generation).max();
    if !is_invalid && reported.is_none_or(|reported| reported <= generation) {
        set_observed_generation(&mut next, generation);
        next.status_code = record.status_code;
        let (reason, message) = conditions_of(record, was_closed, generation == current_generation);
        // An observation made in the meantime is judged again under the recorded outcome.
        if reason != Reason::Delivered || redistribution_is_unconfirmed(&next) {
            remove_observation(&mut next);
        }
        set_at(&mut next.conditions, generation, reason, &message, now);
    }
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
        ..PastAttempt::default()
    })
}

fn recorded_in_history(mut next: Status, attempt_id: &str, record: &Record, now: Timestamp) -> Recording {
    let Some(past) = next.history.iter_mut().find(|past| past.id == attempt_id) else { return Recording::Replaced };
    let known = AttemptState::parse(&past.state).map_or(u8::MAX, AttemptState::knowledge);
    if record.state.knowledge() <= known {
        return Recording::Known;
    }
    record.state.as_str().clone_into(&mut past.state);
    past.status_code = record.status_code;
    past.error_code = record.error_code();
    past.request_id = record.request_id();
    past.finished_time = Some(to_second(now));
    // History never contains NotSent, which could not have reached the cloud.
    next.history.retain(|past| past.state != AttemptState::NotSent.as_str());
    Recording::Write(Box::new(next))
}

/// The status to write when the installed CRD kept only `left` of a claim: nothing was sent, and the object is held until
/// the CRD is fixed. Only the claimant may record that. A later record of another process is kept: it may be based on more
/// than this claim, and keeping it sends less.
pub fn withdrawn(status: &Status, left: Option<&Attempt>, generation: i64, message: &str, now: Timestamp) -> Recording {
    let reported = reason_at(&status.conditions, generation);
    if status.attempt.as_deref() != left || reported.is_some_and(|reason| reason != Reason::RequestInFlight.as_str()) {
        return Recording::Replaced;
    }
    let mut next = status.clone();
    // An attempt that lost its identity could never be read again.
    next.attempt = next.attempt.filter(|attempt| is_complete(attempt) && attempt.is_open()).map(|mut attempt| {
        AttemptState::NotSent.as_str().clone_into(&mut attempt.state);
        attempt.finished_time = Some(to_second(now));
        attempt.message = Some(truncate(message, 256));
        attempt
    });
    set_observed_generation(&mut next, generation);
    set_at(&mut next.conditions, generation, Reason::CRDOutdated, message, now);
    Recording::Write(Box::new(next))
}

/// The part of a record that an API server must still accept if it rejects the full one (422).
pub fn reduced(status: &Status) -> Status {
    let mut next = status.clone();
    if let Some(attempt) = &mut next.attempt {
        **attempt = Attempt {
            id: attempt.id.clone(),
            uid: attempt.uid.clone(),
            generation: attempt.generation,
            state: attempt.state.clone(),
            closed: attempt.closed,
            status_code: attempt.status_code,
            ..Attempt::default()
        };
    }
    next.history.clear();
    remove_observation(&mut next);
    next.other.clear();
    next
}

/// The message of a proven NotSent states that it is retried, unless the spec has changed; after Unknown the message states
/// that it is final.
fn conditions_of(record: &Record, was_closed: bool, is_current: bool) -> (Reason, String) {
    if record.state != AttemptState::NotSent {
        return (record.reason, record.message.clone());
    }
    let (reason, then) = match (was_closed, is_current) {
        (true, _) => (
            Reason::NotSent,
            ". The outcome had been recorded as unknown before, so the request is not retried. Set spec.trigger to a new value to send a new request",
        ),
        (false, true) => (record.reason, ". The request is retried automatically"),
        (false, false) => (record.reason, ". The spec has changed since; the new spec is requested instead"),
    };
    (reason, format!("{}{then}", record.message))
}

fn redistribution_is_unconfirmed(status: &Status) -> bool {
    let observed = status.conditions.iter().find(|condition| condition.type_ == REDISTRIBUTED);
    observed.is_some_and(|condition| condition.status == "Unknown")
}

/// Sets the observed generation; returns whether it changed. The first write for a newer generation drops the answer of the
/// older one.
fn set_observed_generation(status: &mut Status, generation: i64) -> bool {
    if status.observed_generation == Some(generation) {
        return false;
    }
    status.observed_generation = Some(generation);
    status.status_code = None;
    remove_observation(status);
    true
}

/// Removes the observation: it belongs to another generation, or to a redistribution that another call started.
fn remove_observation(status: &mut Status) {
    status.redistribution = None;
    status.conditions.retain(|condition| condition.type_ != REDISTRIBUTED);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests;
