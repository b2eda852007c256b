//! PURE: the four conditions of a status, which are set together by the class of the reason, and the fifth, which is set
//! alone. The clock is an argument.

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

use crate::api::{Reason, ReasonClass};

pub const TYPES: [&str; 4] = ["Delivered", "Ready", "Reconciling", "Stalled"];

/// The condition that shows the state of the redistribution. Tools that read the four others do not evaluate it.
pub const REDISTRIBUTED: &str = "Redistributed";

/// The values of [`TYPES`] for a class; `None` means that the condition is absent. Absent rather than False, since tools take
/// the mere presence of the last two for a problem.
const fn values(class: ReasonClass) -> [Option<&'static str>; 4] {
    match class {
        ReasonClass::Blocked => [Some("False"), Some("False"), Some("True"), None],
        ReasonClass::Stalled | ReasonClass::Refused => [Some("False"), Some("False"), None, Some("True")],
        ReasonClass::InFlight => [Some("Unknown"), Some("Unknown"), Some("True"), None],
        ReasonClass::Delivered => [Some("True"), Some("True"), None, None],
        ReasonClass::Unknown => [Some("Unknown"), Some("False"), None, Some("True")],
    }
}

/// Sets all four conditions for `generation`. Returns whether a condition changed; the others are left untouched, and
/// `lastTransitionTime` changes only with `status`.
pub fn set_at(conditions: &mut Vec<Condition>, generation: i64, reason: Reason, message: &str, now: Timestamp) -> bool {
    set_class_at(conditions, generation, reason.class(), reason, message, now)
}

/// Whether `generation` is blocked for `reason`: only a blocked object resumes without an edit.
pub fn is_held_at(conditions: &[Condition], generation: i64, reason: &str) -> bool {
    let reconciling = condition_at(conditions, "Reconciling", generation);
    reconciling.is_some_and(|condition| condition.status == "True" && condition.reason == reason)
}

/// As [`set_at`], with a class that may differ from the reason's own.
pub fn set_class_at(
    conditions: &mut Vec<Condition>,
    generation: i64,
    class: ReasonClass,
    reason: Reason,
    message: &str,
    now: Timestamp,
) -> bool {
    let before = conditions.clone();
    for (type_, status) in TYPES.into_iter().zip(values(class)) {
        // With two entries of one type a tool could read either; the first one is maintained.
        let mut seen = false;
        conditions
            .retain(|condition| condition.type_ != type_ || (status.is_some() && !std::mem::replace(&mut seen, true)));
        if let Some(status) = status {
            set_one_at(conditions, type_, generation, (status, reason.as_str(), message), now);
        }
    }
    *conditions != before
}

/// The time in whole seconds, as the API server stores it; a finer time would differ from its own read-back.
pub fn to_second(now: Timestamp) -> Time {
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

/// Sets one condition for `generation`. Returns whether it changed; `lastTransitionTime` changes only with `status`.
pub fn set_one_at(
    conditions: &mut Vec<Condition>,
    type_: &str,
    generation: i64,
    (status, reason, message): (&str, &str, &str),
    now: Timestamp,
) -> bool {
    let before = conditions.iter().find(|condition| condition.type_ == type_);
    let since = before.filter(|before| before.status == status).map(|before| before.last_transition_time.clone());
    let next = Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        observed_generation: Some(generation),
        last_transition_time: since.unwrap_or_else(|| to_second(now)),
    };
    if before == Some(&next) {
        return false;
    }
    match conditions.iter_mut().find(|condition| condition.type_ == type_) {
        Some(condition) => *condition = next,
        None => conditions.push(next),
    }
    true
}

/// The condition of this type, if it is of `generation`.
pub fn condition_at<'a>(conditions: &'a [Condition], type_: &str, generation: i64) -> Option<&'a Condition> {
    conditions
        .iter()
        .find(|condition| condition.type_ == type_)
        .filter(|condition| condition.observed_generation == Some(generation))
}

/// The reason of `Ready`, if it is of `generation`.
pub fn reason_at(conditions: &[Condition], generation: i64) -> Option<&str> {
    condition_at(conditions, "Ready", generation).map(|ready| ready.reason.as_str())
}
