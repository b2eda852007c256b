//! Writes down what became of an attempt: again and again, from a fresh read each time, until it stands, somebody else's
//! knowledge is as good, or the object is gone. Each retry pauses, whatever the error. It takes no right and decides nothing.

use std::{collections::HashSet, sync::Arc, time::Duration};

use k8s_openapi::jiff::Timestamp;
use tokio::{
    sync::OwnedMutexGuard,
    time::{Instant, sleep, sleep_until},
};

use super::{API_TIMEOUT, StatusStore, WriteError, raw::Seen};
use crate::{
    api::ClusterRedistribution,
    protocol::{
        record::{Record, Recording},
        transitions,
    },
    runtime::jitter::jittered,
};

/// Pauses between tries to record an outcome. The longest is short, so that an outcome is written within seconds of the
/// API server's return.
const RECORD_PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(4));
/// First pause after a conflict, which says that the API server is there.
const CONFLICT_PAUSE: Duration = Duration::from_millis(20);
/// What it means that a status is not found where the object is.
const NO_STATUS: &str = "the object is there and its status is not found: the installed CustomResourceDefinition serves no subresource status. Install the CRD of the controller's version";
/// What it means that a view lacks something of status.
const HIDDEN: &str = "the object's status is not whole, since an older CRD or an admission webhook hides a part of it. Install the CRD of the controller's version";

/// Outcomes that could not be written are tried one after the other, so that many of them ask no more of an API server
/// than one does. Once one is written the others follow at once.
#[derive(Debug)]
pub(super) struct Turn {
    not_before: Instant,
    /// Kinds of errors that were said since anything could be written.
    said: HashSet<&'static str>,
}

impl Default for Turn {
    fn default() -> Self {
        Self { not_before: Instant::now(), said: HashSet::new() }
    }
}

/// What was said of one outcome, and its pauses.
struct Retry<'a> {
    attempt_id: &'a str,
    said: HashSet<&'static str>,
    pause: Duration,
    conflicts: u32,
    not_before: Instant,
}

impl<'a> Retry<'a> {
    fn new(attempt_id: &'a str) -> Self {
        let (said, pause, not_before) = (HashSet::new(), RECORD_PAUSES.0, Instant::now());
        Self { attempt_id, said, pause, conflicts: 0, not_before }
    }

    /// After a failure: later each time, for this outcome and for all that wait with it.
    fn put_off(&mut self, turn: &mut Turn) {
        self.not_before = Instant::now() + jittered(self.pause);
        turn.not_before = self.not_before;
        self.pause = self.pause.saturating_mul(2).min(RECORD_PAUSES.1);
    }

    /// Each kind of error once.
    fn say(&mut self, turn: &mut Turn, kind: &'static str, error: &str) {
        let (attempt, seconds) = (self.attempt_id, self.pause.as_secs());
        if !self.said.insert(kind) || !turn.said.insert(kind) {
            tracing::debug!(attempt, error, seconds, "the outcome is not written yet, as was said");
            return;
        }
        tracing::warn!(
            attempt,
            error,
            seconds,
            "the outcome is not written yet; it is kept and tried again every few seconds until it is written"
        );
    }

    /// Somebody else writes the object. At once again, unless it goes on: then a little slower each time.
    async fn after_conflict(&mut self, turn: &mut Option<OwnedMutexGuard<Turn>>) {
        // The API server answers: the others need not wait for this object.
        if let Some(mut turn) = turn.take() {
            *turn = Turn::default();
        }
        sleep(jittered(CONFLICT_PAUSE.saturating_mul(1 << self.conflicts.min(8)).min(RECORD_PAUSES.1))).await;
        self.conflicts += 1;
    }
}

/// How the recording of an outcome ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is in status.
    Written,
    /// Status knew as much already.
    Known,
    /// A newer attempt took its place.
    Replaced,
    /// The object is gone.
    Gone,
}

impl StatusStore {
    /// Records what became of an attempt, starting from the object as the claim left it. Ends only with one of the above.
    pub async fn record(&self, claimed: ClusterRedistribution, attempt_id: &str, record: &Record) -> Recorded {
        self.until_written(claimed, attempt_id, true, |object| {
            transitions::recorded(&object.status(), object.generation(), attempt_id, record, Timestamp::now())
        })
        .await
    }

    /// Takes back a claim of which the installed CRD kept nothing or not all, starting from the object as that left it.
    /// For the claimant alone, who knows that nothing was sent. What is left half-way would read as a call that nobody
    /// knows of, and close the generation.
    pub async fn withdraw(&self, pruned: ClusterRedistribution, attempt_id: &str, message: &str) -> Recorded {
        let (left, reply) = (pruned.attempt().cloned(), pruned.metadata.resource_version.clone());
        self.until_written(pruned, attempt_id, false, |object| {
            // Another claimant's journal may be what a later view hides: only our own id is written upon.
            let is_ours = || object.status().attempt.is_some_and(|attempt| attempt.id == attempt_id);
            if object.version() != reply.as_deref() && !is_ours() {
                return Recording::Replaced;
            }
            transitions::withdrawn(&object.status(), left.as_ref(), object.generation(), message, Timestamp::now())
        })
        .await
    }

