//! Process-local state of attempts, beyond the objects' status. Safety after a restart does not need it: an empty tracker
//! only makes the controller wait longer and record `Unknown` more often. The clock is an argument; no I/O.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet, VecDeque},
    time::{Duration, Instant},
};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use crate::{
    api::{Attempt, ClusterRedistribution},
    protocol::journal,
};

/// Longest pause before another claim, or another dry run.
const MAX_PAUSE: Duration = Duration::from_secs(300);
/// Pauses before the next claim after a proven `NotSent`.
const RETRIES: ExponentialBuilder =
    ExponentialBuilder::new().with_min_delay(Duration::from_secs(2)).with_max_delay(MAX_PAUSE).without_max_times();
/// Pauses before dry runs for an object whose status is incomplete. The first one lets API servers finish a change of the
/// CRD.
const DRY_RUNS: ExponentialBuilder =
    ExponentialBuilder::new().with_min_delay(Duration::from_secs(10)).with_max_delay(MAX_PAUSE).without_max_times();

/// How long a sent generation is remembered. Far longer than any API server serves a CRD that was replaced.
const REMEMBER_SENT: Duration = Duration::from_secs(3600);

/// How long a finished object is remembered, so that its next generation need not wait for the cool-down again.
const REMEMBER_COOLED_DOWN: Duration = Duration::from_secs(7 * 24 * 3600);

/// How many abandoned claims of one object are remembered. Only the last few can still be in flight.
const MAX_ABANDONED: usize = 32;

/// By uid, `live` by attempt id.
#[derive(Debug, Default)]
pub struct AttemptTracker {
    seen: HashMap<String, FirstSeen>,
    live: HashMap<String, String>,
    abandoned: HashMap<String, VecDeque<String>>,
    retries: HashMap<String, Retry>,
    /// The generation that was last sent, and when.
    sent: HashMap<String, (i64, Instant)>,
    /// Objects whose status is incomplete as read, and when a dry run is due.
    hidden: HashMap<String, Hidden>,
    /// The installed CRD once did not keep all of status: every claim is preceded by a dry run.
    crd_was_outdated: bool,
}

#[derive(Debug)]
struct FirstSeen {
    key: String,
    /// No outcome was recorded yet. Once it is, the cool-down starts: an expired claim proves only that its process
    /// recorded nothing, not that its request has ended.
    open: bool,
    first: Instant,
    /// resourceVersion of the newest read that showed it.
    version: Option<u64>,
}

#[derive(Debug)]
struct Hidden {
    next: Instant,
    pauses: ExponentialBackoff,
}

#[derive(Debug)]
struct Retry {
    generation: i64,
    pauses: ExponentialBackoff,
    not_before: Instant,
}

