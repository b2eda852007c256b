//! The gate as the controller uses it: the pure core behind a lock, short silent waits, and wake-ups of who waited
//! longer. It must not read or write objects.

mod queue;
mod request;
mod restored;

mod core;
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
    request::{Entrant, ObjectName, Refusal, Rejection, Wished},
};
pub use crate::cloud::health::Reach;
use crate::cloud::{identity::KeyIdentity, outcome::KeyEffect};

/// How long an object waits for its turn without saying so. A backlog that drains at the ordinary pace then costs no
/// writes beyond claim and outcome; a longer wait frees the worker and shows in status.
const PATIENCE: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub struct Gate {
    core: Mutex<Core>,
    turn: Notify,
    wake: mpsc::UnboundedSender<ObjectName>,
}

impl Gate {
    /// A gate, and the stream of objects to look at again. The stream is bounded by the objects that wait: each is in
    /// it at most once per release, and once more after a 429.
    pub fn new(core: Core) -> (Arc<Self>, mpsc::UnboundedReceiver<ObjectName>) {
        let (wake, woken) = mpsc::unbounded_channel();
        (Arc::new(Self { core: Mutex::new(core), turn: Notify::new(), wake }), woken)
    }

    /// Lets the entrant in, at once or after a short wait for its turn.
    pub async fn enter(self: &Arc<Self>, entrant: Entrant) -> Result<Pass, Refusal> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        // Its Secret may have changed since it came to wait.
        self.leave_lines(&entrant.object, Some(entrant.key));
        // Whoever stops to wait, however that happens, must keep nobody back.
        let stand = Standing { gate: self, entrant: &entrant };
        loop {
            // Registered before the look, so that a release between look and wait is not missed.
            let turn = self.turn.notified();
            let stays = tokio::time::Instant::now() < deadline;
            let Err(refusal) = self.try_to_enter(&entrant, stays) else { break };
            if matches!(refusal, Refusal::AnotherCall { .. }) {
                self.leave_lines(&entrant.object, None);
            }
            let Refusal::Turn { wait } = refusal else { return Err(refusal) };
            let until = wait.map_or(deadline, |wait| deadline.min(tokio::time::Instant::now() + wait));
            if !stays {
                return Err(refusal);
            }
            tokio::select! { () = turn => {}, () = tokio::time::sleep_until(until) => {} }
        }
        // Somebody else is the first of those who wait here now.
        self.turn.notify_waiters();
        drop(stand);
        Ok(Pass { gate: Arc::clone(self), entrant, effect: None })
    }

    /// See [`Core::reach`].
    pub fn reach(&self, endpoint: &str, suspect: bool) -> Reach {
        self.lock().reach(endpoint, suspect, Instant::now())
    }

    /// See [`Core::is_away`].
    pub fn is_away(&self, endpoint: &str) -> bool {
        self.lock().is_away(endpoint)
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

    /// Looks at this object again at the next release.
    pub fn wait(&self, object: &ObjectName) {
        self.lock().wait(object);
    }

    /// Calls in flight now.
    pub fn in_flight(&self) -> usize {
        self.lock().in_flight()
    }

    /// See [`Core::leave_lines`].
    fn leave_lines(&self, object: &ObjectName, but: Option<KeyIdentity>) {
        let woken = self.lock().leave_lines(object, but, Instant::now());
        if let Some(woken) = woken {
            self.wake(woken);
        }
    }

    fn leave(&self, entrant: &Entrant, effect: Option<KeyEffect>) {
        let woken = self.lock().leave(entrant, effect, Instant::now());
        self.wake(woken);
    }

    fn try_to_enter(&self, entrant: &Entrant, stays: bool) -> Result<(), Refusal> {
        let (mut core, now) = (self.lock(), Instant::now());
        let entered = core.enter(entrant, stays, now);
        if matches!(entered, Ok(()) | Err(Refusal::Turn { .. } | Refusal::Line { .. })) {
            // Nobody who waits here may enter sooner for that.
            self.call(core.resume(entrant.key, now));
        }
        entered
    }

    fn wake(&self, woken: Vec<ObjectName>) {
        self.turn.notify_waiters();
        self.call(woken);
    }

    fn call(&self, woken: Vec<ObjectName>) {
        for object in woken {
            // Nobody listens any more once the controller stops, and then nobody needs waking.
            let _ = self.wake.send(object);
        }
    }

    /// The core holds no invariant that a panic elsewhere could have broken half-way.
    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who waits here.
struct Standing<'a> {
    gate: &'a Gate,
    entrant: &'a Entrant,
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        self.gate.lock().step_back(self.entrant);
    }
}

/// The right to be in flight. Given back when dropped, whatever happened to its holder.
#[derive(Debug)]
pub struct Pass {
    gate: Arc<Gate>,
    entrant: Entrant,
    effect: Option<KeyEffect>,
}

impl Pass {
    /// See [`Core::beat`].
    pub fn beat(&self) -> Duration {
        self.gate.lock().beat(self.entrant.key, Instant::now())
    }

    /// The key was used for a request besides the call: the pace counts it.
    pub fn spend(&self) {
        self.gate.lock().spend(self.entrant.key, Instant::now());
    }

    /// What an answer says about the key, before the call.
    pub fn learn(&self, effect: Option<KeyEffect>) {
        self.gate.lock().learn(self.entrant.key, effect, Instant::now());
    }

    /// Gives the pass back, with what the answer says about the key.
    pub fn leave(mut self, effect: Option<KeyEffect>) {
        self.effect = effect;
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.gate.leave(&self.entrant, self.effect.take());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
