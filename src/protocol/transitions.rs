//! PURE: the transitions of a status, from hold to claim to outcome. Each takes the status that is there and returns
//! the one to write, so that whatever it does not speak of is kept. The clock is an argument; nothing is written here.

use k8s_openapi::jiff::Timestamp;

use crate::{
    api::{
        Attempt, AttemptState, ClusterRedistribution, ClusterRedistributionStatus, MAX_RETRY_AFTER, Reason,
        ReasonClass, text::truncate,
    },
    protocol::{
        conditions::{REDISTRIBUTED, reason_at, set_at, set_class_at, to_second},
        history,
        journal::is_complete,
        record::{Record, Recording},
    },
};

/// The status of an object that is held. `None` if that is what it says already.
pub fn held(
    status: Option<&ClusterRedistributionStatus>,
    generation: i64,
    reason: Reason,
    message: &str,
    now: Timestamp,
) -> Option<ClusterRedistributionStatus> {
    held_in_class(status, generation, reason.class(), reason, message, now)
}

/// The same for a reason that ends a call, found by a look before it: nothing was claimed, and the object follows by itself
/// once what was found is mended.
pub fn held_before_call(
    status: Option<&ClusterRedistributionStatus>,
    generation: i64,
    reason: Reason,
    message: &str,
    now: Timestamp,
) -> Option<ClusterRedistributionStatus> {
    let row = if reason.class() == ReasonClass::Refused { ReasonClass::Blocked } else { reason.class() };
    held_in_class(status, generation, row, reason, message, now)
}

fn held_in_class(
    status: Option<&ClusterRedistributionStatus>,
    generation: i64,
    row: ReasonClass,
    reason: Reason,
    message: &str,
    now: Timestamp,
) -> Option<ClusterRedistributionStatus> {
    let mut next = status.cloned().unwrap_or_default();
    let moved = observe(&mut next, generation);
    let changed = set_class_at(&mut next.conditions, generation, row, reason, message, now);
    (moved || changed).then_some(next)
}

/// The status without the journal of another object: what a backup brought along. Taken away with the first hold that is
/// no objection to it; until then it is the only thing that says why an edit had to come first.
pub fn without_foreign(status: Option<&ClusterRedistributionStatus>, uid: &str) -> Option<ClusterRedistributionStatus> {
    let mut next = status.cloned()?;
    // An empty uid is one that was pruned, perhaps our own.
    if next.attempt.as_ref().is_some_and(|attempt| attempt.uid != uid && !attempt.uid.is_empty()) {
        next.attempt = None;
        next.history.clear();
    }
    Some(next)
}

/// The status that takes the right to call: `attempt` becomes the journal, the one before it history.
pub fn claimed(
    status: Option<&ClusterRedistributionStatus>,
    attempt: Attempt,
    message: &str,
    now: Timestamp,
) -> ClusterRedistributionStatus {
    let mut next = status.cloned().unwrap_or_default();
    observe(&mut next, attempt.generation);
    // Also within a generation: the answer of a call that is only now being made cannot be there yet.
    next.status_code = None;
    forget(&mut next);
    let _changed = set_at(&mut next.conditions, attempt.generation, Reason::RequestInFlight, message, now);
    let uid = attempt.uid.clone();
    if let Some(replaced) = next.attempt.replace(attempt) {
        if replaced.uid == uid {
            history::keep(&mut next.history, replaced);
        } else {
            // A journal copied from another object is no history of this one, and its generations would contradict ours.
            next.history.clear();
        }
    }
    next
}