impl AttemptTracker {
    /// Notes the state of an object. The first read of an attempt that is open or cooling down starts its grace, by the
    /// clock of this process alone; clocks of two hosts are never compared.
    ///
    /// A read that lacks the attempt and is no newer than one that showed it proves nothing: a watch that was opened under
    /// an older CRD keeps pruning it, however often the cache is read. Any other change restarts the grace, which only
    /// lengthens it.
    pub fn note(&mut self, object: &ClusterRedistribution, now: Instant) {
        let Some(uid) = object.metadata.uid.as_deref() else { return };
        // An incomplete read proves nothing about what it lacks.
        if matches!(journal::read(object), journal::Journal::Missing(_)) {
            return;
        }
        let (pending, version) = (pending(object), version(object));
        if let Some(known) = self.seen.get_mut(uid) {
            if pending.as_ref().is_some_and(|(key, open)| *key == known.key && *open == known.open) {
                known.version = known.version.max(version);
                return;
            }
            // The id of an attempt is never reused; the key of a lost attempt may be.
            let is_named = !known.key.starts_with(journal::ATTEMPT_LOST);
            if pending.is_none() && is_named && version.is_some() && version <= known.version {
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

    pub fn known_for(&self, uid: &str, key: &str, now: Instant) -> Duration {
        let known = self.seen.get(uid).filter(|known| known.key == key);
        known.map_or(Duration::ZERO, |known| now.saturating_duration_since(known.first))
    }

    pub fn task_started(&mut self, uid: &str, attempt_id: &str) {
        self.live.insert(attempt_id.to_owned(), uid.to_owned());
    }

    pub fn task_ended(&mut self, attempt_id: &str) {
        self.live.remove(attempt_id);
    }

    /// True while a task of this process handles this attempt.
    pub fn is_live(&self, attempt_id: &str) -> bool {
        self.live.contains_key(attempt_id)
    }

    /// This process abandons the claim; its unused permit proves that nothing was sent. No other id may be recorded as
    /// `NotSent` outside its own task.
    pub fn abandon(&mut self, uid: &str, attempt_id: &str) {
        let abandoned = self.abandoned.entry(uid.to_owned()).or_default();
        abandoned.push_back(attempt_id.to_owned());
        // A forgotten claim later expires as Unknown, which is no less safe.
        if abandoned.len() > MAX_ABANDONED {
            abandoned.pop_front();
        }
    }

    /// The object's attempt, if this process abandoned it and it is not recorded yet that nothing was sent.
    pub fn to_retract<'a>(&self, object: &'a ClusterRedistribution) -> Option<&'a Attempt> {
        let attempt = journal::unproven(object)?;
        self.abandoned.get(&attempt.uid)?.contains(&attempt.id).then_some(attempt)
    }

    pub fn sending(&mut self, uid: &str, generation: i64, now: Instant) {
        self.sent.retain(|_, (_, sent_at)| now.saturating_duration_since(*sent_at) < REMEMBER_SENT);
        self.sent.insert(uid.to_owned(), (generation, now));
    }

    /// The object's status is incomplete as read. Returns whether that is new, and the time until the next dry run.
    pub fn hidden(&mut self, uid: &str, now: Instant) -> (bool, Duration) {
        self.crd_was_outdated = true;
        let is_new = !self.hidden.contains_key(uid);
        let hidden =
            self.hidden.entry(uid.to_owned()).or_insert_with(|| Hidden { next: now, pauses: DRY_RUNS.build() });
        let wait = hidden.next.saturating_duration_since(now);
        if !wait.is_zero() {
            return (false, wait);
        }
        let pause = hidden.pauses.next().unwrap_or(MAX_PAUSE);
        hidden.next = now + pause;
        (is_new, if is_new { pause } else { Duration::ZERO })
    }

    pub fn whole(&mut self, uid: &str) {
        self.hidden.remove(uid);
    }

    pub fn hidden_objects(&self) -> usize {
        self.hidden.len()
    }

    /// The API server did not keep all of a status, in a write or a dry run.
    pub fn crd_is_outdated(&mut self) {
        self.crd_was_outdated = true;
    }

    pub fn crd_was_outdated(&self) -> bool {
        self.crd_was_outdated
    }

    /// This process may have sent for this generation recently: a journal that does not show the attempt is wrong, since an
    /// object that an outdated schema has pruned can carry a current resourceVersion.
    pub fn may_have_sent(&self, uid: &str, generation: i64) -> bool {
        self.sent.get(uid).is_some_and(|(sent, _)| *sent == generation)
    }

    /// A claim of this generation was proven not sent. `jitter` is 0 to 1.
    pub fn not_sent(&mut self, uid: &str, generation: i64, jitter: f64, now: Instant) {
        let new = || Retry { generation, pauses: RETRIES.build(), not_before: now };
        let known = self.retries.remove(uid).filter(|retry| retry.generation == generation);
        let mut retry = known.unwrap_or_else(new);
        let pause = retry.pauses.next().unwrap_or(MAX_PAUSE).mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0));
        retry.not_before = now + pause;
        self.sent.remove(uid);
        self.retries.insert(uid.to_owned(), retry);
    }

    pub fn retry_in(&self, uid: &str, generation: i64, now: Instant) -> Option<Duration> {
        let retry = self.retries.get(uid).filter(|retry| retry.generation == generation)?;
        Some(retry.not_before.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// The object is deleted, or no longer matches the selector. The sent generation is still remembered for its time.
    pub fn forget(&mut self, uid: &str) {
        self.hidden.remove(uid);
        self.seen.remove(uid);
        self.retries.remove(uid);
        self.abandoned.remove(uid);
    }

    /// Drops the state of all objects but `pending`, the unfinished ones of a complete list, and those whose attempt is under
    /// way; returns both. No event reports a deletion while no watch is open.
    pub fn keep_only(&mut self, pending: &HashSet<String>, now: Instant) -> HashSet<String> {
        // Sent generations are kept for their time: without them a read that hides the journal would be trusted.
        let Self { seen, live, abandoned, retries, sent: _, hidden, crd_was_outdated: _ } = self;
        let kept: HashSet<_> = pending.iter().chain(live.values()).cloned().collect();
        let keep = |uid: &String| kept.contains(uid);
        // A finished object may have passed its cool-down, and its next generation would have to wait for it again.
        seen.retain(|uid, known| keep(uid) || now.saturating_duration_since(known.first) < REMEMBER_COOLED_DOWN);
        abandoned.retain(|uid, _| keep(uid));
        retries.retain(|uid, _| keep(uid));
        hidden.retain(|uid, _| keep(uid));
        kept
    }

    /// The object is finished; only its cool-down may still matter.
    pub fn finished(&mut self, uid: &str) {
        self.hidden.remove(uid);
        self.retries.remove(uid);
    }
}

/// API servers compare resourceVersions of one object as numbers. One that is no number proves nothing.
fn version(object: &ClusterRedistribution) -> Option<u64> {
    object.metadata.resource_version.as_deref()?.parse().ok()
}

/// The attempt without a known outcome whose grace the next claim must wait for, and whether it is still open. `Unknown` of
/// the current generation counts too.
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
