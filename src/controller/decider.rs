//! What this process knows and may begin: `decide` with its memory of attempts, the administrator's settings and the
//! present time; whether it leads, and which lists it has. Attempts with a claim continue either way.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use crate::{
    api::ClusterRedistribution,
    protocol::{
        attempts::AttemptTracker,
        decide::{Now, Rules, Step, decide},
    },
    runtime::{election::Leadership, synced::Synced},
};

#[derive(Clone)]
pub struct Decider {
    pub rules: Arc<Rules>,
    attempts: Arc<Mutex<AttemptTracker>>,
}

impl Decider {
    pub fn new(rules: Rules) -> Self {
        Self { rules: Arc::new(rules), attempts: Arc::default() }
    }

    pub fn decide(&self, object: &ClusterRedistribution) -> Step {
        let now = Now::read();
        let mut attempts = self.attempts();
        // The watch may not have delivered the object yet (the reply of a write): its grace starts now.
        attempts.note(object, now.instant);
        decide(object, &attempts, &self.rules, now)
    }

    pub fn attempts(&self) -> MutexGuard<'_, AttemptTracker> {
        self.attempts.lock()
    }
}

#[derive(Clone)]
pub struct Role {
    pub closing: CancellationToken,
    pub leadership: Leadership,
    pub synced: Synced,
}

impl Role {
    /// Whether a new step may begin: this process leads and is not being stopped.
    pub fn may_begin(&self) -> bool {
        !self.closing.is_cancelled() && *self.leadership.borrow()
    }

    /// Whether the process may claim for an object of this namespace: not before the first list of its scope is complete,
    /// since the earlier requests in the status of others are not known until then. The watch delivers the object again
    /// when it is complete.
    pub fn may_claim(&self, namespace: &str) -> bool {
        self.may_begin() && self.synced.is_complete(namespace)
    }
}
