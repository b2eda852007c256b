//! PURE: whether an object as read lacks a field that was written.

use super::invalid_generation;
use crate::api::{AttemptState, ClusterRedistribution};

/// A field that was written and that the object as read does not show.
///
/// Every CRD of this product gives `observedGeneration` a default, so an object without it was read under another schema.
/// Managed fields prove the other fields, since no schema prunes them: a CRD that lacks a field prunes it at each read, and
/// from the store at the next write, while managed fields keep naming it. Once `Ready` is `JournalInvalid`, a field that is
/// named and absent is known to be lost.
pub fn hidden(object: &ClusterRedistribution) -> Option<&'static str> {
    let status = object.status.as_ref();
    let Some(status) = status.filter(|status| status.observed_generation.is_some()) else {
        return Some("status.observedGeneration");
    };
    if invalid_generation(object).is_some() {
        return None;
    }
    let entries = object.metadata.managed_fields.as_deref().unwrap_or_default();
    let is_named = |path: &str| {
        entries.iter().filter_map(|entry| entry.fields_v1.as_ref()).any(|fields| fields.0.pointer(path).is_some())
    };
    let attempt = status.attempt.as_ref();
    [
        ("status.conditions", "/f:status/f:conditions", !status.conditions.is_empty()),
        ("status.attempt", "/f:status/f:attempt", attempt.is_some()),
        ("status.attempt.id", "/f:status/f:attempt/f:id", attempt.is_some_and(|attempt| !attempt.id.is_empty())),
        ("status.attempt.uid", "/f:status/f:attempt/f:uid", attempt.is_some_and(|attempt| !attempt.uid.is_empty())),
        (
            "status.attempt.generation",
            "/f:status/f:attempt/f:generation",
            attempt.is_some_and(|attempt| attempt.generation != 0),
        ),
        (
            "status.attempt.state",
            "/f:status/f:attempt/f:state",
            attempt.is_some_and(|attempt| !attempt.state.is_empty()),
        ),
        // For other states it makes no difference: only NotSent does not close a generation by itself.
        (
            "status.attempt.closed",
            "/f:status/f:attempt/f:closed",
            attempt.is_none_or(|attempt| attempt.closed.is_some() || attempt.state != AttemptState::NotSent.as_str()),
        ),
    ]
    .into_iter()
    .find_map(|(field, path, is_present)| (!is_present && is_named(path)).then_some(field))
}
