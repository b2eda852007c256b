//! The claim: the write that gives the right to call, and what the API server shows of it afterwards.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;

use super::{API_TIMEOUT, StatusStore, StoreError};
use crate::{
    api::{Attempt, ClusterRedistribution, Reason},
    protocol::{conditions::reason_at, transitions},
    runtime::throttle::doubling,
};

/// First and longest pause between two reads.
const READ_PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

impl StatusStore {
    /// Claims at the resourceVersion of `object`, and returns what the API server has of the claim afterwards. Waits for no
    /// answer after `deadline`. After an error the claim may still be applied: its id must be abandoned.
    pub async fn claim(
        &self,
        object: &ClusterRedistribution,
        attempt: &Attempt,
        message: &str,
        deadline: Instant,
        now: Timestamp,
    ) -> Result<(ClusterRedistribution, ReadBack), StoreError> {
        let next = transitions::claimed(object.status.as_ref(), attempt.clone(), message, now);
        let within = deadline.saturating_duration_since(Instant::now()).min(API_TIMEOUT);
        let written = match self.put(object, next, within, false).await {
            // A conflict may be with this very claim, sent twice by a proxy; after an indeterminate answer the claim may be
            // written. Only a read of the object can tell.
            Err(
                error @ (StoreError::Conflict
                | StoreError::Undecodable(_)
                | StoreError::KindNotServed(_)
                | StoreError::Indeterminate(_)),
            ) => self.find_claim(object, attempt, error, deadline).await?,
            written => written?,
        };
        let shown = check_claim(&written, object, attempt);
        Ok((written, shown))
    }

    /// Reads the object with the claim, until the API server answers or the deadline has passed.
    async fn find_claim(
        &self,
        object: &ClusterRedistribution,
        attempt: &Attempt,
        error: StoreError,
        deadline: Instant,
    ) -> Result<ClusterRedistribution, StoreError> {
        let mut pauses = doubling(READ_PAUSES.0, READ_PAUSES.1);
        loop {
            let within = deadline.saturating_duration_since(Instant::now()).min(API_TIMEOUT);
            if within.is_zero() {
                return Err(error);
            }
            match self.read(&object.key(), within).await {
                Err(StoreError::Undecodable(_) | StoreError::KindNotServed(_) | StoreError::Indeterminate(_)) => {
                    tokio::time::sleep(pauses.next().unwrap_or(READ_PAUSES.1).min(within)).await;
                }
                Ok(latest) if latest.attempt().is_some_and(|written| written.id == attempt.id) => return Ok(latest),
                // Another writer has changed the object: the claim's resourceVersion can never match again.
                Ok(latest) if latest.metadata.resource_version != object.metadata.resource_version => {
                    return Err(StoreError::Conflict);
                }
                Ok(_) => return Err(error),
                Err(gone) => return Err(gone),
            }
        }
    }

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
}

/// The part of a claim that the object shows after the write. Only `Complete` permits a call; with the others this process
/// holds the proof that nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadBack {
    /// The whole claim, on the spec and generation that it was made for.
    Complete,
    /// The whole claim, on another spec or generation.
    Altered,
    /// Its attempt, which another process has recorded as Unknown since.
    Closed,
    /// Only a part of the claim: the installed CRD or an admission webhook dropped the rest.
    Pruned,
}

/// PURE. An older CRD silently prunes fields that it does not know, and an operator that trusted the 200 would call again at
/// every reconciliation.
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
