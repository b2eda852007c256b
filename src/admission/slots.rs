//! The slots of the rate limit of each key. Namespaces take turns: each has at most one request that waits for a slot of the
//! key, and the others of the namespace wait for that one. Reads after a request are one namespace more.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::keys::Keys;
use crate::{
    api::ClusterRedistributionSpec,
    cloud::{
        Client, ReadResult,
        auth::{Key, KeyDigests, KeyIdentity},
        cluster::{ClusterState, Details},
        outcome::KeyEffect,
    },
    credentials::CredentialId,
    protocol::{hold::Hold, regions::Endpoint},
    runtime::{
        locks::{Lock, Locks},
        metrics::Metrics,
    },
};

/// A request without an answer counts for so long: a gateway that refuses does so at once.
const UNANSWERED_COUNTS_FOR: Duration = Duration::from_secs(10);

/// A namespace; `None` for all reads after requests.
pub type Requester = Option<String>;

#[derive(Debug)]
pub struct Slots {
    interval: Duration,
    pub keys: Mutex<Keys>,
    /// Values that have worked take turns apart from the others, which may have to wait for an answer.
    turns: Locks<(KeyIdentity, Requester, bool)>,
    /// A request with unproven values, until it has an answer: one for each key, so that refusals and requests without an
    /// answer together never lock the key.
    trials: Locks<KeyIdentity>,
    queues: Locks<KeyIdentity>,
}

/// The right to make one request now.
#[derive(Debug)]
pub struct Slot {
    slots: Arc<Slots>,
    digests: KeyDigests,
    /// Of unproven values, until sent.
    trial: Option<Lock<KeyIdentity>>,
    answered: CancellationToken,
    waited: Duration,
}

impl Slots {
    /// `interval`: the least time between two requests of one key.
    pub fn new(interval: Duration) -> Arc<Self> {
        Arc::new(Self {
            interval,
            keys: Mutex::default(),
            turns: Locks::default(),
            trials: Locks::default(),
            queues: Locks::default(),
        })
    }

    pub fn check(&self, id: &CredentialId) -> Result<(), Hold> {
        self.keys.lock().check(id, now())
    }

    /// What is known against the values ends the wait, before and after it.
    pub async fn slot(self: &Arc<Self>, id: &CredentialId, requester: Requester) -> Result<Slot, Hold> {
        let (began, digests) = (Instant::now(), id.digests);
        let is_proven = || self.keys.lock().is_proven(digests);
        let (_turn, trial) = loop {
            let was_proven = is_proven();
            let turn = self.turns.lock((digests.key, requester.clone(), was_proven)).await;
            self.check(id)?;
            if is_proven() != was_proven {
                continue;
            }
            // Waited for before the slot, so that proven values of the same key are not kept waiting.
            let trial = if was_proven { None } else { Some(self.trials.lock(digests.key).await) };
            // An answer during the wait moves these values to the other turns: both kinds would give this namespace two.
            if is_proven() == was_proven {
                break (turn, trial);
            }
        };
        self.check(id)?;
        let _queue = self.queues.lock(digests.key).await;
        self.check(id)?;
        let wait = self.keys.lock().take_slot(digests, self.interval, now());
        tokio::time::sleep(wait).await;
        self.check(id)?;
        let (slots, answered) = (Arc::clone(self), CancellationToken::new());
        Ok(Slot { slots, digests, trial, answered, waited: began.elapsed() })
    }
}

impl Slot {
    pub(crate) const fn waited(&self) -> Duration {
        self.waited
    }

    /// The wait of a claimed request, to keep its distance from the one before. `None`: longer than `within`, so that
    /// it must not be sent.
    pub fn book_send(&self, within: Duration) -> Option<Duration> {
        self.slots.keys.lock().take_send(self.digests, self.slots.interval, within, now())
    }

    /// The trial ends with the answer, also if its caller is gone, or by the time.
    pub(crate) fn sends(&mut self) {
        if let Some(trial) = self.trial.take() {
            let answered = self.answered.clone();
            tokio::spawn(async move {
                let _in_time = tokio::time::timeout(UNANSWERED_COUNTS_FOR, answered.cancelled()).await;
                drop(trial);
            });
        }
    }

    /// `None`: there will be no answer.
    fn answered(self, effect: Option<KeyEffect>) {
        if let Some(effect) = effect {
            self.slots.keys.lock().learn(self.digests, effect, now());
            self.answered.cancel();
        }
    }

    /// Sends a read, in a task of its own: once it is sent, its answer counts even if its caller is gone.
    async fn read<T: Send + 'static>(
        mut self,
        read: impl Future<Output = ReadResult<T>> + Send + 'static,
    ) -> ReadResult<T> {
        let read = tokio::spawn(async move {
            self.sends();
            let result = read.await;
            self.answered(result.key_effect());
            result
        });
        read.await.unwrap_or(ReadResult::Unreadable("the read ended early"))
    }

    pub fn request_answered(self, effect: Option<KeyEffect>) {
        if effect == Some(KeyEffect::Good) {
            self.slots.keys.lock().worked(self.digests);
        }
        self.answered(effect);
    }
}

/// What is read of the cloud, where and with which key.
#[derive(Clone)]
pub struct CloudRead {
    pub cloud: Arc<Client>,
    pub metrics: Metrics,
    pub spec: ClusterRedistributionSpec,
    pub endpoint: Arc<Endpoint>,
    pub key: Key,
}

impl CloudRead {
    pub async fn cluster(self, slot: Slot) -> ReadResult<ClusterState> {
        let read = async move {
            let result = self.cloud.cluster(&self.spec, &self.key, &self.endpoint).await;
            self.metrics.cluster_read(result.label());
            result
        };
        slot.read(read).await
    }

    pub async fn details(self, slot: Slot) -> ReadResult<Option<Details>> {
        let read = async move {
            let result = self.cloud.details(&self.spec, &self.key, &self.endpoint).await;
            self.metrics.observation(result.label());
            result
        };
        slot.read(read).await
    }
}

/// Whether the effect is about the key, not about the request.
pub const fn is_about_key(effect: KeyEffect) -> bool {
    !matches!(effect, KeyEffect::Good | KeyEffect::Neutral)
}

/// By tokio's clock, so that tests need not wait.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
