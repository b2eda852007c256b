//! PURE: what the journal in status proves about an object's current generation. It only reads; what follows from it
//! is decided in `decide`.

mod hidden;

use std::{borrow::Cow, time::Duration};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use sha2::{Digest, Sha256};

pub use self::hidden::hidden;
use crate::{
    api::{Attempt, AttemptState, ClusterRedistribution, ClusterRedistributionSpec, Reason, ReasonClass},
    protocol::conditions::{REDISTRIBUTED, TYPES, condition_at, is_held_at, reason_at},
};

/// Longest `--send-budget`.
pub const MAX_SEND_BUDGET: Duration = Duration::from_secs(30);
/// Longest `--request-timeout`.
pub const MAX_REQUEST_TIMEOUT: Duration = Duration::from_secs(300);
/// Longest `--grace-margin`.
pub const MAX_GRACE_MARGIN: Duration = Duration::from_secs(60);
/// The largest grace the flags allow; what an attempt without `graceSeconds` is given.
pub const MAX_GRACE: Duration = Duration::from_secs(390);

/// What is waited for where an attempt was lost, and its name with it: this, and the generation of the loss.
pub const LOST: &str = "lost at generation ";

/// What the journal says about the object's current generation.
#[derive(Debug, PartialEq)]
pub enum Journal<'a> {
    /// This view lacks something that was written: the schema it was read under hides it, or it was lost. Which of the two
    /// only a dry run can tell, and until then nothing is written, since a write would erase what is hidden.
    Missing(String),
    /// Nothing was claimed for this generation, and nothing before it is open.
    NoAttempt,
    /// This generation's attempt is Answered, Unknown or NotSent for good.
    Closed,
    /// This generation's attempt was proven not sent and may be followed by another.
    NotSent,
    /// An attempt, of this generation or an older one, of which nobody knows yet what became of it.
    InFlight(&'a Attempt),
    /// Something of the past may still be on its way; the next claim waits until it has been seen for the grace.
    CoolingDown {
        /// What has to have been seen for that long.
        key: Cow<'a, str>,
        /// The grace its claimant asked for.
        grace: Duration,
    },
    /// The journal contradicts the object: nothing is sent for this generation.
    Invalid(String),
}

/// Reads the journal of an object.
pub fn read(object: &ClusterRedistribution) -> Journal<'_> {
    let Some(generation) = object.metadata.generation.filter(|generation| *generation > 0) else {
        return Journal::Invalid("the object carries no generation".to_owned());
    };
    if let Some(field) = hidden(object) {
        return Journal::Missing(format!("{field} was written and is not there"));
    }
    let invalid_at = invalid_at(object);
    let said = invalid_at.is_some_and(|said| said >= generation);
    let missing = |evidence| if said { Journal::Invalid(evidence) } else { Journal::Missing(evidence) };
    if let Some(attempt) = object.attempt() {
        let uid = object.metadata.uid.as_deref().unwrap_or_default();
        let is_ours = is_complete(attempt) && attempt.uid == uid;
        // An attempt that lacks what names it, or that belongs to another object, is claimed over only by an edit made
        // after JournalInvalid was reported.
        if !is_ours && invalid_at.is_some() && !said {
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
            // Said once, it holds until the next generation, even where saying so has overwritten the evidence.
            Some(_) if said => Journal::Invalid("the attempt of this generation was lost from it".to_owned()),
            Some(said) => lost_attempt(said),
            None if lost_an_older_attempt(object, generation) => lost_attempt(last_generation(object)),
            None => Journal::NoAttempt,
        };
    };
    if let Some(contradiction) = contradiction(object, attempt, generation) {
        return Journal::Invalid(contradiction);
    }
    if said {
        return Journal::Invalid("it was found to be wrong for this generation before".to_owned());
    }
    let lost =
        || invalid_at.is_some_and(|said| said >= attempt.generation) || lost_an_older_attempt(object, generation);
    match (attempt.known_state(), attempt.generation == generation) {
        (Some(AttemptState::Claimed), _) => Journal::InFlight(attempt),
        (Some(AttemptState::Answered | AttemptState::Unknown), true) => Journal::Closed,
        (Some(AttemptState::NotSent), true) if attempt.closed == Some(true) => Journal::Closed,
        (Some(AttemptState::NotSent), true) => Journal::NotSent,
        // An attempt was lost since this one, and its request may still be on its way.
        (_, false) if lost() => {
            lost_attempt(invalid_at.unwrap_or_default().max(last_generation(object)).max(attempt.generation))
        }
        // The unknown state of an older generation's attempt: a new generation claims over it, after its grace.
        (None | Some(AttemptState::Unknown), _) => cooling_down(attempt),
        (Some(AttemptState::Answered | AttemptState::NotSent), false) => Journal::NoAttempt,
    }
}