    async fn until_written(
        &self,
        object: ClusterRedistribution,
        attempt_id: &str,
        is_kept_while_hidden: bool,
        recording: impl Fn(&Seen) -> Recording,
    ) -> Recorded {
        let identity = object.clone();
        let mut object = Seen::Whole(Box::new(object));
        let (mut retry, mut turn, mut reduce) = (Retry::new(attempt_id), None::<OwnedMutexGuard<Turn>>, None);
        loop {
            let next = match recording(&object) {
                Recording::Write(next) if reduce.is_some() => transitions::reduced(&next),
                Recording::Write(next) => *next,
                Recording::Known => return Recorded::Known,
                // The attempt may be there, and only this view lacks it.
                Recording::Replaced if is_kept_while_hidden && object.is_hidden() => {
                    self.pause(&mut retry, &mut turn, "hidden", HIDDEN).await;
                    match self.see_again(&identity, &mut retry, &mut turn).await {
                        Err(ended) => return ended,
                        Ok(latest) => object = latest.unwrap_or(object),
                    }
                    continue;
                }
                Recording::Replaced => return Recorded::Replaced,
            };
            // Looked at before it is believed: where the kind has no status to write, that is not found either.
            let mut is_missing = false;
            match self.put_seen(&object, next, API_TIMEOUT).await {
                Ok(()) => {
                    if let Some(mut turn) = turn {
                        *turn = Turn::default();
                    }
                    if let Some(reason) = reduce {
                        tracing::warn!(
                            attempt = attempt_id,
                            reason,
                            "the API server took the outcome only without its details"
                        );
                    }
                    return Recorded::Written;
                }
                Err(WriteError::Gone) => is_missing = true,
                Err(WriteError::Invalid(reason)) if reduce.is_none() => {
                    reduce = Some(reason);
                    retry.after_conflict(&mut turn).await;
                }
                Err(WriteError::Conflict) => retry.after_conflict(&mut turn).await,
                Err(error) => self.pause(&mut retry, &mut turn, error.reason(), &error.to_string()).await,
            }
            // Also after an unclear answer: the write may have been ours.
            match self.see_again(&identity, &mut retry, &mut turn).await {
                Err(ended) => return ended,
                Ok(Some(latest)) => object = latest,
                Ok(None) => {}
            }
            if is_missing {
                // Somebody has to install a CRD, and each try is two requests.
                sleep(RECORD_PAUSES.1).await;
                self.pause(&mut retry, &mut turn, "no_status", NO_STATUS).await;
            }
        }
    }

    /// Reads the object until it can be read; only its own absence ends that. None: it may not be read, but perhaps be
    /// written.
    async fn see_again(
        &self,
        identity: &ClusterRedistribution,
        retry: &mut Retry<'_>,
        turn: &mut Option<OwnedMutexGuard<Turn>>,
    ) -> Result<Option<Seen>, Recorded> {
        loop {
            let error = match self.see(identity, API_TIMEOUT).await {
                Ok(latest) => return Ok(Some(latest)),
                Err(WriteError::Gone) => return Err(Recorded::Gone),
                Err(error) => error,
            };
            self.pause(retry, turn, error.reason(), &error.to_string()).await;
            if matches!(error, WriteError::Refused(_)) {
                return Ok(None);
            }
        }
    }

    /// Says what is wrong, and waits until it is this outcome's turn to be tried again.
    async fn pause(
        &self,
        retry: &mut Retry<'_>,
        turn: &mut Option<OwnedMutexGuard<Turn>>,
        kind: &'static str,
        error: &str,
    ) {
        let mut failed = match turn.take() {
            Some(turn) => turn,
            None => Arc::clone(&self.turn).lock_owned().await,
        };
        retry.say(&mut failed, kind, error);
        retry.put_off(&mut failed);
        drop(failed);
        sleep_until(retry.not_before).await;
        let next = Arc::clone(&self.turn).lock_owned().await;
        sleep_until(next.not_before).await;
        *turn = Some(next);
    }

    /// Records an outcome that is known from the outside, once, on the object as it was seen. A conflict is no
    /// failure: the watch brings the newer object.
    pub async fn close(
        &self,
        object: &ClusterRedistribution,
        attempt_id: &str,
        record: &Record,
    ) -> Result<Recorded, WriteError> {
        let current = object.status.clone().unwrap_or_default();
        let generation = object.metadata.generation.unwrap_or_default();
        match transitions::recorded(&current, generation, attempt_id, record, Timestamp::now()) {
            Recording::Write(next) => match self.put(object, (*next).clone(), API_TIMEOUT, false).await {
                Err(WriteError::Invalid(_)) => self.put(object, transitions::reduced(&next), API_TIMEOUT, false).await,
                written => written,
            }
            .map(|_| Recorded::Written),
            Recording::Known => Ok(Recorded::Known),
            Recording::Replaced => Ok(Recorded::Replaced),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;
