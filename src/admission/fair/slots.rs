//! The slots of the rate limit of each key. Namespaces take turns: each has at most one request in the queue of the key,
//! and the others of the namespace wait for that one. Reads after a request are one namespace more.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{
    keys::{Keys, Names, Trial, Unanswered},
    locks::Locks,
};
use crate::{
    admission::Refusal,
    cloud::{identity::KeyIdentity, outcome::KeyEffect},
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
    turns: Locks<(KeyIdentity, Turn)>,
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
}

impl Slots {
    /// `interval`: the least time between two requests of one key.
    pub fn new(interval: Duration) -> Arc<Self> {
        Arc::new(Self {
            interval,
            keys: Mutex::default(),
            changed: Notify::new(),
            turns: Locks::default(),
            trials: Locks::default(),
            queues: Locks::default(),
        })
    }

    /// Why no request may be made with this pair now.
    pub fn check(&self, names: Names) -> Result<(), Refusal> {
        self.keys().check(names, now())
    }

    /// Waits for a slot. What is known against the pair ends the wait, before and after it.
    pub async fn slot(self: &Arc<Self>, names: Names, turn: Turn) -> Result<Slot, Refusal> {
        let _turn = self.turns.lock((names.key, turn)).await;
        // Waited for before the queue, so that a proven pair of the same key is not kept waiting.
        let slot = self.trial(names).await?;
        let _queue = self.queues.lock(names.key).await;
        self.check(names)?;
        let wait = self.keys().take_slot(names, self.interval, now());
        tokio::time::sleep(wait).await;
        self.check(names)?;
        Ok(slot)
    }

    async fn trial(self: &Arc<Self>, names: Names) -> Result<Slot, Refusal> {
        let is_proven = self.keys().is_proven(names);
        let _trial = if is_proven { None } else { Some(self.trials.lock(names.key).await) };
        loop {
            let changed = self.changed.notified();
            self.check(names)?;
            let begun = self.keys().begin(names, now());
            match begun {
                Trial::Begun(unanswered) => {
                    return Ok(Slot { slots: Arc::clone(self), names, unanswered, has_left: false });
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
    /// The request leaves now.
    pub fn leaves(&mut self) {
        self.has_left = true;
        self.slots.keys().left(self.names, self.unanswered, now());
    }

    /// The answer is there.
    pub fn answered(self, effect: KeyEffect) {
        let mut keys = self.slots.keys();
        keys.end(self.names, self.unanswered);
        keys.learn(self.names, effect, now());
        drop(keys);
        self.slots.changed.notify_waiters();
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
