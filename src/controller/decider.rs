//! `decide` with this process's memory of attempts, the administrator's settings and the present time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{
    api::ClusterRedistribution,
    protocol::{
        attempts::AttemptTracker,
        decide::{Now, Rules, Step, decide},
    },
};

/// See the module.
#[derive(Clone)]
pub struct Decider {
    /// The administrator's settings for decisions.
    pub rules: Arc<Rules>,
    attempts: Arc<Mutex<AttemptTracker>>,
}

impl Decider {
    /// Decides by these settings, with an empty memory.
    pub fn new(rules: Rules) -> Self {
        Self { rules: Arc::new(rules), attempts: Arc::default() }
    }

    /// The next step for this object.
    pub fn decide(&self, object: &ClusterRedistribution) -> Step {
        let now = Now::read();
        let mut attempts = self.attempts();
        // The watch may not have delivered the object yet (the reply of a write): its grace starts now.
        attempts.note(object, now.instant);
        decide(object, &attempts, &self.rules, now)
    }

    /// What this process remembers of attempts. Every change of it is complete, so a panic elsewhere cannot have left it
    /// half-changed.
    pub fn attempts(&self) -> MutexGuard<'_, AttemptTracker> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
