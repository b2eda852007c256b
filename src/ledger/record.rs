//! Writes down what became of an attempt: again and again, from a fresh read each time, until it stands, somebody else's
//! knowledge is as good, or the object is gone. It takes no right and decides nothing.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;

use super::{API_TIMEOUT, Ledger, WriteError, raw::Seen};
use crate::{
    jitter::jittered,
    resource::ClusterRedistribution,
    status::{self, Record, Recording},
};

/// Pauses between tries to record an outcome. The longest is short, so that an outcome is written within seconds of the
/// API server's return: without it nothing new can be claimed, so no more than `--concurrency` outcomes can be waiting,
/// and a returning API server does not notice them.
const RECORD_PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(4));
/// An object that nobody serves for this long went with its kind.
const NOT_SERVED: Duration = Duration::from_secs(120);
/// Longest pause after a conflict, which says that the API server is there.
const CONFLICT_PAUSE: Duration = Duration::from_secs(1);

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

impl Ledger {
    /// Records what became of an attempt, starting from the object as the claim left it. Ends only with one of the above.
    pub async fn record(&self, claimed: ClusterRedistribution, attempt_id: &str, record: &Record) -> Recorded {
        self.until_written(claimed, attempt_id, |object| {
            status::recorded(&object.status(), object.generation(), attempt_id, record, Timestamp::now())
        })
        .await
    }

    /// Takes back a claim of which the installed CRD kept nothing or not all, starting from the object as that left it.
    /// For the claimant alone, who knows that nothing was sent. What is left half-way would read as a call that nobody
    /// knows of, and close the generation.
    pub async fn withdraw(&self, pruned: ClusterRedistribution, attempt_id: &str, message: &str) -> Recorded {
        let (left, reply) = (pruned.attempt().cloned(), pruned.metadata.resource_version.clone());
        self.until_written(pruned, attempt_id, |object| {
            // Another claimant's journal may be what a later view hides.
            if object.is_later_and_hidden(reply.as_deref()) {
                return Recording::Replaced;
            }
            status::withdrawn(&object.status(), left.as_ref(), object.generation(), message, Timestamp::now())
        })
        .await
    }

    async fn until_written(
        &self,
        object: ClusterRedistribution,
        attempt_id: &str,
        recording: impl Fn(&Seen) -> Recording,
    ) -> Recorded {
        let identity = object.clone();
        let mut object = Seen::Whole(Box::new(object));
        let mut pause = RECORD_PAUSES.0;
        let mut reduce = false;
        let mut conflicts = 0;
        let mut unserved = None::<Instant>;
        loop {
            let next = match recording(&object) {
                Recording::Write(next) if reduce => status::reduced(&next),
                Recording::Write(next) => *next,
                Recording::Known => return Recorded::Known,
                Recording::Replaced => return Recorded::Replaced,
            };
            match self.put_seen(&object, next, API_TIMEOUT).await {
                Ok(()) => return Recorded::Written,
                // Looked at before it is believed: where the kind has no status to write, that is not found either.
                Err(WriteError::Gone) => {}
                Err(WriteError::Invalid(reason)) if !reduce => {
                    tracing::warn!(attempt = attempt_id, %reason, "the API server takes the outcome only without its details");
                    reduce = true;
                    continue;
                }
                // Somebody else writes the object. At once again, unless it goes on: then a little slower each time.
                Err(WriteError::Conflict) => {
                    conflicts += 1;
                    tokio::time::sleep(Duration::from_millis(20 * (conflicts - 1)).min(CONFLICT_PAUSE)).await;
                }
                Err(error) => {
                    tracing::warn!(attempt = attempt_id, %error, seconds = pause.as_secs(), "the outcome is not written yet; trying again");
                    tokio::time::sleep(jittered(pause)).await;
                    pause = pause.saturating_mul(2).min(RECORD_PAUSES.1);
                }
            }
            // Also after an unclear answer: the write may have been ours.
            match self.see(&identity, API_TIMEOUT).await {
                Ok(latest) => (object, unserved) = (latest, None),
                Err(WriteError::Gone) => return Recorded::Gone,
                Err(WriteError::NotServed(_)) if unserved.is_some_and(|since| since.elapsed() >= NOT_SERVED) => {
                    return Recorded::Gone;
                }
                Err(WriteError::NotServed(_)) => drop(unserved.get_or_insert_with(Instant::now)),
                Err(error) => {
                    unserved = None;
                    tracing::debug!(attempt = attempt_id, %error, "the object cannot be read yet");
                }
            }
        }
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
        match status::recorded(&current, generation, attempt_id, record, Timestamp::now()) {
            Recording::Write(next) => match self.put(object, (*next).clone(), API_TIMEOUT, false).await {
                Err(WriteError::Invalid(_)) => self.put(object, status::reduced(&next), API_TIMEOUT, false).await,
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
