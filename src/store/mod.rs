//! The only writer of status. Every write is a PUT of the whole status with the object's uid and resourceVersion: the API
//! server's compare-and-swap, on which alone the guarantee depends. It decides nothing and never calls the cloud.

mod latest;
pub mod object;
mod put;
mod record;
mod undecodable;

use std::{sync::Arc, time::Duration};

use k8s_openapi::jiff::Timestamp;
use kube::Client;
use serde::de::IgnoredAny;
use tokio::{
    sync::{Mutex, Semaphore},
    time::Instant,
};

pub use put::{API_TIMEOUT, StoreError};
pub use record::Recorded;
pub use undecodable::Reported;

use crate::{
    api::{Attempt, ClusterRedistribution, ClusterRedistributionStatus, Reason},
    protocol::{conditions::reason_at, lost, transitions},
};

/// First and longest pause between two reads after a claim whose result is not known.
const READ_PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Requests at the API server at once, claims and outcomes aside: more would be throttled there.
const MAX_REQUESTS: usize = 32;

/// The result of a claim.
#[derive(Debug)]
pub enum Claim {
    /// The claim is written; this is the object with it.
    Acquired(Box<ClusterRedistribution>),
    /// The claim is not written, and never will be.
    Lost(StoreError),
    /// The claim was written, but another process recorded it as Unknown before the read-back: it no longer permits a
    /// call, and this process holds the proof that nothing was sent.
    Closed(Box<ClusterRedistribution>),
    /// The claim was written onto another spec or generation than it was made for: it is no right to call that one, and
    /// this process holds the proof that nothing was sent.
    Altered(Box<ClusterRedistribution>),
    /// The claim was written, but the installed CRD dropped the journal, or a part of it; this is the object as it is now.
    Pruned(Box<ClusterRedistribution>),
    /// The claim was not found, but may be applied later. Its id must be abandoned before anything else happens.
    Indeterminate(StoreError),
}

/// Reads objects and writes their status; clones share the queue in which failed records are retried.
#[derive(Clone)]
pub struct StatusStore {
    client: Client,
    /// Bounds the requests at the API server at once; claims and outcomes are not bound by it.
    limit: Arc<Semaphore>,
    /// Held by the record whose turn it is to be retried.
    turn: Arc<Mutex<record::RetryTurn>>,
}

impl StatusStore {
    /// `client` should not retry writes by itself: the second PUT conflicts with the first. The store would still detect
    /// that, at the cost of a read.
    pub fn new(client: Client) -> Self {
        Self { client, limit: Arc::new(Semaphore::new(MAX_REQUESTS)), turn: Arc::default() }
    }

    /// The limit of requests at the API server at once, for whatever else is read there.
    pub const fn limit(&self) -> &Arc<Semaphore> {
        &self.limit
    }

