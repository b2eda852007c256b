//! The slots of the rate limit of each key. Namespaces take turns: each has at most one request that waits for a slot of the
//! key, and the others of the namespace wait for that one. Reads after a request are one namespace more.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use super::keys::{Keys, Unanswered};
use crate::{
    cloud::{
        ReadResult,
        identity::{KeyDigests, KeyIdentity},
        outcome::KeyEffect,
    },
    credentials::CredentialId,
    protocol::hold::Hold,
    runtime::locks::Locks,
};

/// Who takes turns with the others of one key: a namespace; `None` for all that is read after requests.
pub type Requester = Option<String>;

#[derive(Debug)]
pub struct Slots {
    interval: Duration,
    pub keys: Mutex<Keys>,
    /// An answer came, or a request was given up before it was sent.
    changed: Notify,
    /// Values that have worked take turns apart from the others, which may have to wait for an answer.
    turns: Locks<(KeyIdentity, Requester, bool)>,
    values: Locks<KeyIdentity>,
    trials: Locks<KeyIdentity>,
    queues: Locks<KeyIdentity>,
}

/// The right to make one request now. Dropped after its request was sent and without an
/// answer, it counts as unanswered for a while if its values are unproven.
#[derive(Debug)]
pub struct Slot {
    slots: Arc<Slots>,
    digests: KeyDigests,
    unanswered: Option<Unanswered>,
    is_sent: bool,
    waited: Duration,
}

impl Slots {
    /// `interval`: the least time between two requests of one key.
    pub fn new(interval: Duration) -> Arc<Self> {
        Arc::new(Self {
            interval,
            keys: Mutex::default(),
            changed: Notify::new(),
            turns: Locks::default(),
            values: Locks::default(),
            trials: Locks::default(),
            queues: Locks::default(),
        })
    }

    pub fn check(&self, id: &CredentialId) -> Result<(), Hold> {
        self.keys.lock().check(id, now())
    }

    /// Waits for a slot. What is known against the values ends the wait, before and after it.
    pub async fn slot(self: &Arc<Self>, id: &CredentialId, requester: Requester) -> Result<Slot, Hold> {
        let began = Instant::now();
        let is_proven = self.keys.lock().is_proven(id.digests);
        let _turn = self.turns.lock((id.digests.key, requester, is_proven)).await;
        // Waited for before the slot, so that proven values of the same key are not kept waiting.
        let mut slot = self.trial(id).await?;
        let _queue = self.queues.lock(id.digests.key).await;
        self.check(id)?;
        let wait = self.keys.lock().take_slot(id.digests, self.interval, now());
        tokio::time::sleep(wait).await;
        self.check(id)?;
        slot.waited = began.elapsed();
        Ok(slot)
    }

    async fn trial(self: &Arc<Self>, id: &CredentialId) -> Result<Slot, Hold> {
        let digests = id.digests;
        let is_proven = self.keys.lock().is_proven(digests);
        // Values that wait for their own answer keep no other values of the key waiting.
        let _values = if is_proven { None } else { Some(self.values.lock(digests.values).await) };
        self.answers(id, |keys| keys.is_untried(digests, now())).await?;
        let _trial = if is_proven { None } else { Some(self.trials.lock(digests.key).await) };
        let unanswered = self.answers(id, |keys| keys.begin(digests, now())).await?;
        Ok(Slot { slots: Arc::clone(self), digests, unanswered, is_sent: false, waited: Duration::ZERO })
    }

    /// Waits for answers, or for the time when they count no more, until this succeeds.
    async fn answers<T>(
        &self,
        id: &CredentialId,
        attempt: impl Fn(&mut Keys) -> Result<T, std::time::Instant>,
    ) -> Result<T, Hold> {
        loop {
            let changed = self.changed.notified();
            self.check(id)?;
            let result = attempt(&mut self.keys.lock());
            match result {
                Ok(result) => return Ok(result),
                Err(until) => {
                    tokio::select! { () = changed => {}, () = tokio::time::sleep_until(until.into()) => {} }
                }
            }
        }
    }
}

impl Slot {
    pub(crate) const fn waited(&self) -> Duration {
        self.waited
    }

    /// Books the time at which a claimed request is sent: how long it has to wait once more, to keep its distance from the one
    /// before. `None`: longer than `within`, so that it must not be sent.
    pub fn book_send(&self, within: Duration) -> Option<Duration> {
        self.slots.keys.lock().take_send(self.digests, self.slots.interval, within, now())
    }

    pub(crate) fn sends(&mut self) {
        self.is_sent = true;
        self.slots.keys.lock().sent(self.digests, self.unanswered, now());
    }

    /// The answer to a read is there; `None`: it never will be.
    pub fn answered(self, effect: Option<KeyEffect>) {
        let Some(effect) = effect else { return };
        let mut keys = self.slots.keys.lock();
        keys.end(self.digests, self.unanswered);
        keys.learn(self.digests, effect, now());
        drop(keys);
        self.slots.changed.notify_waiters();
    }

    /// Sends a read, in a task of its own: once it is sent, its answer counts even if its caller is gone.
    pub async fn read<T: Send + 'static>(
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

    /// The same for a redistribution request.
    pub fn request_answered(self, effect: Option<KeyEffect>) {
        if effect == Some(KeyEffect::Good) {
            self.slots.keys.lock().worked(self.digests);
        }
        self.answered(effect);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.is_sent {
            self.slots.keys.lock().end(self.digests, self.unanswered);
            self.slots.changed.notify_waiters();
        }
    }
}

/// By tokio's clock, so that tests need not wait.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
