//! The only writer of status. Every write is a PUT of the whole status that carries the object's uid and
//! resourceVersion: the API server's compare-and-swap, and the one thing the law rests on. It decides nothing and
//! never calls the cloud.

mod invalid;
pub mod object;
mod put;

mod raw;
mod record;

use std::{sync::Arc, time::Duration};

use k8s_openapi::jiff::Timestamp;
use kube::Client;
use serde::de::IgnoredAny;
use tokio::{sync::Mutex, time::Instant};

pub use invalid::Reported;
pub use put::{API_TIMEOUT, WriteError};
pub use record::Recorded;

use crate::{
    api::{Attempt, ClusterRedistribution, ClusterRedistributionStatus, Reason},
    protocol::{conditions::reason_at, dry_run, transitions},
};

/// First and longest pause between two looks for a claim of which nobody knows whether it stands.
const LOOK_PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// What became of a claim.
#[derive(Debug)]
pub enum Claim {
    /// It stands; this is the object as it was written.
    Acquired(Box<ClusterRedistribution>),
    /// It certainly does not stand and never will.
    Lost(WriteError),
    /// It was written, but before we could see that, somebody gave it up as unknown: it is no right to call any more,
    /// and we hold the proof that nothing was sent.
    Closed(Box<ClusterRedistribution>),
    /// It was written, but onto another spec or generation than it was made for: it is no right to call that one, and we
    /// hold the proof that nothing was sent.
    Altered(Box<ClusterRedistribution>),
    /// It was written, but the installed CRD dropped the journal, or a part of it: this is what is there now.
    Pruned(Box<ClusterRedistribution>),
    /// It was not seen to stand, but may be applied later. Its id must be given up before anything else happens.
    Indeterminate(WriteError),
}

/// See the module.
#[derive(Clone)]
pub struct StatusStore {
    client: Client,
    /// Whose turn it is to try again what could not be recorded.
    turn: Arc<Mutex<record::Turn>>,
}

impl StatusStore {
    /// `client` should not repeat writes by itself: a repeated PUT meets its own first application as a conflict. The
    /// store would still find out, at the price of a read.
    pub fn new(client: Client) -> Self {
        Self { client, turn: Arc::default() }
    }

    /// Takes the right to call for the generation of `object`, by the resourceVersion it carries. After `deadline` no
    /// answer is waited for any more.
    pub async fn claim(
        &self,
        object: &ClusterRedistribution,
        attempt: &Attempt,
        message: &str,
        deadline: Instant,
        now: Timestamp,
    ) -> Claim {
        let next = transitions::claimed(object.status.as_ref(), attempt.clone(), message, now);
        let within = deadline.saturating_duration_since(Instant::now()).min(API_TIMEOUT);
        let error = match self.put(object, next, within, false).await {
            Ok(written) => return read_back(written, object, attempt),
            Err(error) => error,
        };
        match error {
            WriteError::Gone
            | WriteError::Invalid(_)
            | WriteError::Refused(_)
            | WriteError::NoIdentity(_)
            | WriteError::Encode(_) => Claim::Lost(error),
            // A conflict may be with our own claim, sent twice by something on the way; an unclear answer may be a
            // claim that stands. Only the object can tell.
            WriteError::Conflict
            | WriteError::Undecodable(_)
            | WriteError::KindNotServed(_)
            | WriteError::Indeterminate(_) => self.look_for(object, attempt, error, deadline).await,
        }
    }

    /// Is our claim there? Asked until somebody answers or the deadline has passed.
    async fn look_for(
        &self,
        object: &ClusterRedistribution,
        attempt: &Attempt,
        error: WriteError,
        deadline: Instant,
    ) -> Claim {
        let mut pause = LOOK_PAUSES.0;
        loop {
            let within = deadline.saturating_duration_since(Instant::now()).min(API_TIMEOUT);
            if within.is_zero() {
                return Claim::Indeterminate(error);
            }
            match self.get(object, within).await {
                Err(WriteError::Undecodable(_) | WriteError::KindNotServed(_) | WriteError::Indeterminate(_)) => {
                    tokio::time::sleep(pause.min(within)).await;
                    pause = (pause * 2).min(LOOK_PAUSES.1);
                }
                Err(gone) => return Claim::Lost(gone),
                Ok(latest) => {
                    if latest.attempt().is_some_and(|there| there.id == attempt.id) {
                        return read_back(latest, object, attempt);
                    }
                    // Written by somebody else since: our resourceVersion can never match again.
                    if latest.metadata.resource_version != object.metadata.resource_version {
                        return Claim::Lost(WriteError::Conflict);
                    }
                    return Claim::Indeterminate(error);
                }
            }
        }
    }

