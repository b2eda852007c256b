//! PURE: what is to be done with an object next. Everything it needs is an argument, the clock included; it reads
//! nothing, writes nothing and sends nothing.
//!
//! The order of the checks is the law's: what is open is settled before anything new is weighed, and a claim is the
//! last thing left when nothing speaks against it.

use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;

use crate::{
    api::{ClusterRedistribution, Reason},
    observe::{self, Stage},
    protocol::{
        annotations::{self, NOT_AFTER, Switches},
        attempts::AttemptTracker,
        journal::{self, Journal},
        regions::{Endpoint, Regions},
    },
};

/// Both clocks: the wall clock for `not-after` alone, the monotonic one for everything that waits.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Wall clock.
    pub wall: Timestamp,
    /// Monotonic clock of this process.
    pub instant: Instant,
}

impl Now {
    /// Reads both clocks.
    pub fn read() -> Self {
        Self { wall: Timestamp::now(), instant: Instant::now() }
    }
}

/// What the administrator set, as far as decisions depend on it.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Hold objects without `not-after`.
    pub require_not_after: bool,
    /// Hold a spec this object has already asked for.
    pub hold_reverts: bool,
    /// Send budget + request timeout + margin of this process.
    pub grace: Duration,
    /// Regions the administrator allows.
    pub regions: Regions,
    /// Look at redistributions after their call.
    pub observe: bool,
}

/// The next step.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// Deleting, or this generation is closed.
    Done,
    /// This view lacks something that was written, which is named here. Nothing is written upon it, since that would erase
    /// what a schema only hides.
    Hidden(String),
    /// Nothing is written; look again after this long at the latest.
    Wait(Duration),
    /// Closed for ever, and nothing is ever sent again; but how far the redistribution is, is still looked at.
    Observe(Stage),
    /// A claim that this process gave up appeared after all: record that it was never sent. Also where somebody else
    /// leads or this process is being stopped, since nobody else can know.
    Retract {
        /// The attempt.
        attempt_id: String,
    },
    /// A claim nobody finished within its grace: record that its outcome is unknown.
    Expire {
        /// The attempt.
        attempt_id: String,
    },
    /// Say why nothing is called.
    Hold {
        /// The reason.
        reason: Reason,
        /// What happened and what to do.
        message: String,
    },
    /// Suspended: prepare everything, so that the message can tell what would be sent; claim nothing.
    Preview(Plan),
    /// Take the right to call, and call.
    Call(Plan),
}

/// What a claim would be for.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Where the request goes.
    pub endpoint: Endpoint,
    /// What the annotations ask for.
    pub switches: Switches,
    /// The last try of this generation did not get through: look whether the endpoint answers before claiming again,
    /// so that an outage of the cloud costs no writes.
    pub probe_first: bool,
}

/// Longest time until an object is looked at again when nothing else would wake it.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Decides. First match wins.
pub fn decide(object: &ClusterRedistribution, attempts: &AttemptTracker, rules: &Rules, now: Now) -> Step {
    if object.metadata.deletion_timestamp.is_some() {
        return Step::Done;
    }
    let (uid, generation) =
        (object.metadata.uid.as_deref().unwrap_or_default(), object.metadata.generation.unwrap_or_default());
    let journal = journal::read(object);
    if let Journal::Missing(what) = journal {
        return Step::Hidden(what);
    }
    // Nobody else can ever say it. Where the claim was settled as unknown meanwhile, its generation stays closed.
    if let Some(attempt) = attempts.to_retract(object) {
        return Step::Retract { attempt_id: attempt.id.clone() };
    }
    match &journal {
        // Said once for a generation, it stays so.
        Journal::Invalid(_) if journal::invalid_at(object) == Some(generation) => return Step::Done,
        Journal::Invalid(what) => {
            return Step::Hold { reason: Reason::JournalInvalid, message: journal_invalid(what) };
        }
        Journal::Closed => {
            let stage = observe::stage(object, now.wall).filter(|_| rules.observe);
            return stage.map_or(Step::Done, Step::Observe);
        }
        // Its own task will say what became of it, however long that takes.
        Journal::InFlight(attempt) if attempts.is_live(&attempt.id) => return Step::Wait(LOOK_AGAIN),
        Journal::InFlight(attempt) => {
            return match rest_of_grace(attempts, rules, uid, &attempt.id, journal::grace_of(attempt), now) {
                Some(rest) => Step::Wait(rest),
                None => Step::Expire { attempt_id: attempt.id.clone() },
            };
        }
        // A request of an older generation may still be on its way: two generations never overlap.
        Journal::CoolingDown { key, grace } => {
            if let Some(rest) = rest_of_grace(attempts, rules, uid, key.as_ref(), *grace, now) {
                return Step::Wait(rest);
            }
        }
        Journal::NoAttempt | Journal::NotSent | Journal::Missing(_) => {}
    }
    // Neither an empty journal nor one that shows an earlier try proves itself: what was sent and then proven not to have
    // left is not remembered as sent.
    if attempts.may_have_sent(uid, generation) {
        return Step::Hidden("the attempt that this controller has made for this generation is not there".to_owned());
    }
    match plan(object, rules, now, journal == Journal::NotSent) {
        Err((reason, message)) => Step::Hold { reason, message },
        Ok(plan) if plan.switches.suspended => Step::Preview(plan),
        Ok(plan) => match attempts.retry_in(uid, generation, now.instant) {
            Some(rest) if plan.probe_first => Step::Wait(rest),
            _ => Step::Call(plan),
        },
    }
}

/// The checks that hold a call until somebody changes the object or the controller's settings.
fn plan(object: &ClusterRedistribution, rules: &Rules, now: Now, probe_first: bool) -> Result<Plan, (Reason, String)> {
    let switches = annotations::read(object.metadata.annotations.as_ref())
        .map_err(|error| (Reason::InvalidAnnotation, error.to_string()))?;
    if rules.hold_reverts && journal::asked_before(object) {
        return Err((
            Reason::AskedBefore,
            "This object has already asked for exactly this spec, and the controller runs with --hold-reverts. If the redistribution is wanted again, set spec.trigger to a new value".to_owned(),
        ));
    }
    match switches.not_after {
        None if rules.require_not_after => {
            return Err((
                Reason::NotAfterMissing,
                format!(
                    "The controller runs with --require-not-after: set annotation {NOT_AFTER} to the instant after which this must not be called any more, for example 2026-12-01T18:00:00Z"
                ),
            ));
        }
        Some(not_after) if now.wall > not_after => {
            return Err((
                Reason::Expired,
                format!(
                    "Annotation {NOT_AFTER} ({not_after}) has passed: nothing is called. Set a later instant if the redistribution is still wanted"
                ),
            ));
        }
        _ => {}
    }
    let endpoint = rules
        .regions
        .resolve(object.spec.region.as_deref())
        .map_err(|error| (Reason::RegionNotAllowed, error.to_string()))?;
    Ok(Plan { endpoint, switches, probe_first })
}

fn rest_of_grace(
    attempts: &AttemptTracker,
    rules: &Rules,
    uid: &str,
    key: &str,
    claimed: Duration,
    now: Now,
) -> Option<Duration> {
    let rest = rules.grace.max(claimed).saturating_sub(attempts.known_for(uid, key, now.instant));
    (!rest.is_zero()).then_some(rest)
}

/// The message of `JournalInvalid`.
pub fn journal_invalid(what: &str) -> String {
    format!(
        "The journal in status cannot be trusted: {what}. Whether this generation was sent is not known, so it never will be. Look at the cluster in the cloud's console; only if none began there, set spec.trigger to a new value"
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
