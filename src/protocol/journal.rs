//! PURE: what the journal in status proves about an object's current generation. It only reads; `decide` decides what
//! follows.

use std::{borrow::Cow, time::Duration};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use sha2::{Digest, Sha256};

use crate::{
    api::{Attempt, AttemptState, ClusterRedistribution, ClusterRedistributionSpec, Reason, ReasonClass},
    protocol::conditions::{REDISTRIBUTED, TYPES, condition_at, is_held_at},
};

/// The largest values of the flags of the same names.
pub const MAX_SEND_BUDGET: Duration = Duration::from_secs(30);
pub const MAX_REQUEST_TIMEOUT: Duration = Duration::from_secs(300);
pub const MAX_GRACE_MARGIN: Duration = Duration::from_secs(60);
/// The largest grace that the flags allow; the grace of an attempt without `graceSeconds`.
pub const MAX_GRACE: Duration = Duration::from_secs(390);

/// Prefix of the key that stands for a lost attempt, whose id is lost with it; the generation of the loss follows.
pub const ATTEMPT_LOST: &str = "lost at generation ";

/// What the journal proves about the object's current generation.
#[derive(Debug, PartialEq)]
pub enum Journal<'a> {
    /// The object as read lacks something that was written: hidden by the schema, or lost. Only a dry run can tell which;
    /// until then nothing is written, since a write would erase what is hidden.
    Missing(String),
    /// This generation has no attempt, and no older attempt is open.
    NoAttempt,
    /// This generation's attempt is Answered, Unknown or finally NotSent.
    Closed,
    /// This generation's attempt was proven not sent and may be followed by another.
    NotSent,
    /// A claimed attempt, of this generation or an older one, without a recorded outcome.
    InFlight(&'a Attempt),
    /// A request of an older attempt may still be in flight: this process must know its key for its grace before it claims.
    CoolingDown { key: Cow<'a, str>, grace: Duration },
    /// The journal contradicts the object, as the text explains: nothing is sent for this generation.
    Invalid(String),
}

pub fn read(object: &ClusterRedistribution) -> Journal<'_> {
    let Some(generation) = object.metadata.generation.filter(|generation| *generation > 0) else {
        return Journal::Invalid("the object has no generation".to_owned());
    };
    if let Some(field) = hidden(object) {
        return Journal::Missing(format!("{field} was written and is missing"));
    }
    let invalid_at = invalid_generation(object);
    let is_reported = invalid_at.is_some_and(|reported| reported >= generation);
    let missing = |evidence| if is_reported { Journal::Invalid(evidence) } else { Journal::Missing(evidence) };
    if let Some(attempt) = object.attempt() {
        let uid = object.metadata.uid.as_deref().unwrap_or_default();
        let is_ours = is_complete(attempt) && attempt.uid == uid;
        // An attempt that lacks its identity, or that belongs to another object, is replaced only after an edit that was
        // made after JournalInvalid was reported.
        if !is_ours && invalid_at.is_some() && !is_reported {
            return cooling_down(attempt);
        }
        if !is_complete(attempt) {
            return missing("its attempt lacks its id, uid, generation or state".to_owned());
        }
        if !is_ours {
            return Journal::Invalid(format!("its attempt belongs to another object (uid {})", attempt.uid));
        }
    }
    if let Some(evidence) = evidence_without_attempt(object, generation) {
        return missing(evidence);
    }
    let Some(attempt) = object.attempt() else {
        return match invalid_at {
            // Once reported, it holds until the next generation, even if the report has overwritten the evidence.
            Some(_) if is_reported => Journal::Invalid("the attempt of this generation was lost from it".to_owned()),
            Some(reported) => lost_attempt(reported),
            None => lost_older_generation(object, generation).map_or(Journal::NoAttempt, lost_attempt),
        };
    };
    if let Some(contradiction) = contradiction(object, attempt, generation) {
        return Journal::Invalid(contradiction);
    }
    if is_reported {
        return Journal::Invalid("it was reported as invalid for this generation before".to_owned());
    }
    let lost = || {
        invalid_at.is_some_and(|reported| reported >= attempt.generation)
            || lost_older_generation(object, generation).is_some()
    };
    match (attempt.known_state(), attempt.generation == generation) {
        (Some(AttemptState::Claimed), _) => Journal::InFlight(attempt),
        (Some(AttemptState::Answered | AttemptState::Unknown), true) => Journal::Closed,
        (Some(AttemptState::NotSent), true) if attempt.closed == Some(true) => Journal::Closed,
        (Some(AttemptState::NotSent), true) => Journal::NotSent,
        // A later attempt was lost, and its request may still be in flight.
        (_, false) if lost() => {
            let lost = lost_older_generation(object, generation).unwrap_or_default();
            lost_attempt(invalid_at.unwrap_or_default().max(lost).max(attempt.generation))
        }
        // An older generation's attempt with an unknown outcome or state: a new generation replaces it, after its grace.
        (None | Some(AttemptState::Unknown), _) => cooling_down(attempt),
        (Some(AttemptState::Answered | AttemptState::NotSent), false) => Journal::NoAttempt,
    }
}

/// The grace of a lost attempt is lost with it, so the longest applies. Each loss has its own cool-down.
fn lost_attempt(generation: i64) -> Journal<'static> {
    Journal::CoolingDown { key: Cow::Owned(format!("{ATTEMPT_LOST}{generation}")), grace: MAX_GRACE }
}

