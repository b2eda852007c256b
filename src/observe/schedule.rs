//! What this process remembers of looks after a call: when the next one is due, and what cannot be told from status. After
//! a restart it begins anew, which costs a look. No clock of its own, no I/O.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use k8s_openapi::jiff::Timestamp;

use crate::{
    api::{AttemptState, ClusterRedistribution},
    observe::{Hint, is_refusal},
};

/// How many calls for a cluster are remembered, the latest. Of a cluster that is called more often than that within the
/// settle time nothing can be told apart anyway.
const MAX_CALLS: usize = 8;

/// How many clusters' calls are remembered.
const MAX_CLUSTERS: usize = 10_000;

/// The looks at one object's redistribution.
#[derive(Clone, Debug)]
pub struct Scheduled {
    /// Of this attempt.
    pub attempt_id: String,
    /// When something could be read for the first time.
    pub since: Option<Instant>,
    /// Not before.
    pub next: Instant,
    /// Reads in a row that showed nothing new.
    pub unmoved: u32,
    /// What the last look suggested.
    pub hint: Option<Hint>,
    /// Times in a row that no look could be made.
    pub put_off: u32,
}

/// Calls of other requests for the same cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Others {
    /// So shortly before that what they began may not have shown before this one's claim.
    pub before: bool,
    /// Since.
    pub since: bool,
}

/// All of them, by object uid; and who called for which cluster.
#[derive(Debug, Default)]
pub struct Schedule {
    objects: HashMap<String, Scheduled>,
    calls: HashMap<String, Vec<Call>>,
}

#[derive(Debug)]
struct Call {
    uid: String,
    generation: i64,
    /// Wall clock: after a restart, statuses are all that tells of it.
    at: Timestamp,
}

impl Schedule {
    /// The watch over this attempt; a new one looks for the first time after `first`.
    pub fn of(&mut self, uid: &str, attempt_id: &str, first: Duration, now: Instant) -> Scheduled {
        let new = || Scheduled {
            attempt_id: attempt_id.to_owned(),
            since: None,
            next: now + first,
            unmoved: 0,
            hint: None,
            put_off: 0,
        };
        let watch = self.objects.entry(uid.to_owned()).or_insert_with(new);
        if watch.attempt_id != attempt_id {
            *watch = new();
        }
        watch.clone()
    }

    /// What a look left behind, unless the object was deleted or called for again meanwhile.
    pub fn keep(&mut self, uid: &str, watch: Scheduled) {
        if let Some(there) = self.objects.get_mut(uid).filter(|there| there.attempt_id == watch.attempt_id) {
            *there = watch;
        }
    }

    /// Nothing is looked at any more.
    pub fn end(&mut self, uid: &str) {
        self.objects.remove(uid);
    }

    /// Those of other objects are dropped.
    pub fn keep_only(&mut self, keeps: impl Fn(&String) -> bool) {
        self.objects.retain(|uid, _| keeps(uid));
    }

    /// Whether that object is looked at.
    #[cfg(test)]
    pub fn is_watched(&self, uid: &str) -> bool {
        self.objects.contains_key(uid)
    }

    /// Takes in the calls that an object's status tells of.
    pub fn note(&mut self, object: &ClusterRedistribution) {
        let (Some(uid), Some(status)) = (&object.metadata.uid, &object.status) else { return };
        let cluster = object.spec.cluster_id.to_ascii_lowercase();
        let may_have_begun = |state: &str, code: Option<i32>, error: Option<&str>| {
            let state = AttemptState::parse(state);
            state != Some(AttemptState::NotSent) && !(state == Some(AttemptState::Answered) && is_refusal(code, error))
        };
        // A call of an older generation may have been for another cluster. Where that was not written down, since nothing was
        // observed then, it counts for the present one.
        let of = |cluster_id: Option<&String>| cluster_id.map_or_else(|| cluster.clone(), |id| id.to_ascii_lowercase());
        for past in &status.history {
            if !may_have_begun(&past.state, past.status_code, past.error_code.as_deref()) {
                continue;
            }
            if let Some(time) = &past.finished_time {
                self.called(&of(past.cluster_id.as_ref()), uid, past.generation, time.0);
            }
        }
        if let Some(attempt) = status.attempt.as_ref().filter(|attempt| attempt.uid == *uid)
            && let Some(time) = &attempt.claimed_time
        {
            let cluster = of(attempt.baseline.as_ref().and_then(|baseline| baseline.cluster_id.as_ref()));
            if may_have_begun(&attempt.state, attempt.status_code, attempt.error_code.as_deref()) {
                self.called(&cluster, uid, attempt.generation, time.0);
            } else {
                self.refused(&cluster, uid, attempt.generation);
            }
        }
    }

    /// An object calls, or has called, for a cluster. What is known of that call already stays.
    pub fn called(&mut self, cluster: &str, uid: &str, generation: i64, at: Timestamp) {
        let calls = self.calls.entry(cluster.to_owned()).or_default();
        if calls.iter().any(|call| call.uid == uid && call.generation == generation) {
            return;
        }
        calls.push(Call { uid: uid.to_owned(), generation, at });
        calls.sort_by_key(|call| call.at);
        if calls.len() > MAX_CALLS {
            calls.remove(0);
        }
        if self.calls.len() > MAX_CLUSTERS {
            let mut latest: Vec<_> = self.calls.values().filter_map(|calls| calls.last()).map(|call| call.at).collect();
            // Half of them at once, so that a long list of objects is not searched for each.
            let (_, median, _) = latest.select_nth_unstable(MAX_CLUSTERS / 2);
            let median = *median;
            self.calls.retain(|_, calls| calls.last().is_some_and(|call| call.at >= median));
        }
    }

    /// That call began nothing.
    pub fn refused(&mut self, cluster: &str, uid: &str, generation: i64) {
        if let Some(calls) = self.calls.get_mut(cluster) {
            calls.retain(|call| call.uid != uid || call.generation != generation);
            if calls.is_empty() {
                self.calls.remove(cluster);
            }
        }
    }

    /// Other requests that have called for that cluster. Where it is not known when this one called, any other is taken for a
    /// later one.
    pub fn others(&self, cluster: &str, uid: &str, generation: i64, shortly: Duration) -> Others {
        let Some(calls) = self.calls.get(cluster) else { return Others::default() };
        let is_own = |call: &&Call| call.uid == uid && call.generation == generation;
        let own = calls.iter().find(is_own).map(|call| call.at);
        let mut others = Others::default();
        for call in calls.iter().filter(|call| !is_own(call)) {
            // Two generations of one object never overlap, whatever the clocks of two hosts say.
            let is_older = call.uid == uid && call.generation < generation;
            match own.map(|own| own.duration_since(call.at)) {
                Some(apart) if is_older => others.before |= apart.unsigned_abs() < shortly,
                // In the same second: whichever was first, the cloud accepts one at a time.
                Some(before) if !before.is_negative() => others.before |= before.unsigned_abs() < shortly,
                _ => others.since = true,
            }
        }
        others
    }
}

#[cfg(test)]
mod tests;
