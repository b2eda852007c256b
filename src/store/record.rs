//! Records the outcome of an attempt: it retries, from a fresh read each time, until the outcome is written, status records
//! an outcome of the same rank, or the object is gone. Each retry pauses, whatever the error.

use std::{sync::Arc, time::Duration};

use backon::ExponentialBackoff;
use k8s_openapi::jiff::Timestamp;
use kube::Resource;
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::{Instant, sleep, sleep_until},
};

use super::{API_TIMEOUT, StatusStore, StoreError, object::StoredObject};
use crate::{
    api::{ClusterRedistribution, ObjectKey},
    protocol::transitions::{self, Record, Recording},
    runtime::throttle::{ThrottledLog, doubling, jittered},
};

/// First and longest pause between two writes: short, so that an outcome is written soon after the API server's return.
const RECORD_PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(4));
/// First and longest pause after a conflict, which proves that the API server answers.
const CONFLICT_PAUSES: (Duration, Duration) = (Duration::from_millis(20), RECORD_PAUSES.1);
const NO_STATUS: &str = "the object exists but its status is not found: the installed CustomResourceDefinition serves no subresource status. Install the CRD of the controller's version";
const HIDDEN: &str = "the object's status is incomplete, since an older CRD or an admission webhook hides a part of it. Install the CRD of the controller's version";

/// Outcomes that could not be written are retried one after the other, so that many of them send no more requests to an API
/// server than one does. Once one is written, the others follow at once.
#[derive(Debug, Default)]
pub(super) struct RetryTurn {
    not_before: Option<Instant>,
    log: ThrottledLog,
}

/// The retries of one outcome.
struct Retry<'a> {
    attempt_id: &'a str,
    shared: Arc<Mutex<RetryTurn>>,
    /// Held while it is this outcome's turn to be retried.
    turn: Option<OwnedMutexGuard<RetryTurn>>,
    pauses: ExponentialBackoff,
    conflict_pauses: ExponentialBackoff,
}