/// What to wait for where an attempt was lost: its grace is lost with it, so it is the longest. Another loss is waited for
/// anew.
fn lost_attempt(generation: i64) -> Journal<'static> {
    Journal::CoolingDown { key: Cow::Owned(format!("{LOST}{generation}")), grace: MAX_GRACE }
}

/// What an attempt of this object says that cannot be so.
fn contradiction(object: &ClusterRedistribution, attempt: &Attempt, generation: i64) -> Option<String> {
    if attempt.generation > generation {
        return Some(format!(
            "its attempt is of generation {}, which is still to come: the object seems to have been restored, and generations up to that one may have been sent",
            attempt.generation
        ));
    }
    if attempt.generation < generation {
        return None;
    }
    let Some(state) = attempt.known_state() else {
        return Some(format!("its attempt is in the state {:?}, which this version does not know", attempt.state));
    };
    // Every claim sets both at once.
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

/// The object's own attempt, as long as nobody has proven what became of it.
pub fn unproven(object: &ClusterRedistribution) -> Option<&Attempt> {
    let attempt = object.attempt()?;
    let unproven = matches!(attempt.known_state(), Some(AttemptState::Claimed | AttemptState::Unknown));
    (unproven && object.metadata.uid.as_deref() == Some(&attempt.uid)).then_some(attempt)
}

/// True once nothing more will happen for this generation: the object may leave the cache.
pub fn is_finished(object: &ClusterRedistribution) -> bool {
    let observed = object.status.as_ref().and_then(|status| status.observed_generation);
    observed == object.metadata.generation && read(object) == Journal::Closed
}

/// The grace an attempt asks for: its own, or the largest possible if it does not say.
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
        // Length-prefixed, so that no value can pose as the next field.
        if let Some(value) = value {
            hasher.update(format!("{field}:{}:{value};", value.len()));
        }
    }
    hex::encode(hasher.finalize()).chars().take(32).collect()
}

/// True if this object asked for the same spec before, in an attempt that could have reached the cloud.
pub fn asked_before(object: &ClusterRedistribution) -> bool {
    let (Some(status), Some(generation)) = (&object.status, object.metadata.generation) else { return false };
    // What was copied from another object was not asked by this one.
    let uid = object.metadata.uid.as_deref();
    if status.attempt.as_ref().is_some_and(|attempt| Some(attempt.uid.as_str()) != uid) {
        return false;
    }
    let hash = spec_hash(&object.spec);
    let asked = |state: &str, of: i64, with: Option<&str>| {
        let could_have_arrived =
            matches!(AttemptState::parse(state), Some(AttemptState::Answered | AttemptState::Unknown));
        could_have_arrived && of < generation && with == Some(hash.as_str())
    };
    status.attempt.iter().any(|attempt| asked(&attempt.state, attempt.generation, attempt.spec_hash.as_deref()))
        || status.history.iter().any(|past| asked(&past.state, past.generation, past.spec_hash.as_deref()))
}

