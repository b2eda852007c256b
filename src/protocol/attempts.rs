//! What this process remembers of objects beyond their status. Nothing here is needed for safety after a restart: an
//! empty memory only makes the controller wait longer and say `Unknown` more often. No clock of its own, no I/O.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet, VecDeque},
    time::{Duration, Instant},
};

use crate::{
    api::{Attempt, ClusterRedistribution},
    protocol::journal,
};
pub use crate::{
    observe::schedule::{Schedule, Scheduled},
    precheck::reads::{FailedPrecheck, PassedPrecheck, Prechecks, VALID_FOR},
};

/// First try again after a proven `NotSent`.
const FIRST_RETRY: Duration = Duration::from_secs(2);
/// Longest pause between two tries.
const LAST_RETRY: Duration = Duration::from_secs(300);

/// First pause before a status that lacks something is tried out without writing.
const FIRST_DRY_RUN: Duration = Duration::from_secs(10);
/// Longest pause between two of them.
const LAST_DRY_RUN: Duration = Duration::from_secs(300);

/// How long it is remembered what was sent. Far longer than any API server serves a CRD that was replaced.
const REMEMBER_SENT: Duration = Duration::from_secs(3600);

/// How long it is remembered that a finished object has been quiet for long enough.
const REMEMBER_QUIET: Duration = Duration::from_secs(7 * 24 * 3600);

/// How many given up claims of one object are remembered. Only the last few can still be on their way.
const MAX_ABANDONED: usize = 32;

/// Everything remembered, by object uid or attempt id.
#[derive(Debug, Default)]
pub struct AttemptTracker {
    seen: HashMap<String, FirstSeen>,
    live: HashMap<String, String>,
    abandoned: HashMap<String, VecDeque<String>>,
    retries: HashMap<String, Retry>,
    sent: HashMap<String, Sent>,
    /// By uid: objects whose view lacks something, and when a dry run is due.
    hidden: HashMap<String, Hidden>,
    /// The installed CRD was seen not to keep all of status: every claim is tried out without writing first.
    crd_was_outdated: bool,
    /// Reads before a request.
    pub prechecks: Prechecks,
    /// Reads after a request.
    pub schedule: Schedule,
}

#[derive(Debug)]
struct Sent {
    generation: i64,
    at: Instant,
}

#[derive(Debug)]
struct FirstSeen {
    key: String,
    /// Nobody had said yet what became of it. Once somebody does, the quiet period begins: giving a claim up proves only
    /// that its process has said nothing, not that its request has ended.
    open: bool,
    first: Instant,
    /// resourceVersion of the newest view that showed it.
    version: Option<u64>,
}

#[derive(Debug)]
struct Hidden {
    next: Instant,
    pause: Duration,
}

#[derive(Debug)]
struct Retry {
    generation: i64,
    count: u32,
    not_before: Instant,
}

impl AttemptTracker {
    /// Notes what is seen of an object. The first sight of an open or quiet attempt starts its grace, by the clock of
    /// this process alone; clocks of two hosts are never compared.
    ///
    /// That an attempt is absent from a view no newer than one that showed it tells nothing: a watch that was opened under
    /// an older CRD goes on pruning it, however often the cache is looked at. Anything else starts the grace anew, which
    /// only lengthens it.
    pub fn note(&mut self, object: &ClusterRedistribution, now: Instant) {
        let Some(uid) = object.metadata.uid.as_deref() else { return };
        // Such a view tells nothing of what it lacks.
        if matches!(journal::read(object), journal::Journal::Missing(_)) {
            return;
        }
        let (pending, version) = (pending(object), version(object));
        if let Some(sight) = self.seen.get_mut(uid) {
            if pending.as_ref().is_some_and(|(key, open)| *key == sight.key && *open == sight.open) {
                sight.version = sight.version.max(version);
                return;
            }
            // The name of an attempt never comes back for another one; what stands for a lost attempt might.
            let is_named = !sight.key.starts_with(journal::LOST);
            if pending.is_none() && is_named && version.is_some() && version <= sight.version {
                return;
            }
        }
        match pending {
            Some((key, open)) => {
                self.seen.insert(uid.to_owned(), FirstSeen { key: key.into_owned(), open, first: now, version });
            }
            None => {
                self.seen.remove(uid);
            }
        }
    }

    /// How long this process has known of `key` on that object.
    pub fn known_for(&self, uid: &str, key: &str, now: Instant) -> Duration {
        let sight = self.seen.get(uid).filter(|sight| sight.key == key);
        sight.map_or(Duration::ZERO, |sight| now.saturating_duration_since(sight.first))
    }

    /// A task that claims, sends and records this attempt lives in this process.
    pub fn task_started(&mut self, uid: &str, attempt_id: &str) {
        self.live.insert(attempt_id.to_owned(), uid.to_owned());
    }

    /// That task is over.
    pub fn task_ended(&mut self, attempt_id: &str) {
        self.live.remove(attempt_id);
    }

    /// True while the task of this attempt lives in this process.
    pub fn is_live(&self, attempt_id: &str) -> bool {
        self.live.contains_key(attempt_id)
    }

    /// This process gave the claim up and holds the proof that nothing was sent under its id: the unused permit.
    /// Only such an id may ever be recorded as `NotSent` by anyone but its own task.
    pub fn abandon(&mut self, uid: &str, attempt_id: &str) {
        let abandoned = self.abandoned.entry(uid.to_owned()).or_default();
        abandoned.push_back(attempt_id.to_owned());
        // What is forgotten is later given up as unknown, which is no less safe.
        if abandoned.len() > MAX_ABANDONED {
            abandoned.pop_front();
        }
    }

