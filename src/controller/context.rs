//! The state that all reconciliations share. The modules that use it act on it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    admission::{Admission, ObjectName},
    api::ClusterRedistribution,
    cloud,
    credentials::{Credentials, tokens::TokenCache},
    observe::Observe,
    precheck::Precheck,
    protocol::{
        attempts::AttemptTracker,
        decide::{Now, Rules, Step, decide},
    },
    runtime::{
        clock::Clock, election::Leadership, events::Events, jitter::jittered, metrics::Metrics, synced::Synced,
        throttled_log::ThrottledLog,
    },
    store::StatusStore,
};

/// Longest pause after a failure that has not lasted long.
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// Longest pause per object that fails, once failures last long: all of them together then make less than one request a
/// second.
const PAUSE_PER_OBJECT: Duration = Duration::from_secs(4);
/// Failures that last this long are a long outage; after a shorter one, objects are retried soon.
const LONG_OUTAGE: Duration = Duration::from_secs(300);
/// Longest pause for any number of objects.
const MAX_PAUSE_OF_MANY: Duration = Duration::from_secs(300);
/// An object that has not failed for this long was deleted or waits for something else. Only its count of failures is
/// lost.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(900);

/// The time limits of one call.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// From the start of the claim to the first byte of the request.
    pub send_budget: Duration,
    /// Send budget + request timeout + margin: after that an unfinished claim expires.
    pub grace: Duration,
}

/// The shared state.
pub struct Context {
    /// The only writer of status.
    pub store: StatusStore,
    /// Decides which object may call now.
    pub admission: Arc<Admission>,
    /// The only sender.
    pub cloud: cloud::Client,
    /// The credentials resolution order.
    pub credentials: Credentials,
    /// The tokens of users, and the permits to log in.
    pub tokens: TokenCache,
    /// The administrator's settings for decisions.
    pub rules: Rules,
    /// Whether clusters are read before a call.
    pub precheck: Precheck,
    /// Whether and how redistributions are read after a call.
    pub observe: Option<Observe>,
    /// The times that bound one call.
    pub timing: Timing,
    /// The clock that ends a permit to send.
    pub clock: Clock,
    /// What this process remembers of attempts.
    pub attempts: Arc<Mutex<AttemptTracker>>,
    /// The queue of Kubernetes Events.
    pub events: Events,
    /// The metrics.
    pub metrics: Metrics,
    /// The name of this process, for people.
    pub holder: String,
    /// The tasks that claim, send and record: the end of a reconciliation does not end them.
    pub tasks: TaskTracker,
    /// Cancelled once no new claim may be made.
    pub closing: CancellationToken,
    /// False while another controller leads.
    pub leadership: Leadership,
    /// Which first lists are complete.
    pub synced: Synced,
    /// Failures in a row by object uid, for the pause before the next try.
    pub failures: Mutex<HashMap<String, Failing>>,
    /// Which of these failures were logged.
    pub throttled_log: Mutex<ThrottledLog>,
    /// Objects whose attempt ended after its reconciliation, to reconcile them again.
    pub ended: mpsc::UnboundedSender<ObjectName>,
}

/// An object whose reconciliations fail.
#[derive(Clone, Copy, Debug)]
pub struct Failing {
    count: u32,
    since: Instant,
    last: Instant,
}

impl Context {
    /// Decides with this process's memory and the current clocks.
    pub fn decide(&self, object: &ClusterRedistribution) -> Step {
        let now = Now::read();
        let mut attempts = self.attempts();
        // The watch may not have delivered the object yet (the reply of a write): its grace starts now.
        attempts.note(object, now.instant);
        decide(object, &attempts, &self.rules, now)
    }

    /// Whether a new step may begin: this process leads and is not being stopped. Attempts with a claim continue either
    /// way.
    pub fn may_begin(&self) -> bool {
        !self.closing.is_cancelled() && *self.leadership.borrow()
    }

    /// Whether the process may claim for this object: not before the first list of its scope is complete, since the
    /// earlier calls in the status of others are not known until then. The watch delivers the object again when it is
    /// complete.
    pub fn may_claim(&self, object: &ClusterRedistribution) -> bool {
        self.may_begin() && self.synced.is_complete(object.metadata.namespace.as_deref().unwrap_or_default())
    }

    /// Locks the memory of attempts. Every change of it is complete, so a panic elsewhere cannot have left it
    /// half-changed.
    pub fn attempts(&self) -> MutexGuard<'_, AttemptTracker> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pause after one more failure in a row of this object: 1 s, doubling, half of it random.
    pub fn pause_after_failure(&self, uid: &str, now: Instant) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.retain(|_, failing| now.saturating_duration_since(failing.last) < FORGOTTEN_AFTER);
        let Failing { count, since, .. } =
            failures.get(uid).copied().unwrap_or(Failing { count: 0, since: now, last: now });
        failures.insert(uid.to_owned(), Failing { count: count.saturating_add(1), since, last: now });
        let is_long = now.saturating_duration_since(since) >= LONG_OUTAGE;
        let all =
            PAUSE_PER_OBJECT.saturating_mul(u32::try_from(failures.len()).unwrap_or(u32::MAX)).min(MAX_PAUSE_OF_MANY);
        let longest = if is_long { MAX_PAUSE.max(all) } else { MAX_PAUSE };
        jittered(Duration::from_secs(1 << count.min(16)).min(longest))
    }

    /// How often in a row reconciliations of this object have failed.
    pub fn failures_of(&self, uid: &str) -> u32 {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.get(uid).map_or(0, |failing| failing.count)
    }

    /// Locks the throttle of the log.
    pub fn throttled_log(&self) -> MutexGuard<'_, ThrottledLog> {
        self.throttled_log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reconciliation of this object succeeded.
    pub fn reset_failures(&self, uid: &str) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}