/// Traces of an attempt for this generation that are there without the attempt itself, or without the `Ready` that every
/// write of this product sets: somebody wiped them, or an older CRD pruned them. Either way a request may have left.
fn evidence_without_attempt(object: &ClusterRedistribution, generation: i64) -> Option<String> {
    let status = object.status.as_ref()?;
    if let Some(past) = status.history.iter().find(|past| past.generation >= generation) {
        return Some(format!("its history holds an attempt of generation {}", past.generation));
    }
    let observed = observed_generation(object);
    let attempt = status.attempt.as_ref().filter(|attempt| attempt.generation == generation);
    // A claim that was taken back under a CRD without conditions leaves this too, and proves that nothing was sent.
    let is_unsent = attempt.is_some_and(|attempt| attempt.known_state() == Some(AttemptState::NotSent));
    if observed == generation && lacks_ready(object) && !is_unsent {
        return Some("this generation was observed, but the condition Ready that says so is missing".to_owned());
    }
    if attempt.is_some() {
        return None;
    }
    if status.status_code.is_some() && (observed == generation || observed <= 0) {
        return Some("it holds an answer, but not the attempt that got it".to_owned());
    }
    // Only what was called is looked at afterwards.
    let was_observed = condition_at(&status.conditions, REDISTRIBUTED, generation).is_some();
    (was_observed || speak_of_a_call(&status.conditions, generation))
        .then(|| "its conditions speak of a call for this generation, but the attempt is missing".to_owned())
}

/// True where status speaks of an older generation, and what it says of that is missing, or says that a request may be on
/// its way of which there is no attempt.
fn lost_an_older_attempt(object: &ClusterRedistribution, generation: i64) -> bool {
    let Some(status) = &object.status else { return false };
    let last = last_generation(object);
    let is_attempted = status.attempt.as_ref().is_some_and(|attempt| attempt.generation == last);
    let may_be_under_way = || {
        // What JournalInvalid means for this is asked where its generation is compared.
        let reason = reason_at(&status.conditions, last).filter(|_| invalid_at(object).is_none());
        let class = Reason::ALL.iter().find(|known| reason == Some(known.as_str())).map(|known| known.class());
        matches!(class, Some(ReasonClass::InFlight | ReasonClass::Unknown))
    };
    last < generation && (lacks_ready(object) || (!is_attempted && may_be_under_way()))
}

/// The last generation that status speaks of: observed, or only named by `Ready` where a CRD has pruned the other.
fn last_generation(object: &ClusterRedistribution) -> i64 {
    let conditions = object.status.iter().flat_map(|status| &status.conditions);
    let ready = conditions.filter(|condition| condition.type_ == "Ready").filter_map(|ready| ready.observed_generation);
    ready.fold(observed_generation(object), i64::max)
}

/// True where a generation was observed, and the condition `Ready` of that generation is not there.
fn lacks_ready(object: &ClusterRedistribution) -> bool {
    let observed = observed_generation(object);
    let conditions = object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    observed > 0 && condition_at(conditions, "Ready", observed).is_none()
}

fn observed_generation(object: &ClusterRedistribution) -> i64 {
    object.status.as_ref().and_then(|status| status.observed_generation).unwrap_or(-1)
}

/// Whether conditions of ours say that this generation was called, or may have been. Others' are none of our business.
fn speak_of_a_call(conditions: &[Condition], generation: i64) -> bool {
    let ours = conditions.iter().filter(|condition| TYPES.contains(&condition.type_.as_str()));
    ours.filter(|condition| condition.observed_generation == Some(generation)).any(|condition| {
        let row = Reason::ALL.iter().find(|reason| reason.as_str() == condition.reason).map(|reason| reason.class());
        let after_a_claim = match row {
            Some(ReasonClass::InFlight | ReasonClass::Delivered | ReasonClass::Unknown) => true,
            // A look before the claim found what a call would have been refused for: such an object goes on by itself.
            Some(ReasonClass::Refused) => !is_held_at(conditions, generation, &condition.reason),
            Some(ReasonClass::Blocked | ReasonClass::Stalled) | None => false,
        };
        after_a_claim || (condition.type_ == "Delivered" && condition.status != "False")
    })
}

/// The generation for which `Ready` says `JournalInvalid`, if it does.
pub fn invalid_at(object: &ClusterRedistribution) -> Option<i64> {
    let conditions = &object.status.as_ref()?.conditions;
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready")?;
    (ready.reason == Reason::JournalInvalid.as_str()).then_some(ready.observed_generation).flatten()
}

fn is_complete(attempt: &Attempt) -> bool {
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
