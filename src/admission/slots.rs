//! The slots of the rate limit of each key. Namespaces take turns: each has at most one request in the queue of the key,
//! and the others of the namespace wait for that one. Reads after a request are one namespace more.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::keys::{Keys, Trial, Unanswered};
use crate::{
    cloud::{
        identity::{KeyIdentity, Names},
        outcome::KeyEffect,
    },
    credentials::CredentialId,
    protocol::hold::Hold,
    runtime::locks::Locks,
};

/// Who takes turns with the others of one key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Turn {
    /// Requests of a namespace, and what is read before them.
    Namespace(String),
    /// All that is read after requests.
    Reads,
}

/// The slots of all keys. See the module.
#[derive(Debug)]
pub struct Slots {
    interval: Duration,
    keys: Mutex<Keys>,
    /// An answer came, or a request that had not left was given up.
    changed: Notify,
    /// The pairs that have worked take turns apart from the others, which may have to wait for an answer.
    turns: Locks<(KeyIdentity, Turn, bool)>,
    pairs: Locks<KeyIdentity>,
    trials: Locks<KeyIdentity>,
    queues: Locks<KeyIdentity>,
}

/// The right to make one request now. Dropped without an answer, it counts as unanswered for a while if its pair is unproven.
#[derive(Debug)]
pub struct Slot {
    slots: Arc<Slots>,
    names: Names,
    unanswered: Option<Unanswered>,
    has_left: bool,
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
            pairs: Locks::default(),
            trials: Locks::default(),
            queues: Locks::default(),
        })
    }

    /// Why no request may be made with this pair now.
    pub fn check(&self, id: &CredentialId) -> Result<(), Hold> {
        self.keys().check(id, now())
    }

    /// Waits for a slot. What is known against the pair ends the wait, before and after it.
    pub async fn slot(self: &Arc<Self>, id: &CredentialId, turn: Turn) -> Result<Slot, Hold> {
        let began = Instant::now();
        let is_proven = self.keys().is_proven(id.names);
        let _turn = self.turns.lock((id.names.key, turn, is_proven)).await;
        // Waited for before the queue, so that a proven pair of the same key is not kept waiting.
        let mut slot = self.trial(id).await?;
        let _queue = self.queues.lock(id.names.key).await;
        self.check(id)?;
        let wait = self.keys().take_slot(id.names, self.interval, now());
        tokio::time::sleep(wait).await;
        self.check(id)?;
        slot.waited = began.elapsed();
        Ok(slot)
    }

    async fn trial(self: &Arc<Self>, id: &CredentialId) -> Result<Slot, Hold> {
        let names = id.names;
        let is_proven = self.keys().is_proven(names);
        // A pair that waits for its own answer keeps no other pair of the key waiting.
        let _pair = if is_proven { None } else { Some(self.pairs.lock(names.pair).await) };
        loop {
            let changed = self.changed.notified();
            self.check(id)?;
            let tried = self.keys().tried_until(names, now());
            let Some(until) = tried else { break };
            tokio::select! { () = changed => {}, () = tokio::time::sleep_until(until.into()) => {} }
        }
        let _trial = if is_proven { None } else { Some(self.trials.lock(names.key).await) };
        loop {
            let changed = self.changed.notified();
            self.check(id)?;
            let begun = self.keys().begin(names, now());
            match begun {
                Trial::Begun(unanswered) => {
                    let (slots, waited) = (Arc::clone(self), Duration::ZERO);
                    return Ok(Slot { slots, names, unanswered, has_left: false, waited });
                }
                Trial::Wait(until) => {
                    tokio::select! { () = changed => {}, () = tokio::time::sleep_until(until.into()) => {} }
                }
            }
        }
    }

    /// What lies behind the lock is whole after each change.
    pub fn keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// How long the wait for this slot took.
    pub const fn waited(&self) -> Duration {
        self.waited
    }

    /// How long a claimed request has to wait once more, to keep its distance from the one before. `None`: longer than
    /// `within`, so that it must not leave.
    pub fn until_send(&self, within: Duration) -> Option<Duration> {
        self.slots.keys().take_send(self.names, self.slots.interval, within, now())
    }

    /// The request leaves now.
    pub fn leaves(&mut self) {
        self.has_left = true;
        self.slots.keys().left(self.names, self.unanswered, now());
    }

    /// The answer to a read is there; `None`: it never will be.
    pub fn answered(self, effect: Option<KeyEffect>) {
        let Some(effect) = effect else { return };
        let mut keys = self.slots.keys();
        keys.end(self.names, self.unanswered);
        keys.learn(self.names, effect, now());
        drop(keys);
        self.slots.changed.notify_waiters();
    }

    /// The same for a redistribution request.
    pub fn request_answered(self, effect: Option<KeyEffect>) {
        if effect == Some(KeyEffect::Good) {
            self.slots.keys().worked(self.names);
        }
        self.answered(effect);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.has_left {
            self.slots.keys().end(self.names, self.unanswered);
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
