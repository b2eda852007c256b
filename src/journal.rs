//! PURE: what the journal in status proves about an object's current generation. It only reads; what follows from it
//! is decided in `decide`.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use sha2::{Digest, Sha256};

use crate::{
    conditions::{REDISTRIBUTED, TYPES, condition_at, is_held_at},
    resource::{Attempt, AttemptState, ClusterRedistribution, ClusterRedistributionSpec, Reason, Row},
};

/// Longest `--send-budget`.
pub const MAX_SEND_BUDGET: Duration = Duration::from_secs(30);
/// Longest `--request-timeout`.
pub const MAX_REQUEST_TIMEOUT: Duration = Duration::from_secs(300);
/// Longest `--grace-margin`.
pub const MAX_GRACE_MARGIN: Duration = Duration::from_secs(60);
/// The largest grace the flags allow; what an attempt without `graceSeconds` is given.
pub const MAX_GRACE: Duration = Duration::from_secs(390);

/// What is waited for where an attempt was lost, and its name with it.
pub const LOST: &str = "journal";

/// What the journal says about the object's current generation.
#[derive(Debug, PartialEq)]
pub enum Journal<'a> {
    /// Nothing was claimed for this generation, and nothing before it is open.
    Free,
    /// This generation's attempt is Answered, Unknown or NotSent for good.
    Closed,
    /// This generation's attempt was proven not sent and may be followed by another.
    Retry,
    /// An attempt, of this generation or an older one, of which nobody knows yet what became of it.
    Open(&'a Attempt),
    /// Something of the past may still be on its way; the next claim waits until it has been seen for the grace.
    Quiet {
        /// What has to have been seen for that long.
        key: &'a str,
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
    let uid = object.metadata.uid.as_deref().unwrap_or_default();
    let held_at = invalid_since(object);
    let Some(attempt) = object.attempt() else {
        return without_attempt(object, generation, held_at);
    };
    if attempt.uid != uid {
        // A copy of another object's status. Only an edit made after we said so is a wish of this object.
        return if held_at.is_some_and(|held| held < generation) {
            quiet(attempt)
        } else {
            Journal::Invalid(format!("its attempt belongs to another object (uid {})", attempt.uid))
        };
    }
    if attempt.generation > generation {
        return Journal::Invalid(format!(
            "its attempt is of generation {}, which is still to come: the object seems to have been restored, and generations up to that one may have been sent",
            attempt.generation
        ));
    }
    if let Some(evidence) = evidence_without_attempt(object, generation, attempt.generation) {
        return Journal::Invalid(evidence);
    }
    match (attempt.known_state().filter(|_| is_complete(attempt)), attempt.generation == generation) {
        (None, true) => Journal::Invalid(format!(
            "its attempt is in the state {:?}, which this version does not know",
            attempt.state
        )),
        // An older generation's attempt that cannot be read: a new generation claims over it, but not on top of it.
        (None | Some(AttemptState::Unknown), false) => quiet(attempt),
        (Some(AttemptState::Claimed), _) => Journal::Open(attempt),
        (Some(AttemptState::Answered | AttemptState::Unknown), true) => Journal::Closed,
        (Some(AttemptState::NotSent), true) if attempt.closed == Some(true) => Journal::Closed,
        (Some(AttemptState::NotSent), true) => Journal::Retry,
        // An attempt was lost since this one, and its request may still be on its way.
        (Some(AttemptState::Answered | AttemptState::NotSent), false)
            if held_at.is_some_and(|held| held < generation && held >= attempt.generation) =>
        {
            Journal::Quiet { key: LOST, grace: MAX_GRACE }
        }
        (Some(AttemptState::Answered | AttemptState::NotSent), false) => Journal::Free,
    }
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

/// Hash of a spec, trigger included: the same hash means the same wish. 128 bits in hex.
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
    let hash = spec_hash(&object.spec);
    let asked = |state: &str, of: i64, with: Option<&str>| {
        let could_have_arrived =
            matches!(AttemptState::parse(state), Some(AttemptState::Answered | AttemptState::Unknown));
        could_have_arrived && of < generation && with == Some(hash.as_str())
    };
    status.attempt.iter().any(|attempt| asked(&attempt.state, attempt.generation, attempt.spec_hash.as_deref()))
        || status.history.iter().any(|past| asked(&past.state, past.generation, past.spec_hash.as_deref()))
}

fn without_attempt(object: &ClusterRedistribution, generation: i64, held_at: Option<i64>) -> Journal<'_> {
    match (evidence_without_attempt(object, generation, 0), held_at) {
        (Some(evidence), _) => Journal::Invalid(evidence),
        // Said once, it holds until the next generation, even where the evidence was overwritten by saying so.
        (None, Some(held)) if held >= generation => {
            Journal::Invalid("the attempt of this generation was lost from it".to_owned())
        }
        (None, Some(_)) => Journal::Quiet { key: LOST, grace: MAX_GRACE },
        (None, None) => Journal::Free,
    }
}

/// Traces of an attempt for this generation that are there without the attempt itself: somebody wiped the journal, or
/// an older CRD pruned it. Either way a request may have left.
fn evidence_without_attempt(object: &ClusterRedistribution, generation: i64, attempted: i64) -> Option<String> {
    let status = object.status.as_ref()?;
    if let Some(past) = status.history.iter().find(|past| past.generation >= generation) {
        return Some(format!("its history holds an attempt of generation {}", past.generation));
    }
    if attempted == generation {
        return None;
    }
    if status.observed_generation == Some(generation) && status.status_code.is_some() {
        return Some("it holds an answer for this generation, but not the attempt".to_owned());
    }
    // Only what was called is looked at afterwards.
    let was_observed = condition_at(&status.conditions, REDISTRIBUTED, generation).is_some();
    (was_observed || speak_of_a_call(&status.conditions, generation))
        .then(|| "its conditions speak of a call for this generation, but the attempt is missing".to_owned())
}

/// Whether conditions of ours say that this generation was called, or may have been. Others' are none of our business.
pub fn speak_of_a_call(conditions: &[Condition], generation: i64) -> bool {
    let ours = conditions.iter().filter(|condition| TYPES.contains(&condition.type_.as_str()));
    ours.filter(|condition| condition.observed_generation == Some(generation)).any(|condition| {
        let row = Reason::ALL.iter().find(|reason| reason.as_str() == condition.reason).map(|reason| reason.row());
        let after_a_claim = match row {
            Some(Row::InFlight | Row::Delivered | Row::Unknown) => true,
            // A look before the claim found what a call would have been refused for: such an object goes on by itself.
            Some(Row::Refused) => !is_held_at(conditions, generation, &condition.reason),
            Some(Row::Held | Row::Stuck) | None => false,
        };
        after_a_claim || (condition.type_ == "Delivered" && condition.status != "False")
    })
}

/// The generation for which `JournalInvalid` was last said, if it still stands in status.
fn invalid_since(object: &ClusterRedistribution) -> Option<i64> {
    let conditions = &object.status.as_ref()?.conditions;
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready")?;
    (ready.reason == Reason::JournalInvalid.as_str()).then_some(ready.observed_generation).flatten()
}

fn is_complete(attempt: &Attempt) -> bool {
    !attempt.id.is_empty() && attempt.generation > 0
}

fn quiet(attempt: &Attempt) -> Journal<'_> {
    Journal::Quiet { key: &attempt.id, grace: grace_of(attempt) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests;