fn contradiction(object: &ClusterRedistribution, attempt: &Attempt, generation: i64) -> Option<String> {
    if attempt.generation > generation {
        return Some(format!(
            "its attempt is of generation {}, a future one: the object seems to have been restored, and generations up to that one may have been sent",
            attempt.generation
        ));
    }
    if attempt.generation < generation {
        return None;
    }
    let Some(state) = attempt.known_state() else {
        return Some(format!("its attempt has the state {:?}, which this version does not know", attempt.state));
    };
    // Every claim sets both in one write.
    let observed = observed_generation(object);
    if observed < generation {
        return Some(format!(
            "its attempt is of this generation, but status.observedGeneration is {observed}: status seems to have been restored"
        ));
    }
    let other_spec = attempt.spec_hash.as_deref().is_some_and(|hash| hash != spec_hash(&object.spec));
    (other_spec && state != AttemptState::NotSent)
        .then(|| "its attempt of this generation was made for another spec".to_owned())
}

/// Evidence of an attempt of this generation without the attempt itself, or without the `Ready` that every write of this
/// product sets: they were deleted, or an older CRD pruned them. Either way a request may have been sent.
fn evidence_without_attempt(object: &ClusterRedistribution, generation: i64) -> Option<String> {
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
fn lost_older_generation(object: &ClusterRedistribution, generation: i64) -> Option<i64> {
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

/// The object's own attempt, while its outcome is not proven.
pub fn unproven(object: &ClusterRedistribution) -> Option<&Attempt> {
    let attempt = object.attempt()?;
    let unproven = matches!(attempt.known_state(), Some(AttemptState::Claimed | AttemptState::Unknown));
    (unproven && object.metadata.uid.as_deref() == Some(&attempt.uid)).then_some(attempt)
}

/// True once this generation is closed for good: the object may leave the cache.
pub fn is_finished(object: &ClusterRedistribution) -> bool {
    let observed = object.status.as_ref().and_then(|status| status.observed_generation);
    observed == object.metadata.generation && read(object) == Journal::Closed
}

/// The grace of an attempt: its own, or the largest possible if it names none.
pub fn grace_of(attempt: &Attempt) -> Duration {
    let seconds = attempt.grace_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    seconds.map_or(MAX_GRACE, Duration::from_secs).min(MAX_GRACE)
}

/// Hash of a spec, trigger included: the same hash means the same request. 128 bits in hex.
pub fn spec_hash(spec: &ClusterRedistributionSpec) -> String {
    let mut hasher = Sha256::new();
    let jobs = spec.parallel_jobs.to_string();
    let cluster = spec.cluster_id.to_ascii_lowercase();
    for (field, value) in [
        ("projectID", Some(spec.project_id.as_str())),
        ("clusterID", Some(cluster.as_str())),
        ("redisMode", Some(spec.redis_mode.as_str())),
        ("parallelJobs", Some(jobs.as_str())),
        ("region", spec.region.as_deref()),
        ("trigger", spec.trigger.as_deref()),
    ] {
        // Length-prefixed, so that no value can imitate the next field.
        if let Some(value) = value {
            hasher.update(format!("{field}:{}:{value};", value.len()));
        }
    }
    hex::encode(hasher.finalize()).chars().take(32).collect()
}

/// True if this object requested the same spec before, in an attempt that could have reached the cloud.
pub fn asked_before(object: &ClusterRedistribution) -> bool {
    let (Some(status), Some(generation)) = (&object.status, object.metadata.generation) else { return false };
    // A journal copied from another object is no request of this one.
    let uid = object.metadata.uid.as_deref();
    if status.attempt.as_ref().is_some_and(|attempt| Some(attempt.uid.as_str()) != uid) {
        return false;
    }
    let hash = spec_hash(&object.spec);
    let asked = |state: &str, of_generation: i64, spec_hash: Option<&str>| {
        let could_have_arrived =
            matches!(AttemptState::parse(state), Some(AttemptState::Answered | AttemptState::Unknown));
        could_have_arrived && of_generation < generation && spec_hash == Some(hash.as_str())
    };
    status.attempt.iter().any(|attempt| asked(&attempt.state, attempt.generation, attempt.spec_hash.as_deref()))
        || status.history.iter().any(|past| asked(&past.state, past.generation, past.spec_hash.as_deref()))
}

/// The generation that status speaks of; -1 if it names none.
pub fn observed_generation(object: &ClusterRedistribution) -> i64 {
    object.status.as_ref().and_then(|status| status.observed_generation).unwrap_or(-1)
}

/// The generation for which `Ready` reports `JournalInvalid`, if it does.
pub fn invalid_generation(object: &ClusterRedistribution) -> Option<i64> {
    let conditions = &object.status.as_ref()?.conditions;
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready")?;
    (ready.reason == Reason::JournalInvalid.as_str()).then_some(ready.observed_generation).flatten()
}

pub(super) fn is_complete(attempt: &Attempt) -> bool {
    !attempt.id.is_empty() && !attempt.uid.is_empty() && !attempt.state.is_empty() && attempt.generation > 0
}

fn cooling_down(attempt: &Attempt) -> Journal<'_> {
    if attempt.id.is_empty() {
        return lost_attempt(attempt.generation);
    }
    Journal::CoolingDown { key: Cow::Borrowed(&attempt.id), grace: grace_of(attempt) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests;
