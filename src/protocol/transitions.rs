//! PURE: the transitions of a status, from hold to claim to outcome. Each takes the current status and returns the one to
//! write, so that fields it does not set are kept. The clock is an argument; nothing is written here.

use k8s_openapi::jiff::Timestamp;

use crate::{
    api::{Attempt, AttemptState, ClusterRedistributionStatus, MAX_RETRY_AFTER, Reason, ReasonClass, text::truncate},
    protocol::{
        conditions::{REDISTRIBUTED, reason_at, set_at, set_class_at, to_second},
        journal::is_complete,
        record::{Record, Recording, push_history, recorded_in_history},
    },
};

/// The status of an object that is held. `None` if status shows this already.
pub fn held(
    status: Option<&ClusterRedistributionStatus>,
    generation: i64,
    reason: Reason,
    message: &str,
    now: Timestamp,
) -> Option<ClusterRedistributionStatus> {
    held_in_class(status, generation, reason.class(), reason, message, now)
}

/// As [`held`], for a refusal that a precheck found before the call: nothing was claimed, and the object resumes without
/// an edit once the cause is fixed.
pub fn held_before_call(
    status: Option<&ClusterRedistributionStatus>,
    generation: i64,
    reason: Reason,
    message: &str,
    now: Timestamp,
) -> Option<ClusterRedistributionStatus> {
    let class = if reason.class() == ReasonClass::Refused { ReasonClass::Blocked } else { reason.class() };
    held_in_class(status, generation, class, reason, message, now)
}

fn held_in_class(
    status: Option<&ClusterRedistributionStatus>,
    generation: i64,
    class: ReasonClass,
    reason: Reason,
    message: &str,
    now: Timestamp,
) -> Option<ClusterRedistributionStatus> {
    let mut next = status.cloned().unwrap_or_default();
    let is_new_generation = set_observed_generation(&mut next, generation);
    let changed = set_class_at(&mut next.conditions, generation, class, reason, message, now);
    (is_new_generation || changed).then_some(next)
}

/// The status without the journal of another object, which a backup can bring along. That journal is removed with the
/// first hold for another reason; until then only that journal shows why an edit was needed first.
pub fn without_foreign(status: Option<&ClusterRedistributionStatus>, uid: &str) -> Option<ClusterRedistributionStatus> {
    let mut next = status.cloned()?;
    // An empty uid was pruned, and may have been this object's.
    if next.attempt.as_ref().is_some_and(|attempt| attempt.uid != uid && !attempt.uid.is_empty()) {
        next.attempt = None;
        next.history.clear();
    }
    Some(next)
}

/// The status that claims the right to call: `attempt` becomes the journal, the previous attempt goes to history.
pub fn claimed(
    status: Option<&ClusterRedistributionStatus>,
    attempt: Attempt,
    message: &str,
    now: Timestamp,
) -> ClusterRedistributionStatus {
    let mut next = status.cloned().unwrap_or_default();
    set_observed_generation(&mut next, attempt.generation);
    // Also within a generation: a call that starts now cannot have an answer yet.
    next.status_code = None;
    remove_observation(&mut next);
    let _changed = set_at(&mut next.conditions, attempt.generation, Reason::RequestInFlight, message, now);
    let uid = attempt.uid.clone();
    if let Some(replaced) = next.attempt.replace(Box::new(attempt)) {
        if replaced.uid == uid {
            push_history(&mut next.history, *replaced);
        } else {
            // A journal copied from another object is no history of this one; its generations would contradict this one's.
            next.history.clear();
        }
    }
    next
}

/// The status to write for an attempt's outcome, given the object's current status and generation.
pub fn recorded(
    status: &ClusterRedistributionStatus,
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
    attempt.error_code = record.error_code.as_deref().map(|code| truncate(code, 64));
    attempt.request_id = record.request_id.as_deref().map(|id| truncate(id, 128));
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
        let _changed = set_at(&mut next.conditions, generation, reason, &message, now);
    }
    Recording::Write(Box::new(next))
}

/// The status to write when the installed CRD kept only `left` of a claim: nothing was sent, and the object is held until
/// the CRD is fixed. Only the claimant may record that. A later record of another process is kept: it may be based on more
/// than this claim, and keeping it sends less.
pub fn withdrawn(
    status: &ClusterRedistributionStatus,
    left: Option<&Attempt>,
    generation: i64,
    message: &str,
    now: Timestamp,
) -> Recording {
    let reported = reason_at(&status.conditions, generation);
    if status.attempt.as_deref() != left || reported.is_some_and(|reason| reason != Reason::RequestInFlight.as_str()) {
        return Recording::Replaced;
    }
    let mut next = status.clone();
    // An attempt that lost its identity could never be read again.
    next.attempt = next.attempt.filter(|attempt| is_complete_claim(attempt)).map(|mut attempt| {
        AttemptState::NotSent.as_str().clone_into(&mut attempt.state);
        attempt.finished_time = Some(to_second(now));
        attempt.message = Some(truncate(message, 256));
        attempt
    });
    set_observed_generation(&mut next, generation);
    let _changed = set_at(&mut next.conditions, generation, Reason::CRDOutdated, message, now);
    Recording::Write(Box::new(next))
}

fn is_complete_claim(attempt: &Attempt) -> bool {
    is_complete(attempt) && attempt.is_open()
}

/// The part of a record that an API server must still accept if it rejects the full one (422).
pub fn reduced(status: &ClusterRedistributionStatus) -> ClusterRedistributionStatus {
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

fn redistribution_is_unconfirmed(status: &ClusterRedistributionStatus) -> bool {
    let observed = status.conditions.iter().find(|condition| condition.type_ == REDISTRIBUTED);
    observed.is_some_and(|condition| condition.status == "Unknown")
}

/// Sets the observed generation; returns whether it changed. The first write for a newer generation drops the answer of the
/// older one.
fn set_observed_generation(status: &mut ClusterRedistributionStatus, generation: i64) -> bool {
    if status.observed_generation == Some(generation) {
        return false;
    }
    status.observed_generation = Some(generation);
    status.status_code = None;
    remove_observation(status);
    true
}

/// Removes the observation: it belongs to another generation, or to a redistribution that another call started.
fn remove_observation(status: &mut ClusterRedistributionStatus) {
    status.redistribution = None;
    status.conditions.retain(|condition| condition.type_ != REDISTRIBUTED);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests;