/// What to write for an attempt's outcome, given the object's status and generation as they are now.
pub fn recorded(
    status: &ClusterRedistributionStatus,
    current_generation: i64,
    attempt_id: &str,
    record: &Record,
    now: Timestamp,
) -> Recording {
    let mut next = status.clone();
    let Some(attempt) = next.attempt.as_mut().filter(|attempt| attempt.id == attempt_id) else {
        return history::recorded(next, attempt_id, record, now);
    };
    let Some(state) = attempt.known_state() else { return Recording::Replaced };
    if record.state.knowledge() <= state.knowledge() {
        return Recording::Known;
    }
    // Once Unknown was said, this generation is closed, whatever is learnt later.
    let was_given_up = state == AttemptState::Unknown || attempt.closed == Some(true);
    let generation = attempt.generation;
    // Once JournalInvalid was said for a generation, it stays so: another attempt of it may have been lost.
    let is_invalid = reason_at(&next.conditions, generation) == Some(Reason::JournalInvalid.as_str());
    attempt.closed = Some(was_given_up || is_invalid || record.state == AttemptState::Unknown);
    record.state.as_str().clone_into(&mut attempt.state);
    attempt.finished_time = Some(to_second(now));
    attempt.status_code = record.status_code;
    attempt.error_code = record.error_code.as_deref().map(|code| truncate(code, 64));
    attempt.request_id = record.request_id.as_deref().map(|id| truncate(id, 128));
    attempt.retry_after_seconds = record.retry_after.map(|seconds| seconds.clamp(0, MAX_RETRY_AFTER));
    attempt.message = Some(truncate(&record.message, 256));
    // A late record must not speak for a newer generation that was observed meanwhile.
    if !is_invalid && next.observed_generation.is_none_or(|observed| observed <= generation) {
        observe(&mut next, generation);
        next.status_code = record.status_code;
        let (reason, message) = conditions_of(record, was_given_up, generation == current_generation);
        // What was seen in the meantime is looked at anew by what is known now.
        if reason != Reason::Delivered || redistribution_is_unconfirmed(&next) {
            forget(&mut next);
        }
        let _changed = set_at(&mut next.conditions, generation, reason, &message, now);
    }
    Recording::Write(Box::new(next))
}

/// What to write where the installed CRD kept only `left` of a claim: nothing was sent, and the object is held until the
/// CRD is mended. Only the claimant may say so. Where somebody else has spoken since, that stands: what it says may rest
/// on more than our claim, and less is sent.
pub fn withdrawn(
    status: &ClusterRedistributionStatus,
    left: Option<&Attempt>,
    generation: i64,
    message: &str,
    now: Timestamp,
) -> Recording {
    let said = reason_at(&status.conditions, generation);
    if status.attempt.as_ref() != left || said.is_some_and(|reason| reason != Reason::RequestInFlight.as_str()) {
        return Recording::Replaced;
    }
    let mut next = status.clone();
    // An attempt that lost what names it would be one that nobody can read, for ever.
    next.attempt = next.attempt.filter(is_readable).map(|attempt| Attempt {
        state: AttemptState::NotSent.as_str().to_owned(),
        finished_time: Some(to_second(now)),
        message: Some(truncate(message, 256)),
        ..attempt
    });
    observe(&mut next, generation);
    let _changed = set_at(&mut next.conditions, generation, Reason::CRDOutdated, message, now);
    Recording::Write(Box::new(next))
}

fn is_readable(attempt: &Attempt) -> bool {
    is_complete(attempt) && attempt.is_open()
}

/// The part of a record that an API server with other ideas about the rest must still take (a 422 on the full one).
pub fn reduced(status: &ClusterRedistributionStatus) -> ClusterRedistributionStatus {
    let mut next = status.clone();
    if let Some(attempt) = &mut next.attempt {
        *attempt = Attempt {
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
    forget(&mut next);
    next.other.clear();
    next
}

/// A proven NotSent is tried again and says so, unless the spec was changed meanwhile; after Unknown it is final, and says
/// that.
fn conditions_of(record: &Record, was_given_up: bool, is_current: bool) -> (Reason, String) {
    if record.state != AttemptState::NotSent {
        return (record.reason, record.message.clone());
    }
    let (reason, then) = match (was_given_up, is_current) {
        (true, _) => (
            Reason::NotSent,
            ". This was learnt after the outcome had been given up as unknown, so it is not tried again. Set spec.trigger to a new value to ask again",
        ),
        (false, true) => (record.reason, ". It is tried again by itself"),
        (false, false) => (record.reason, ". The spec was changed since, and is asked for instead"),
    };
    (reason, format!("{}{then}", record.message))
}

fn redistribution_is_unconfirmed(status: &ClusterRedistributionStatus) -> bool {
    let said = status.conditions.iter().find(|condition| condition.type_ == REDISTRIBUTED);
    said.is_some_and(|said| said.status == "Unknown")
}

/// Turns the status to `generation`. The first write for a newer generation drops the answer of the older one.
fn observe(status: &mut ClusterRedistributionStatus, generation: i64) -> bool {
    if status.observed_generation == Some(generation) {
        return false;
    }
    status.observed_generation = Some(generation);
    status.status_code = None;
    forget(status);
    true
}

/// Takes away what was seen: it speaks of another generation, or of a redistribution that was not this call's.
pub fn forget(status: &mut ClusterRedistributionStatus) {
    status.redistribution = None;
    status.conditions.retain(|condition| condition.type_ != REDISTRIBUTED);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests;
