//! PURE: whether an object as read lacks a field that was written, and what status still shows of an attempt that is
//! missing from it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{invalid_generation, observed_generation};
use crate::{
    api::{Attempt, AttemptState, ClusterRedistribution, Reason, ReasonClass},
    protocol::conditions::{REDISTRIBUTED, TYPES, condition_at, is_held_at},
};

/// Evidence of an attempt of this generation without the attempt itself, or without the `Ready` that every write of this
/// product sets: they were deleted, or an older CRD pruned them. Either way a request may have been sent.
pub(super) fn evidence_without_attempt(object: &ClusterRedistribution, generation: i64) -> Option<String> {
    let status = object.status.as_ref()?;
    if let Some(past) = status.history.iter().find(|past| past.generation >= generation) {
        return Some(format!("its history contains an attempt of generation {}", past.generation));
    }
    let observed = observed_generation(object);
    let attempt = status.attempt.as_ref().filter(|attempt| attempt.generation == generation);
    // A claim that was withdrawn under a CRD without conditions looks like this too, and proves that nothing was sent.
    let is_unsent = attempt.is_some_and(|attempt| attempt.known_state() == Some(AttemptState::NotSent));
    if observed == generation && lacks_ready(object) && !is_unsent {
        return Some("this generation was observed, but its condition Ready is missing".to_owned());
    }
    if attempt.is_some() {
        return None;
    }
    // A withdrawn claim leaves `Ready`, and a journal of another object is removed as a whole.
    let has_ready = status.conditions.iter().any(|condition| condition.type_ == "Ready");
    if status.attempt.is_none() && !status.history.is_empty() && !has_ready {
        return Some("it contains a history, but neither an attempt nor the condition Ready".to_owned());
    }
    if status.status_code.is_some() && (observed == generation || observed <= 0) {
        return Some("it contains an answer, but not the attempt of that answer".to_owned());
    }
    // Only a generation that was called is observed.
    let was_observed = condition_at(&status.conditions, REDISTRIBUTED, generation).is_some();
    (was_observed || report_a_call(&status.conditions, generation))
        .then(|| "its conditions report a call for this generation, but the attempt is missing".to_owned())
}

/// The older generation whose attempt was lost: it was observed, and its conditions are missing; or conditions report a
/// request of it that may be in flight, and its attempt is missing.
pub(super) fn lost_older_generation(object: &ClusterRedistribution, generation: i64) -> Option<i64> {
    let status = object.status.as_ref()?;
    let observed = observed_generation(object);
    let without_ready = (observed < generation && lacks_ready(object)).then_some(observed);
    // `read` handles JournalInvalid, where it compares the generation of the report.
    let is_reported = invalid_generation(object).is_some();
    let attempted = status.attempt.as_ref().map(|attempt| attempt.generation);
    let in_flight = ours(&status.conditions)
        .filter(|condition| matches!(class_of(condition), Some(ReasonClass::InFlight | ReasonClass::Unknown)))
        .filter_map(|condition| condition.observed_generation)
        .filter(|of| !is_reported && *of < generation && Some(*of) != attempted);
    in_flight.chain(without_ready).max()
}

fn lacks_ready(object: &ClusterRedistribution) -> bool {
    let observed = observed_generation(object);
    let conditions = object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    observed > 0 && condition_at(conditions, "Ready", observed).is_none()
}

/// The conditions that this product sets.
fn ours(conditions: &[Condition]) -> impl Iterator<Item = &Condition> {
    conditions.iter().filter(|condition| TYPES.contains(&condition.type_.as_str()))
}

fn class_of(condition: &Condition) -> Option<ReasonClass> {
    Reason::ALL.iter().find(|reason| reason.as_str() == condition.reason).map(|reason| reason.class())
}

/// Whether conditions report that this generation was called, or may have been. Every condition of this product names
/// its generation: one without it lost it to a CRD, and may be of any.
fn report_a_call(conditions: &[Condition], generation: i64) -> bool {
    ours(conditions).filter(|condition| condition.observed_generation.is_none_or(|of| of == generation)).any(
        |condition| {
            let is_after_claim = match class_of(condition) {
                Some(ReasonClass::InFlight | ReasonClass::Delivered | ReasonClass::Unknown) => true,
                // A precheck found why a call would have been refused: such an object resumes without an edit.
                Some(ReasonClass::Refused) => !is_held_at(conditions, generation, &condition.reason),
                Some(ReasonClass::Blocked | ReasonClass::Stalled) | None => false,
            };
            is_after_claim || (condition.type_ == "Delivered" && condition.status != "False")
        },
    )
}

/// A field that was written and that the object as read does not show.
///
/// Every CRD of this product gives `observedGeneration` a default, so an object without it was read under another schema.
/// The others are proved by managed fields, which keep naming a field that a CRD without it prunes, at each read and from the
/// store at the next write. Once `Ready` is `JournalInvalid`, a field that is named and absent is known to be lost.
pub fn hidden(object: &ClusterRedistribution) -> Option<&'static str> {
    let status = object.status.as_ref();
    let Some(status) = status.filter(|status| status.observed_generation.is_some()) else {
        return Some("status.observedGeneration");
    };
    if invalid_generation(object).is_some() {
        return None;
    }
    let entries = object.metadata.managed_fields.as_deref().unwrap_or_default();
    let is_named = |field: &str| {
        let path = format!("/f:{}", field.replace('.', "/f:"));
        entries.iter().filter_map(|entry| entry.fields_v1.as_ref()).any(|fields| fields.0.pointer(&path).is_some())
    };
    let attempt = status.attempt.as_ref();
    let shows = |is_present: fn(&Attempt) -> bool| attempt.is_some_and(|attempt| is_present(attempt));
    // For other states it makes no difference: only NotSent does not close a generation by itself.
    let needs_closed = |attempt: &Attempt| attempt.state == AttemptState::NotSent.as_str();
    let fields = [
        ("status.conditions", !status.conditions.is_empty()),
        ("status.attempt", attempt.is_some()),
        ("status.attempt.id", shows(|attempt| !attempt.id.is_empty())),
        ("status.attempt.uid", shows(|attempt| !attempt.uid.is_empty())),
        ("status.attempt.generation", shows(|attempt| attempt.generation != 0)),
        ("status.attempt.state", shows(|attempt| !attempt.state.is_empty())),
        ("status.attempt.closed", attempt.is_none_or(|attempt| attempt.closed.is_some() || !needs_closed(attempt))),
    ];
    fields.into_iter().find_map(|(field, is_present)| (!is_present && is_named(field)).then_some(field))
}