    /// Claims the right to call for the generation of `object`, at its resourceVersion. Waits for no answer after
    /// `deadline`.
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
            StoreError::Gone
            | StoreError::Invalid(_)
            | StoreError::Refused(_)
            | StoreError::NoIdentity(_)
            | StoreError::Encode(_) => Claim::Lost(error),
            // A conflict may be with this very claim, sent twice by a proxy; after an indeterminate answer the claim may be
            // written. Only a read of the object can tell.
            StoreError::Conflict
            | StoreError::Undecodable(_)
            | StoreError::KindNotServed(_)
            | StoreError::Indeterminate(_) => self.find_claim(object, attempt, error, deadline).await,
        }
    }

    /// Reads the object until the API server answers or the deadline has passed, and checks whether it has the claim.
    async fn find_claim(
        &self,
        object: &ClusterRedistribution,
        attempt: &Attempt,
        error: StoreError,
        deadline: Instant,
    ) -> Claim {
        let mut pause = READ_PAUSES.0;
        loop {
            let within = deadline.saturating_duration_since(Instant::now()).min(API_TIMEOUT);
            if within.is_zero() {
                return Claim::Indeterminate(error);
            }
            match self.read(&object.key(), within).await {
                Err(StoreError::Undecodable(_) | StoreError::KindNotServed(_) | StoreError::Indeterminate(_)) => {
                    tokio::time::sleep(pause.min(within)).await;
                    pause = (pause * 2).min(READ_PAUSES.1);
                }
                Err(gone) => return Claim::Lost(gone),
                Ok(latest) => {
                    if latest.attempt().is_some_and(|written| written.id == attempt.id) {
                        return read_back(latest, object, attempt);
                    }
                    // Another writer has changed the object: the claim's resourceVersion can never match again.
                    if latest.metadata.resource_version != object.metadata.resource_version {
                        return Claim::Lost(StoreError::Conflict);
                    }
                    return Claim::Indeterminate(error);
                }
            }
        }
    }

    /// Writes a status that claims no right and records no outcome.
    pub async fn write(
        &self,
        object: &ClusterRedistribution,
        next: ClusterRedistributionStatus,
    ) -> Result<(), StoreError> {
        let _one = self.limit.acquire().await;
        self.replace::<IgnoredAny>(object, next, API_TIMEOUT, false).await.map(|_| ())
    }

    /// Whether the installed CRD would keep this claim, by a dry run.
    pub async fn keeps_journal(
        &self,
        object: &ClusterRedistribution,
        attempt: &Attempt,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let next = transitions::claimed(object.status.as_ref(), attempt.clone(), "", now);
        let _one = self.limit.acquire().await;
        let echo = self.put(object, next, API_TIMEOUT, true).await?;
        Ok(echo.attempt() == Some(attempt) && shows_claim(&echo, attempt))
    }

    /// Whether the installed CRD would keep every field that is evidence of a call, by a dry run.
    pub async fn keeps_status(&self, object: &ClusterRedistribution, now: Timestamp) -> Result<bool, StoreError> {
        let next = lost::full_status(object, now);
        let _one = self.limit.acquire().await;
        let echo = self.put(object, next.clone(), API_TIMEOUT, true).await?;
        let Some(kept) = echo.status else { return Ok(false) };
        Ok(kept.attempt == next.attempt
            && kept.conditions == next.conditions
            && kept.status_code == next.status_code
            && kept.history == next.history
            && kept.observed_generation == next.observed_generation)
    }
}

/// The part of a claim that the object shows after the write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadBack {
    /// The whole claim, on the spec and generation that it was made for.
    Complete,
    /// The whole claim, on another spec or generation.
    Altered,
    /// Its attempt, which another process has closed since.
    Closed,
    /// Only a part of the claim: the installed CRD or an admission webhook dropped the rest.
    Pruned,
}

/// PURE: compares the written object with the intended claim. An older CRD silently prunes fields that it does not know, and
/// an operator that trusted the 200 would call again at every reconciliation.
pub fn check_claim(written: &ClusterRedistribution, object: &ClusterRedistribution, attempt: &Attempt) -> ReadBack {
    match written.attempt() {
        Some(found) if found == attempt => {
            if written.metadata.generation != Some(attempt.generation) || written.spec != object.spec {
                ReadBack::Altered
            } else if shows_claim(written, attempt) {
                ReadBack::Complete
            } else {
                ReadBack::Pruned
            }
        }
        Some(found) if found.id == attempt.id && found.known_state().is_some() && !found.is_open() => ReadBack::Closed,
        _ => ReadBack::Pruned,
    }
}

fn read_back(written: ClusterRedistribution, object: &ClusterRedistribution, attempt: &Attempt) -> Claim {
    let result = check_claim(&written, object, attempt);
    let written = Box::new(written);
    match result {
        ReadBack::Complete => Claim::Acquired(written),
        ReadBack::Altered => Claim::Altered(written),
        ReadBack::Closed => Claim::Closed(written),
        ReadBack::Pruned => Claim::Pruned(written),
    }
}

/// Whether the object has what a claim writes in addition to the attempt; a later read that lacks it is thereby known to be
/// incomplete.
fn shows_claim(object: &ClusterRedistribution, attempt: &Attempt) -> bool {
    let status = object.status.as_ref().filter(|status| status.observed_generation == Some(attempt.generation));
    let reason = status.and_then(|status| reason_at(&status.conditions, attempt.generation));
    reason == Some(Reason::RequestInFlight.as_str())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
