//! The only writer of status. Every write is a PUT of the whole status that carries the object's uid and
//! resourceVersion: the API server's compare-and-swap, and the one thing the law rests on. It decides nothing and
//! never calls the cloud.

mod swap;
mod undecodable;

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::Client;
use tokio::time::Instant;

pub use swap::{API_TIMEOUT, WriteError};

use crate::{
    jitter::jittered,
    resource::{Attempt, ClusterRedistribution, ClusterRedistributionStatus},
    status::{self, Record, Recording},
};

/// Pauses between tries to record an outcome. The longest is short, so that an outcome is written within seconds of the
/// API server's return: without it nothing new can be claimed, so no more than `--concurrency` outcomes can be waiting,
/// and a returning API server does not notice them.
const RECORD_PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(4));
/// Longest pause after a conflict, which says that the API server is there.
const CONFLICT_PAUSE: Duration = Duration::from_secs(1);

/// What became of a claim.
#[derive(Debug)]
pub enum Claim {
    /// It stands; this is the object as it was written.
    Taken(Box<ClusterRedistribution>),
    /// It certainly does not stand and never will.
    Lost(WriteError),
    /// It was written, but before we could see that, somebody gave it up as unknown: it is no right to call any more,
    /// and we hold the proof that nothing was sent.
    Overtaken(Box<ClusterRedistribution>),
    /// It was written, but the installed CRD dropped the journal: this is what is there now.
    Pruned(Box<ClusterRedistribution>),
    /// It was not seen to stand, but may be applied later. Its id must be given up before anything else happens.
    Undecided(WriteError),
}

/// See the module.
#[derive(Clone)]
pub struct Ledger {
    client: Client,
}

impl Ledger {
    /// `client` should not repeat writes by itself: a repeated PUT meets its own first application as a conflict. The
    /// ledger would still find out, at the price of a read.
    pub fn new(client: Client) -> Self {
        Self { client }
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
        let next = status::claimed(object.status.as_ref(), attempt.clone(), message, now);
        let within = deadline.saturating_duration_since(Instant::now()).min(API_TIMEOUT);
        let error = match self.put(object, next, within, false).await {
            Ok(written) => return read_back(written, attempt),
            Err(error) => error,
        };
        match error {
            WriteError::Gone | WriteError::Invalid(_) | WriteError::Refused(_) => Claim::Lost(error),
            // A conflict may be with our own claim, sent twice by something on the way; an unclear answer may be a
            // claim that stands. Only the object can tell.
            WriteError::Conflict | WriteError::Unclear(_) => self.look_for(object, attempt, error, deadline).await,
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
        loop {
            let within = deadline.saturating_duration_since(Instant::now()).min(API_TIMEOUT);
            if within.is_zero() {
                return Claim::Undecided(error);
            }
            match self.get(object, within).await {
                Err(WriteError::Unclear(_)) => tokio::time::sleep(Duration::from_millis(100).min(within)).await,
                Err(gone) => return Claim::Lost(gone),
                Ok(latest) => {
                    if attempt_of(&latest).is_some_and(|there| there.id == attempt.id) {
                        return read_back(latest, attempt);
                    }
                    // Written by somebody else since: our resourceVersion can never match again.
                    if latest.metadata.resource_version != object.metadata.resource_version {
                        return Claim::Lost(WriteError::Conflict);
                    }
                    return Claim::Undecided(error);
                }
            }
        }
    }

    /// Records what became of an attempt, starting from the object as the claim left it: until it is written, somebody
    /// else's knowledge is as good, or the object is gone. Ends only then.
    pub async fn record(&self, claimed: ClusterRedistribution, attempt_id: &str, record: &Record) -> Recorded {
        let mut object = claimed;
        let mut pause = RECORD_PAUSES.0;
        let mut reduce = false;
        let mut conflicts = 0;
        loop {
            let current = object.status.clone().unwrap_or_default();
            let next = match status::recorded(&current, attempt_id, record, Timestamp::now()) {
                Recording::Write(next) if reduce => status::reduced(&next),
                Recording::Write(next) => *next,
                Recording::Known => return Recorded::Known,
                Recording::Replaced => return Recorded::Replaced,
            };
            match self.put(&object, next, API_TIMEOUT, false).await {
                Ok(_) => return Recorded::Written,
                Err(WriteError::Gone) => return Recorded::Gone,
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
            match self.get(&object, API_TIMEOUT).await {
                Ok(latest) => object = latest,
                Err(WriteError::Gone) => return Recorded::Gone,
                Err(error) => tracing::debug!(attempt = attempt_id, %error, "the object cannot be read yet"),
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
        match status::recorded(&current, attempt_id, record, Timestamp::now()) {
            Recording::Write(next) => self.put(object, *next, API_TIMEOUT, false).await.map(|_| Recorded::Written),
            Recording::Known => Ok(Recorded::Known),
            Recording::Replaced => Ok(Recorded::Replaced),
        }
    }

    /// Writes a status that takes no right and records no outcome.
    pub async fn write(
        &self,
        object: &ClusterRedistribution,
        next: ClusterRedistributionStatus,
    ) -> Result<(), WriteError> {
        self.put(object, next, API_TIMEOUT, false).await.map(|_| ())
    }

    /// Would the installed CRD keep a journal? Asked without writing anything.
    pub async fn keeps_journal(
        &self,
        object: &ClusterRedistribution,
        attempt: &Attempt,
        now: Timestamp,
    ) -> Result<bool, WriteError> {
        let next = status::claimed(object.status.as_ref(), attempt.clone(), "", now);
        let echo = self.put(object, next, API_TIMEOUT, true).await?;
        Ok(attempt_of(&echo) == Some(attempt))
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

/// The claim stands only if the API server kept all of it. An older CRD prunes what it does not know, in silence, and
/// an operator that trusted the 200 would call again after every look.
fn read_back(written: ClusterRedistribution, attempt: &Attempt) -> Claim {
    match attempt_of(&written) {
        Some(there) if there == attempt => Claim::Taken(Box::new(written)),
        Some(there) if there.id == attempt.id && there.state != attempt.state => Claim::Overtaken(Box::new(written)),
        _ => Claim::Pruned(Box::new(written)),
    }
}

fn attempt_of(object: &ClusterRedistribution) -> Option<&Attempt> {
    object.status.as_ref()?.attempt.as_ref()
}
