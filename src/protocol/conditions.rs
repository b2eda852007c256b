//! PURE: the four conditions of a status, set as one row of the table of conditions, and the fifth, which has a life of its
//! own. The clock is an argument.

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

use crate::api::{Reason, ReasonClass};

/// The types of our conditions.
pub const TYPES: [&str; 4] = ["Delivered", "Ready", "Reconciling", "Stalled"];

/// The condition that tells how far the redistribution is. Tools that read the four others know nothing of it.
pub const REDISTRIBUTED: &str = "Redistributed";

/// The values of a row; `None` means the condition is absent. Absent rather than False, since tools read the mere
/// presence of the last two as something abnormal.
struct Values {
    delivered: &'static str,
    ready: &'static str,
    reconciling: Option<&'static str>,
    stalled: Option<&'static str>,
}

const fn values(row: ReasonClass) -> Values {
    let (delivered, ready, reconciling, stalled) = match row {
        ReasonClass::Blocked => ("False", "False", Some("True"), None),
        ReasonClass::Stalled | ReasonClass::Refused => ("False", "False", None, Some("True")),
        ReasonClass::InFlight => ("Unknown", "Unknown", Some("True"), None),
        ReasonClass::Delivered => ("True", "True", None, None),
        ReasonClass::Unknown => ("Unknown", "False", None, Some("True")),
    };
    Values { delivered, ready, reconciling, stalled }
}

/// Sets all four conditions for `generation`. Returns whether anything changed; what did not change is not touched,
/// and `lastTransitionTime` moves only with `status`.
#[must_use = "nothing is written when nothing changed"]
pub fn set_at(conditions: &mut Vec<Condition>, generation: i64, reason: Reason, message: &str, now: Timestamp) -> bool {
    set_class_at(conditions, generation, reason.class(), reason, message, now)
}

/// Whether a condition that is `reason` for `generation` belongs to a hold: only those go on by themselves.
pub fn is_held_at(conditions: &[Condition], generation: i64, reason: &str) -> bool {
    conditions.iter().any(|condition| {
        condition.type_ == "Reconciling"
            && condition.status == "True"
            && condition.reason == reason
            && condition.observed_generation == Some(generation)
    })
}

/// The same in a row of the caller's.
#[must_use = "nothing is written when nothing changed"]
pub fn set_class_at(
    conditions: &mut Vec<Condition>,
    generation: i64,
    row: ReasonClass,
    reason: Reason,
    message: &str,
    now: Timestamp,
) -> bool {
    let row = values(row);
    let wanted = [
        ("Delivered", Some(row.delivered)),
        ("Ready", Some(row.ready)),
        ("Reconciling", row.reconciling),
        ("Stalled", row.stalled),
    ];
    let before = conditions.clone();
    for (type_, status) in wanted {
        // Two entries of one type would let a tool read either; the first is the one we maintain.
        let mut seen = false;
        conditions
            .retain(|condition| condition.type_ != type_ || (status.is_some() && !std::mem::replace(&mut seen, true)));
        let Some(status) = status else { continue };
        let next = |since: Time| Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: reason.as_str().to_owned(),
            message: message.to_owned(),
            observed_generation: Some(generation),
            last_transition_time: since,
        };
        match conditions.iter_mut().find(|condition| condition.type_ == type_) {
            Some(condition) => {
                let since =
                    if condition.status == status { condition.last_transition_time.clone() } else { to_second(now) };
                *condition = next(since);
            }
            None => conditions.push(next(to_second(now))),
        }
    }
    *conditions != before
}

/// The API server keeps whole seconds; a finer time would differ from its own echo at every comparison.
pub fn to_second(now: Timestamp) -> Time {
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

/// Sets one condition for `generation`. Returns whether anything changed, as above.
#[must_use = "nothing is written when nothing changed"]
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

/// A condition, if it speaks of `generation`.
pub fn condition_at<'a>(conditions: &'a [Condition], type_: &str, generation: i64) -> Option<&'a Condition> {
    conditions
        .iter()
        .find(|condition| condition.type_ == type_)
        .filter(|condition| condition.observed_generation == Some(generation))
}

/// The reason of `Ready`, if it speaks of `generation`.
pub fn reason_at(conditions: &[Condition], generation: i64) -> Option<&str> {
    condition_at(conditions, "Ready", generation).map(|ready| ready.reason.as_str())
}
