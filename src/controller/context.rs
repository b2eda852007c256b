//! What every reconciliation shares. Nothing happens here; the rooms that use it do.

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

/// Longest pause after a failure.
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// Of many that have failed for long each waits longer, so that all of them together make less than one request a second.
const EACH: Duration = Duration::from_secs(4);
/// An outage that comes and goes is not long: what failed in it is tried again soon.
const LONG: Duration = Duration::from_secs(300);
/// However many there are.
const AT_MOST: Duration = Duration::from_secs(300);
/// Who has not failed for so long was deleted, or waits for something else. What is lost is only how often it had failed.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(900);

/// The times that bound one call.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// From starting the claim to the first byte.
    pub send_budget: Duration,
    /// Send budget + request timeout + margin.
    pub grace: Duration,
}

/// See the module.
pub struct Context {
    /// The only writer of status.
    pub store: StatusStore,
    /// Who may call now.
    pub admission: Arc<Admission>,
    /// The only sender.
    pub cloud: cloud::Client,
    /// The credentials resolution order.
    pub credentials: Credentials,
    /// The tokens of users, and who may log in.
    pub tokens: TokenCache,
    /// What the administrator set.
    pub rules: Rules,
    /// Whether clusters are looked at before a call.
    pub precheck: Precheck,
    /// Whether and how redistributions are looked at after a call.
    pub observe: Option<Observe>,
    /// The times that bound one call.
    pub timing: Timing,
    /// By which the right to send ends.
    pub clock: Clock,
    /// What this process remembers.
    pub attempts: Arc<Mutex<AttemptTracker>>,
    /// Where events go.
    pub events: Events,
    /// What is counted.
    pub metrics: Metrics,
    /// Name of this process, for people.
    pub holder: String,
    /// Claim, send and record of each attempt run in here: the end of a reconciliation does not end them.
    pub tasks: TaskTracker,
    /// Cancelled once no new claim may be made.
    pub closing: CancellationToken,
    /// False while another controller works.
    pub leadership: Leadership,
    /// Which first lists are complete.
    pub synced: Synced,
    /// Failures in a row by object, for the pause before the next try.
    pub failures: Mutex<HashMap<String, Failing>>,
    /// What was said of them.
    pub throttled_log: Mutex<ThrottledLog>,
    /// Objects whose attempt ended after its reconciliation are looked at again.
    pub ended: mpsc::UnboundedSender<ObjectName>,
}

/// An object whose reconciliations fail.
#[derive(Clone, Copy, Debug)]
pub struct Failing {
    count: u32,
    since: Instant,
    at: Instant,
}

impl Context {
    /// Decides with what is remembered and the clocks as they are.
    pub fn decide(&self, object: &ClusterRedistribution) -> Step {
        let now = Now::read();
        let mut attempts = self.attempts();
        // An object may get here that the watch has not shown yet (the reply of a write): its grace starts now.
        attempts.note(object, now.instant);
        decide(object, &attempts, &self.rules, now)
    }

    /// Whether anything new may be begun: this process leads and is not being stopped. What has claimed goes on either way.
    pub fn may_begin(&self) -> bool {
        !self.closing.is_cancelled() && *self.leadership.borrow()
    }

    /// Whether this object may be claimed for, as far as that depends on the process: not before the first list of its scope is
    /// complete. What status tells of earlier calls is not known until then. The store hands it on again once that is so.
    pub fn may_claim(&self, object: &ClusterRedistribution) -> bool {
        self.may_begin() && self.synced.is_complete(object.metadata.namespace.as_deref().unwrap_or_default())
    }

    /// The attempts. Every change of it is whole, so a panic elsewhere has not left it half-way.
    pub fn attempts(&self) -> MutexGuard<'_, AttemptTracker> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pause after one more failure in a row of this object: 1 s, doubling, half of it by chance.
    pub fn pause_after_failure(&self, uid: &str, now: Instant) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.retain(|_, failing| now.saturating_duration_since(failing.at) < FORGOTTEN_AFTER);
        let Failing { count, since, .. } =
            failures.get(uid).copied().unwrap_or(Failing { count: 0, since: now, at: now });
        failures.insert(uid.to_owned(), Failing { count: count.saturating_add(1), since, at: now });
        let is_long = now.saturating_duration_since(since) >= LONG;
        let all = EACH.saturating_mul(u32::try_from(failures.len()).unwrap_or(u32::MAX)).min(AT_MOST);
        let longest = if is_long { MAX_PAUSE.max(all) } else { MAX_PAUSE };
        jittered(Duration::from_secs(1 << count.min(16)).min(longest))
    }

    /// How often in a row reconciliations of this object have failed.
    pub fn failures_of(&self, uid: &str) -> u32 {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.get(uid).map_or(0, |failing| failing.count)
    }

    /// What is said of failures.
    pub fn throttled_log(&self) -> MutexGuard<'_, ThrottledLog> {
        self.throttled_log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reconciliation of this object went well.
    pub fn forgive(&self, uid: &str) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}
