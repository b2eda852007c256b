//! Admission as the controller uses it: the pure core behind a lock, short waits that status does not show, and
//! wake-ups of objects that wait longer. This module must not read or write objects.

mod queue;
mod request;
mod restored;

mod core;
pub mod fair;
mod keys;
mod reading;
mod release;
mod waiting;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{Notify, mpsc};

pub use self::{
    core::Core,
    keys::KeyState,
    reading::Reading,
    request::{Candidate, ObjectName, Refusal, Rejection, RequestedAt},
};
pub use crate::cloud::health::Health;
use crate::cloud::{identity::KeyIdentity, outcome::KeyEffect};

/// How long an object waits for its turn without reporting it. A backlog that drains at the ordinary rate then costs no
/// writes other than claim and outcome; a longer wait frees the worker and shows in status.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// Decides which object may call now, makes the others wait, and wakes them.
#[derive(Debug)]
pub struct Admission {
    core: Mutex<Core>,
    turn: Notify,
    wake: mpsc::UnboundedSender<ObjectName>,
}

impl Admission {
    /// Returns the admission and the stream of objects to requeue. The stream is bounded by the waiting objects: each
    /// is in it at most once per release, and once more after a 429.
    pub fn new(core: Core) -> (Arc<Self>, mpsc::UnboundedReceiver<ObjectName>) {
        let (wake, woken) = mpsc::unbounded_channel();
        (Arc::new(Self { core: Mutex::new(core), turn: Notify::new(), wake }), woken)
    }

    /// Admits the candidate, at once or after a short wait for its turn.
    pub async fn enter(self: &Arc<Self>, candidate: Candidate) -> Result<Admitted, Refusal> {
        let deadline = tokio::time::Instant::now() + MAX_WAIT;
        // Its Secret may have changed since it began to wait.
        self.leave_queues(&candidate.object, Some(candidate.key));
        // A candidate that stops waiting, for whatever reason, must not block others.
        let guard = WaitGuard { admission: self, candidate: &candidate };
        loop {
            // Registered before the try, so that a release between try and wait is not missed.
            let turn = self.turn.notified();
            let may_keep_waiting = tokio::time::Instant::now() < deadline;
            let Err(refusal) = self.try_to_enter(&candidate, may_keep_waiting) else { break };
            if matches!(refusal, Refusal::AnotherCall { .. }) {
                self.leave_queues(&candidate.object, None);
            }
            let Refusal::Slot { wait } = refusal else { return Err(refusal) };
            let until = wait.map_or(deadline, |wait| deadline.min(tokio::time::Instant::now() + wait));
            if !may_keep_waiting {
                return Err(refusal);
            }
            tokio::select! { () = turn => {}, () = tokio::time::sleep_until(until) => {} }
        }
        // Another object is now the first of those that wait here.
        self.turn.notify_waiters();
        drop(guard);
        Ok(Admitted { admission: Arc::clone(self), candidate, effect: None })
    }

    /// See [`Core::health`].
    pub fn health(&self, endpoint: &str, suspect: bool) -> Health {
        self.lock().health(endpoint, suspect, Instant::now())
    }

    /// See [`Core::is_unreachable`].
    pub fn is_unreachable(&self, endpoint: &str) -> bool {
        self.lock().is_unreachable(endpoint)
    }

    /// See [`Core::unreachable`].
    pub fn unreachable(&self, endpoint: &str) -> Duration {
        self.lock().unreachable(endpoint, Instant::now())
    }

    /// See [`Core::reachable`].
    pub fn reachable(&self, endpoint: &str) {
        let woken = self.lock().reachable(endpoint);
        self.wake(woken);
    }

    /// See [`Core::forget`].
    pub fn forget(&self, object: &ObjectName) {
        let woken = self.lock().forget(object, Instant::now());
        if let Some(woken) = woken {
            self.wake(woken);
        }
    }

    /// Wakes this object at the next release.
    pub fn wait(&self, object: &ObjectName) {
        self.lock().wait(object);
    }

    /// Calls in flight now.
    pub fn in_flight(&self) -> usize {
        self.lock().in_flight()
    }

    /// See [`Core::leave_queues`].
    fn leave_queues(&self, object: &ObjectName, except: Option<KeyIdentity>) {
        let woken = self.lock().leave_queues(object, except, Instant::now());
        if let Some(woken) = woken {
            self.wake(woken);
        }
    }

    fn leave(&self, candidate: &Candidate, effect: Option<KeyEffect>) {
        let woken = self.lock().leave(candidate, effect, Instant::now());
        self.wake(woken);
    }

    fn try_to_enter(&self, candidate: &Candidate, may_keep_waiting: bool) -> Result<(), Refusal> {
        let (mut core, now) = (self.lock(), Instant::now());
        let entered = core.enter(candidate, may_keep_waiting, now);
        if matches!(entered, Ok(()) | Err(Refusal::Slot { .. } | Refusal::Queued { .. })) {
            // No notification of the turn: no object that waits here may enter any sooner.
            self.send_woken(core.resume(candidate.key, now));
        }
        entered
    }

    fn wake(&self, woken: Vec<ObjectName>) {
        self.turn.notify_waiters();
        self.send_woken(woken);
    }

    fn send_woken(&self, woken: Vec<ObjectName>) {
        for object in woken {
            // Fails only when the controller has stopped, and then no object needs waking.
            let _ = self.wake.send(object);
        }
    }

    /// Ignores poisoning: the core holds no invariant that a panic elsewhere could have left half-way.
    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A candidate that waits here. Ends its wait when dropped.
struct WaitGuard<'a> {
    admission: &'a Admission,
    candidate: &'a Candidate,
}

impl Drop for WaitGuard<'_> {
    fn drop(&mut self) {
        self.admission.lock().stop_waiting(self.candidate);
    }
}

/// The permit to be in flight. Released when dropped, whatever happened to its holder.
#[derive(Debug)]
pub struct Admitted {
    admission: Arc<Admission>,
    candidate: Candidate,
    effect: Option<KeyEffect>,
}

impl Admitted {
    /// See [`Core::slot`].
    pub fn slot(&self) -> Duration {
        self.admission.lock().slot(self.candidate.key, Instant::now())
    }

    /// The key was used for a request in addition to the call: the rate limit counts it.
    pub fn spend(&self) {
        self.admission.lock().spend(self.candidate.key, Instant::now());
    }

    /// Records what an answer before the call says about the key.
    pub fn learn(&self, effect: Option<KeyEffect>) {
        self.admission.lock().learn(self.candidate.key, effect, Instant::now());
    }

    /// Releases the permit, with what the answer says about the key.
    pub fn leave(mut self, effect: Option<KeyEffect>) {
        self.effect = effect;
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.admission.leave(&self.candidate, self.effect.take());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