    /// Writes a status that takes no right and records no outcome.
    pub async fn write(
        &self,
        object: &ClusterRedistribution,
        next: ClusterRedistributionStatus,
    ) -> Result<(), WriteError> {
        self.replace::<IgnoredAny>(object, next, API_TIMEOUT, false).await.map(|_| ())
    }

    /// Would the installed CRD keep a claim? Asked without writing anything.
    pub async fn keeps_journal(
        &self,
        object: &ClusterRedistribution,
        attempt: &Attempt,
        now: Timestamp,
    ) -> Result<bool, WriteError> {
        let next = transitions::claimed(object.status.as_ref(), attempt.clone(), "", now);
        let echo = self.put(object, next, API_TIMEOUT, true).await?;
        Ok(echo.attempt() == Some(attempt) && shows_claim(&echo, attempt))
    }

    /// Would the installed CRD keep everything that shows that a generation was called? Asked without writing anything.
    pub async fn keeps_status(&self, object: &ClusterRedistribution, now: Timestamp) -> Result<bool, WriteError> {
        let next = dry_run::with_every_trace(object, now);
        let echo = self.put(object, next.clone(), API_TIMEOUT, true).await?;
        let Some(kept) = echo.status else { return Ok(false) };
        Ok(kept.attempt == next.attempt
            && kept.conditions == next.conditions
            && kept.status_code == next.status_code
            && kept.history == next.history
            && kept.observed_generation == next.observed_generation)
    }
}

/// What the object shows of a claim that was written to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadBack {
    /// All of it, on the object that it was made for.
    Complete,
    /// All of it, on another spec or generation.
    Altered,
    /// Its attempt, which somebody has closed since.
    Closed,
    /// Not all of it: the installed CRD or somebody on the way dropped the rest.
    Pruned,
}

/// PURE: compares what was written with what was meant. An older CRD prunes what it does not know, in silence, and an
/// operator that trusted the 200 would call again after every look.
pub fn check_claim(written: &ClusterRedistribution, object: &ClusterRedistribution, attempt: &Attempt) -> ReadBack {
    match written.attempt() {
        Some(there) if there == attempt => {
            if written.metadata.generation != Some(attempt.generation) || written.spec != object.spec {
                ReadBack::Altered
            } else if shows_claim(written, attempt) {
                ReadBack::Complete
            } else {
                ReadBack::Pruned
            }
        }
        Some(there) if there.id == attempt.id && there.known_state().is_some() && !there.is_open() => ReadBack::Closed,
        _ => ReadBack::Pruned,
    }
}

fn read_back(written: ClusterRedistribution, object: &ClusterRedistribution, attempt: &Attempt) -> Claim {
    let check_claim = check_claim(&written, object, attempt);
    let written = Box::new(written);
    match check_claim {
        ReadBack::Complete => Claim::Acquired(written),
        ReadBack::Altered => Claim::Altered(written),
        ReadBack::Closed => Claim::Closed(written),
        ReadBack::Pruned => Claim::Pruned(written),
    }
}

/// What a claim writes besides the attempt: a later view that lacks it is known to be incomplete by that.
fn shows_claim(object: &ClusterRedistribution, attempt: &Attempt) -> bool {
    let status = object.status.as_ref().filter(|status| status.observed_generation == Some(attempt.generation));
    let reason = status.and_then(|status| reason_at(&status.conditions, attempt.generation));
    reason == Some(Reason::RequestInFlight.as_str())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
