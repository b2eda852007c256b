//! PURE: decides the next step for an object. All inputs are arguments, the clock included; `decide` reads nothing,
//! writes nothing and sends nothing.
//!
//! The guarantee requires the order of the checks: an open attempt is resolved before anything else is checked, and a claim
//! is the last step, when no check blocks it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::jiff::Timestamp;

use crate::{
    api::{ClusterRedistribution, ClusterRedistributionSpec, ObjectKey, Reason},
    protocol::{
        annotations::{self, NOT_AFTER, Switches},
        attempts::AttemptTracker,
        journal::{self, Journal},
        regions::{Endpoint, Regions},
    },
};

/// The wall clock, for times in the object such as `not-after`, and the monotonic one, for every wait.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    pub wall: Timestamp,
    pub instant: Instant,
}

impl Now {
    pub fn read() -> Self {
        Self { wall: Timestamp::now(), instant: Instant::now() }
    }
}

#[derive(Clone, Debug)]
pub struct Rules {
    /// `--require-not-after`: objects without the annotation `not-after` are blocked.
    pub require_not_after: bool,
    /// `--hold-reverts`: a spec that this object has already requested is blocked.
    pub hold_reverts: bool,
    /// Grace of this process's claims: send budget + request timeout + margin.
    pub grace: Duration,
    pub regions: Regions,
}

#[derive(Debug, PartialEq)]
pub enum Step {
    /// The object is being deleted, or this generation is closed.
    Done,
    /// The object as read lacks something that was written; the text names it. Nothing is written to the object, since a
    /// write would erase what a schema only hides.
    Hidden(String),
    /// Nothing is written; the object is requeued after this time at the latest.
    Wait(Duration),
    /// A claim that this process abandoned was written after all: record that it was never sent. Also without the lead or
    /// during a shutdown, since no other process can know it.
    Retract { attempt_id: String },
    /// A claim whose outcome was not recorded within its grace: record that the outcome is unknown.
    Expire { attempt_id: String },
    /// No request is sent; status reports why.
    Hold { reason: Reason, message: String },
    /// Suspended: describe the request, and claim nothing.
    Preview(Plan),
    /// Claim the right to call, then call.
    Call(Plan),
}

/// What would be requested, for which object. Compared whole: any difference is another plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub object: ObjectKey,
    pub generation: i64,
    pub spec: ClusterRedistributionSpec,
    pub endpoint: Arc<Endpoint>,
    pub switches: Switches,
    /// The last attempt of this generation was not sent: probe the endpoint first, so that an outage costs no claims.
    pub probe_first: bool,
}

/// Longest time until an object is reconciled again when no event triggers it.
const MAX_REQUEUE: Duration = Duration::from_secs(30);

/// The next step for `object`. The first match wins.
pub fn decide(object: &ClusterRedistribution, attempts: &AttemptTracker, rules: &Rules, now: Now) -> Step {
    if object.metadata.deletion_timestamp.is_some() {
        return Step::Done;
    }
    let (uid, generation) =
        (object.metadata.uid.as_deref().unwrap_or_default(), object.metadata.generation.unwrap_or_default());
    let remaining_grace = |key: &str, grace: Duration| {
        let remaining = rules.grace.max(grace).saturating_sub(attempts.known_for(uid, key, now.instant));
        (!remaining.is_zero()).then_some(remaining)
    };
    let journal = journal::read(object);
    if let Journal::Missing(what) = journal {
        return Step::Hidden(what);
    }
    // No other process can record it. If the claim has expired as Unknown, its generation stays closed.
    if let Some(attempt) = attempts.to_retract(object) {
        return Step::Retract { attempt_id: attempt.id.clone() };
    }
    match &journal {
        // Once reported for a generation, it stays invalid.
        Journal::Invalid(_) if journal::invalid_generation(object) == Some(generation) => {
            // An older CRD has pruned the observed generation of that report: tools would wait for it without end.
            return if journal::observed_generation(object) < generation {
                Step::Hidden("status.observedGeneration was written and is missing".to_owned())
            } else {
                Step::Done
            };
        }
        Journal::Invalid(what) => {
            return Step::Hold { reason: Reason::JournalInvalid, message: journal_invalid(what) };
        }
        Journal::Closed => return Step::Done,
        // Its own task will record the outcome, however long that takes.
        Journal::InFlight(attempt) if attempts.is_live(&attempt.id) => return Step::Wait(MAX_REQUEUE),
        Journal::InFlight(attempt) => {
            return match remaining_grace(&attempt.id, journal::grace_of(attempt)) {
                Some(remaining) => Step::Wait(remaining),
                None => Step::Expire { attempt_id: attempt.id.clone() },
            };
        }
        // A request of an older generation may still be in flight: two generations never overlap.
        Journal::CoolingDown { key, grace } => {
            if let Some(remaining) = remaining_grace(key, *grace) {
                return Step::Wait(remaining);
            }
        }
        Journal::NoAttempt | Journal::NotSent | Journal::Missing(_) => {}
    }
    // Neither an empty journal nor one that shows an earlier attempt is proof. `may_have_sent` is false again once the
    // attempt was proven not sent.
    if attempts.may_have_sent(uid, generation) {
        return Step::Hidden("the attempt that this controller has made for this generation is missing".to_owned());
    }
    match plan(object, rules, now, journal == Journal::NotSent) {
        Err((reason, message)) => Step::Hold { reason, message },
        Ok(plan) if plan.switches.suspended => Step::Preview(plan),
        Ok(plan) => match attempts.retry_in(uid, generation, now.instant) {
            Some(remaining) if plan.probe_first => Step::Wait(remaining),
            _ => Step::Call(plan),
        },
    }
}

/// The checks that block a call until the object or the controller's settings change.
fn plan(object: &ClusterRedistribution, rules: &Rules, now: Now, probe_first: bool) -> Result<Plan, (Reason, String)> {
    let switches = annotations::read(object.metadata.annotations.as_ref())
        .map_err(|error| (Reason::InvalidAnnotation, error.to_string()))?;
    if rules.hold_reverts && journal::asked_before(object) {
        return Err((
            Reason::AskedBefore,
            "This object has already requested exactly this spec, and the controller runs with --hold-reverts. To request the redistribution again, set spec.trigger to a new value".to_owned(),
        ));
    }
    match switches.not_after {
        None if rules.require_not_after => {
            return Err((
                Reason::NotAfterMissing,
                format!(
                    "The controller runs with --require-not-after: set annotation {NOT_AFTER} to the instant after which the request must not be sent, for example 2026-12-01T18:00:00Z"
                ),
            ));
        }
        Some(not_after) if now.wall > not_after => {
            return Err((
                Reason::Expired,
                format!(
                    "The instant of annotation {NOT_AFTER} ({not_after}) has passed: no request is sent. Set a later instant if the redistribution is still needed"
                ),
            ));
        }
        _ => {}
    }
    let endpoint = rules
        .regions
        .resolve(object.spec.region.as_deref())
        .map_err(|error| (Reason::RegionNotAllowed, error.to_string()))?;
    Ok(Plan {
        object: object.key(),
        generation: object.metadata.generation.unwrap_or_default(),
        spec: object.spec.clone(),
        endpoint,
        switches,
        probe_first,
    })
}

pub fn journal_invalid(what: &str) -> String {
    format!(
        "The journal in status cannot be trusted: {what}. This generation may have been sent, so it is never sent again. Check the cluster in the cloud's console; only if nothing began there, set spec.trigger to a new value"
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