    /// The object's attempt, if this process gave it up and nobody has said yet that nothing was sent.
    pub fn to_retract<'a>(&self, object: &'a ClusterRedistribution) -> Option<&'a Attempt> {
        let attempt = journal::unproven(object)?;
        self.abandoned.get(&attempt.uid)?.contains(&attempt.id).then_some(attempt)
    }

    /// This process is about to send for this generation.
    pub fn sending(&mut self, uid: &str, generation: i64, now: Instant) {
        self.prechecks.forget(uid);
        self.sent.retain(|_, sent| now.saturating_duration_since(sent.at) < REMEMBER_SENT);
        self.sent.insert(uid.to_owned(), Sent { generation, at: now });
    }

    /// A view of the object lacks something. Returns whether that is new, and how long a dry run has to wait. The first
    /// wait lets API servers finish a change of the CRD, each later one is twice as long.
    pub fn hidden(&mut self, uid: &str, now: Instant) -> (bool, Duration) {
        self.crd_was_outdated = true;
        if let Some(hidden) = self.hidden.get_mut(uid) {
            let wait = hidden.next.saturating_duration_since(now);
            if wait.is_zero() {
                hidden.pause = hidden.pause.saturating_mul(2).min(LAST_DRY_RUN);
                hidden.next = now + hidden.pause;
            }
            return (false, wait);
        }
        self.hidden.insert(uid.to_owned(), Hidden { next: now + FIRST_DRY_RUN, pause: FIRST_DRY_RUN });
        (true, FIRST_DRY_RUN)
    }

    /// A view of the object was whole.
    pub fn whole(&mut self, uid: &str) {
        self.hidden.remove(uid);
    }

    /// How many objects are hidden.
    pub fn hidden_objects(&self) -> usize {
        self.hidden.len()
    }

    /// The API server did not keep all of a status that was written, or that was only tried out.
    pub fn crd_is_outdated(&mut self) {
        self.crd_was_outdated = true;
    }

    /// True once that was seen.
    pub fn crd_was_outdated(&self) -> bool {
        self.crd_was_outdated
    }

    /// True if this process may have sent for this generation lately. A journal that does not show that is wrong: a
    /// view of the object that an outdated schema has pruned can carry a current resourceVersion.
    pub fn may_have_sent(&self, uid: &str, generation: i64) -> bool {
        self.sent.get(uid).is_some_and(|sent| sent.generation == generation)
    }

    /// A claim of this generation was proven not sent: the next one waits, longer each time. `jitter` is 0 to 1.
    pub fn not_sent(&mut self, uid: &str, generation: i64, jitter: f64, now: Instant) -> Duration {
        let count =
            self.retries.get(uid).filter(|retry| retry.generation == generation).map_or(0, |retry| retry.count + 1);
        let full = FIRST_RETRY.saturating_mul(1 << count.min(10)).min(LAST_RETRY);
        let pause = full.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0));
        self.sent.remove(uid);
        self.retries.insert(uid.to_owned(), Retry { generation, count, not_before: now + pause });
        pause
    }

    /// Time left until this generation may be claimed again.
    pub fn retry_in(&self, uid: &str, generation: i64, now: Instant) -> Option<Duration> {
        let retry = self.retries.get(uid).filter(|retry| retry.generation == generation)?;
        Some(retry.not_before.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// The object is gone, for good or from what the selector shows. What was sent is remembered for its own time.
    pub fn forget(&mut self, uid: &str) {
        self.hidden.remove(uid);
        self.seen.remove(uid);
        self.retries.remove(uid);
        self.abandoned.remove(uid);
        self.prechecks.forget(uid);
        self.schedule.end(uid);
    }

    /// All objects were listed, and these are the ones that are not finished. What is remembered of others is dropped: whoever
    /// was deleted while it was prepared, called or looked at has left something behind since, and of whoever was deleted while
    /// no watch was open nothing told.
    pub fn keep_only(&mut self, pending: &HashSet<String>, now: Instant) {
        // What was sent is remembered for its own time: without it a view that hides the journal would be believed.
        let Self { seen, live, abandoned, retries, sent: _, hidden, crd_was_outdated: _, prechecks, schedule } = self;
        let live: HashSet<_> = live.values().collect();
        let keeps = |uid: &String| pending.contains(uid) || live.contains(uid);
        // A finished object may have been quiet for long enough, and its next generation would wait for that anew.
        seen.retain(|uid, sight| keeps(uid) || now.saturating_duration_since(sight.first) < REMEMBER_QUIET);
        abandoned.retain(|uid, _| keeps(uid));
        retries.retain(|uid, _| keeps(uid));
        hidden.retain(|uid, _| keeps(uid));
        prechecks.keep_only(keeps);
        schedule.keep_only(keeps);
    }

    /// The object is finished; only a quiet period may still matter.
    pub fn finished(&mut self, uid: &str) {
        self.hidden.remove(uid);
        self.retries.remove(uid);
        self.prechecks.forget(uid);
        self.schedule.end(uid);
    }
}

/// API servers compare resourceVersions of one object as numbers. One that is none tells nothing.
fn version(object: &ClusterRedistribution) -> Option<u64> {
    object.metadata.resource_version.as_deref()?.parse().ok()
}

/// What has to be seen for a while before anything else may happen to the object, and whether it is still open: an
/// attempt of which nobody knows what became. `Unknown` of the current generation counts too: the next generation will
/// have to wait for it.
fn pending(object: &ClusterRedistribution) -> Option<(Cow<'_, str>, bool)> {
    match journal::read(object) {
        journal::Journal::InFlight(attempt) => Some((attempt.id.as_str().into(), true)),
        journal::Journal::CoolingDown { key, .. } => Some((key, false)),
        _ => {
            let attempt = object.attempt()?;
            (attempt.state != "Answered" && attempt.state != "NotSent").then_some((attempt.id.as_str().into(), false))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