impl Retry<'_> {
    /// Logs the error, and waits until it is this outcome's turn to be retried.
    async fn pause(&mut self, kind: &'static str, error: &str) {
        let mut failed = match self.turn.take() {
            Some(turn) => turn,
            None => Arc::clone(&self.shared).lock_owned().await,
        };
        let pause = self.pauses.next().unwrap_or(RECORD_PAUSES.1);
        let (attempt, seconds) = (self.attempt_id, pause.as_secs());
        if failed.log.failed(kind, Instant::now().into_std()).is_some() {
            tracing::warn!(
                attempt,
                error,
                seconds,
                "the outcome is not written yet; it is kept and the write is retried every few seconds until it succeeds"
            );
        } else {
            tracing::debug!(attempt, error, seconds, "the outcome is not written yet; this was reported before");
        }
        // For this outcome and for all that wait with it.
        let not_before = Instant::now() + jittered(pause);
        failed.not_before = Some(not_before);
        drop(failed);
        sleep_until(not_before).await;
        let turn = self.turn.insert(Arc::clone(&self.shared).lock_owned().await);
        if let Some(not_before) = turn.not_before {
            sleep_until(not_before).await;
        }
    }

    async fn pause_after_conflict(&mut self) {
        // The API server answers: other outcomes need not wait for this object.
        self.end_turn();
        sleep(jittered(self.conflict_pauses.next().unwrap_or(CONFLICT_PAUSES.1))).await;
    }

    /// Lets the others follow at once.
    fn end_turn(&mut self) {
        if let Some(mut turn) = self.turn.take() {
            turn.not_before = None;
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    Written,
    /// Status already records an outcome of the same or a higher rank.
    Known,
    /// A newer attempt has replaced this one.
    Replaced,
    Gone,
}

impl StatusStore {
    /// Starts from the object as the claim left it. Returns only once the result is certain.
    pub async fn record(&self, claimed: ClusterRedistribution, attempt_id: &str, record: &Record) -> Recorded {
        self.until_written(claimed, attempt_id, true, |object| {
            transitions::recorded(&object.status(), generation(object), attempt_id, record, Timestamp::now())
        })
        .await
    }

    /// Withdraws a claim that the installed CRD did not keep whole, starting from the pruned object. For the claimant only,
    /// which knows that nothing was sent. A part of the claim would look like an unknown outcome, and close the generation.
    pub async fn withdraw(&self, pruned: ClusterRedistribution, attempt_id: &str, message: &str) -> Recorded {
        let (left, reply) = (pruned.attempt().cloned(), pruned.metadata.resource_version.clone());
        self.until_written(pruned, attempt_id, false, |object| {
            // A later read may hide another claimant's journal: only this claim's own id is overwritten.
            let is_ours = || object.status().attempt.is_some_and(|attempt| attempt.id == attempt_id);
            if object.meta().resource_version != reply && !is_ours() {
                return Recording::Replaced;
            }
            transitions::withdrawn(&object.status(), left.as_ref(), generation(object), message, Timestamp::now())
        })
        .await
    }

    async fn until_written(
        &self,
        object: ClusterRedistribution,
        attempt_id: &str,
        retry_while_hidden: bool,
        recording: impl Fn(&StoredObject) -> Recording,
    ) -> Recorded {
        let identity = object.key();
        let mut object = StoredObject { object: Ok(object) };
        let mut retry = Retry {
            attempt_id,
            shared: Arc::clone(&self.turn),
            turn: None,
            pauses: doubling(RECORD_PAUSES.0, RECORD_PAUSES.1),
            conflict_pauses: doubling(CONFLICT_PAUSES.0, CONFLICT_PAUSES.1),
        };
        let mut reduce = None;
        loop {
            // Verified by a read: if the CRD serves no subresource status, a write is answered with 404 too.
            let mut is_not_found = false;
            match recording(&object) {
                Recording::Known => return Recorded::Known,
                // The attempt may exist, and only this read lacks it.
                Recording::Replaced if retry_while_hidden && object.is_hidden() => retry.pause("hidden", HIDDEN).await,
                Recording::Replaced => return Recorded::Replaced,
                Recording::Write(next) => {
                    let next = if reduce.is_some() { transitions::reduced(&next) } else { *next };
                    match self.put_leniently(&object, next).await {
                        Ok(()) => {
                            retry.end_turn();
                            if let Some(reason) = reduce {
                                tracing::warn!(
                                    attempt = attempt_id,
                                    reason,
                                    "the API server accepted the outcome only without its details"
                                );
                            }
                            return Recorded::Written;
                        }
                        Err(StoreError::Gone) => is_not_found = true,
                        Err(StoreError::Invalid(reason)) if reduce.is_none() => {
                            reduce = Some(reason);
                            retry.pause_after_conflict().await;
                        }
                        Err(StoreError::Conflict) => retry.pause_after_conflict().await,
                        Err(error) => retry.pause(error.reason(), &error.to_string()).await,
                    }
                }
            }
            // Also after an indeterminate answer: the write may have succeeded.
            match self.reread(&identity, &mut retry).await {
                Err(ended) => return ended,
                Ok(Some(latest)) => object = latest,
                Ok(None) => {}
            }
            if is_not_found {
                // An administrator must install a CRD, and each retry is two requests.
                sleep(RECORD_PAUSES.1).await;
                retry.pause("no_status", NO_STATUS).await;
            }
        }
    }

    /// Reads the object, with retries until it can be read or is gone. None if reading is forbidden: a write may still be
    /// allowed.
    async fn reread(&self, identity: &ObjectKey, retry: &mut Retry<'_>) -> Result<Option<StoredObject>, Recorded> {
        loop {
            let error = match self.read_leniently(identity, API_TIMEOUT).await {
                Ok(latest) => return Ok(Some(latest)),
                Err(StoreError::Gone) => return Err(Recorded::Gone),
                Err(error) => error,
            };
            retry.pause(error.reason(), &error.to_string()).await;
            if matches!(error, StoreError::Refused(_)) {
                return Ok(None);
            }
        }
    }

    /// Records an outcome without retries, on the object as it was read, for an attempt without a task. A conflict is no
    /// failure: the watch delivers the newer object.
    pub async fn close(
        &self,
        object: &ClusterRedistribution,
        attempt_id: &str,
        record: &Record,
    ) -> Result<Recorded, StoreError> {
        let current = object.status.clone().unwrap_or_default();
        let generation = object.metadata.generation.unwrap_or_default();
        match transitions::recorded(&current, generation, attempt_id, record, Timestamp::now()) {
            Recording::Write(next) => match self.put(object, (*next).clone(), API_TIMEOUT, false).await {
                Err(StoreError::Invalid(_)) => self.put(object, transitions::reduced(&next), API_TIMEOUT, false).await,
                written => written,
            }
            .map(|_| Recorded::Written),
            Recording::Known => Ok(Recorded::Known),
            Recording::Replaced => Ok(Recorded::Replaced),
        }
    }
}

fn generation(object: &StoredObject) -> i64 {
    object.meta().generation.unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;
