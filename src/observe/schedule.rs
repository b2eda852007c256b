//! The schedule of polls after calls, in memory: when the next one is due, and the facts that are not in status. After a
//! restart it starts empty, which costs one poll per object. No clock of its own, no I/O.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use k8s_openapi::jiff::Timestamp;

use crate::{
    api::{AttemptState, ClusterRedistribution},
    observe::{Hint, is_refusal},
};

/// Maximum number of calls that are kept for a cluster, the latest ones. The redistributions of a cluster with more calls
/// within the settle time cannot be distinguished anyway.
const MAX_CALLS: usize = 8;

/// Maximum number of clusters whose calls are kept.
const MAX_CLUSTERS: usize = 10_000;

/// The polls of one object's redistribution.
#[derive(Clone, Debug)]
pub struct Scheduled {
    /// Id of the attempt that is polled.
    pub attempt_id: String,
    /// When the first read succeeded.
    pub since: Option<Instant>,
    /// When the next poll is due.
    pub next: Instant,
    /// Number of polls in a row without a change.
    pub unchanged_polls: u32,
    /// The hint of the last poll.
    pub hint: Option<Hint>,
    /// Number of polls in a row that could not be made.
    pub postponements: u32,
}

/// Whether other requests called for the same cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OtherCalls {
    /// So shortly before this request that their redistribution may not be in its baseline.
    pub before: bool,
    /// After this request.
    pub since: bool,
}

/// The scheduled polls by object uid, and the known calls by cluster.
#[derive(Debug, Default)]
pub struct Schedule {
    objects: HashMap<String, Scheduled>,
    calls: HashMap<String, Vec<Call>>,
}

#[derive(Debug)]
struct Call {
    uid: String,
    generation: i64,
    /// By the wall clock: after a restart only statuses hold it.
    at: Timestamp,
}

impl Schedule {
    /// The polls of this attempt; for a new attempt the first poll is due after `first`.
    pub fn entry(&mut self, uid: &str, attempt_id: &str, first: Duration, now: Instant) -> Scheduled {
        let new = || Scheduled {
            attempt_id: attempt_id.to_owned(),
            since: None,
            next: now + first,
            unchanged_polls: 0,
            hint: None,
            postponements: 0,
        };
        let scheduled = self.objects.entry(uid.to_owned()).or_insert_with(new);
        if scheduled.attempt_id != attempt_id {
            *scheduled = new();
        }
        scheduled.clone()
    }

    /// Stores the result of a poll, unless the object was deleted or a new attempt was made since.
    pub fn keep(&mut self, uid: &str, scheduled: Scheduled) {
        if let Some(current) = self.objects.get_mut(uid).filter(|current| current.attempt_id == scheduled.attempt_id) {
            *current = scheduled;
        }
    }

    /// Ends the polls of an object.
    pub fn end(&mut self, uid: &str) {
        self.objects.remove(uid);
    }

    /// Ends the polls of all other objects.
    pub fn keep_only(&mut self, keeps: impl Fn(&String) -> bool) {
        self.objects.retain(|uid, _| keeps(uid));
    }

    /// Whether polls of that object are scheduled.
    #[cfg(test)]
    pub fn is_scheduled(&self, uid: &str) -> bool {
        self.objects.contains_key(uid)
    }

    /// Records the calls in the status of an object.
    pub fn record_status(&mut self, object: &ClusterRedistribution) {
        let (Some(uid), Some(status)) = (&object.metadata.uid, &object.status) else { return };
        let cluster = object.spec.cluster_id.to_ascii_lowercase();
        let may_have_started = |state: &str, code: Option<i32>, error: Option<&str>| {
            let state = AttemptState::parse(state);
            state != Some(AttemptState::NotSent) && !(state == Some(AttemptState::Answered) && is_refusal(code, error))
        };
        // A call of an older generation may have been for another cluster. If its cluster was not recorded, since
        // observation was off then, it counts for the present one.
        let cluster_of =
            |cluster_id: Option<&String>| cluster_id.map_or_else(|| cluster.clone(), |id| id.to_ascii_lowercase());
        for past in &status.history {
            if !may_have_started(&past.state, past.status_code, past.error_code.as_deref()) {
                continue;
            }
            if let Some(time) = &past.finished_time {
                self.record_call(&cluster_of(past.cluster_id.as_ref()), uid, past.generation, time.0);
            }
        }
        if let Some(attempt) = status.attempt.as_ref().filter(|attempt| attempt.uid == *uid)
            && let Some(time) = &attempt.claimed_time
        {
            let cluster = cluster_of(attempt.baseline.as_ref().and_then(|baseline| baseline.cluster_id.as_ref()));
            if may_have_started(&attempt.state, attempt.status_code, attempt.error_code.as_deref()) {
                self.record_call(&cluster, uid, attempt.generation, time.0);
            } else {
                self.remove_call(&cluster, uid, attempt.generation);
            }
        }
    }

    /// Records a call for a cluster. An earlier record of that call is kept.
    pub fn record_call(&mut self, cluster: &str, uid: &str, generation: i64, at: Timestamp) {
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
            // Removes half of them at once, so that a long list of objects is not searched for each new cluster.
            let (_, median, _) = latest.select_nth_unstable(MAX_CLUSTERS / 2);
            let median = *median;
            self.calls.retain(|_, calls| calls.last().is_some_and(|call| call.at >= median));
        }
    }

    /// Removes a call that started nothing.
    pub fn remove_call(&mut self, cluster: &str, uid: &str, generation: i64) {
        if let Some(calls) = self.calls.get_mut(cluster) {
            calls.retain(|call| call.uid != uid || call.generation != generation);
            if calls.is_empty() {
                self.calls.remove(cluster);
            }
        }
    }

    /// Whether other requests called for that cluster, within `shortly` before this one or since. If the time of this
    /// call is not known, any other counts as a later one.
    pub fn others(&self, cluster: &str, uid: &str, generation: i64, shortly: Duration) -> OtherCalls {
        let Some(calls) = self.calls.get(cluster) else { return OtherCalls::default() };
        let is_own = |call: &&Call| call.uid == uid && call.generation == generation;
        let own = calls.iter().find(is_own).map(|call| call.at);
        let mut others = OtherCalls::default();
        for call in calls.iter().filter(|call| !is_own(call)) {
            // Two generations of one object never overlap, whatever the clocks of two hosts show.
            let is_older = call.uid == uid && call.generation < generation;
            match own.map(|own| own.duration_since(call.at)) {
                Some(apart) if is_older => others.before |= apart.unsigned_abs() < shortly,
                // Also within the same second: whichever was first, the cloud accepts one at a time.
                Some(before) if !before.is_negative() => others.before |= before.unsigned_abs() < shortly,
                _ => others.since = true,
            }
        }
        others
    }
}

#[cfg(test)]
mod tests;
