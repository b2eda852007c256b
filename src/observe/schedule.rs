//! When polls are due, and the facts that are not in status, in memory. After a restart it starts empty, which costs
//! one poll per object. No clock of its own, no I/O.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use k8s_openapi::jiff::Timestamp;

use super::{
    Observe, Stage,
    judge::{Finding, Hint, OtherCalls, Unseen},
};
use crate::{
    api::{AttemptState, ClusterRedistribution, Phase},
    cloud::outcome,
};

/// The latest calls of a cluster. With more of them within the settle time, its redistributions cannot be
/// distinguished.
const MAX_CALLS: usize = 8;

const MAX_CLUSTERS: usize = 10_000;

/// The interval doubles after each such number of polls in a row without a change.
const POLLS_PER_DOUBLING: u32 = 5;
/// Upper bound of the factor without progress; also the factor while a person has to act.
const SLOW: u32 = 5;
/// The factor if a change without intervention is unlikely.
const SLOWEST: u32 = 15;

#[derive(Clone, Debug)]
pub struct Scheduled {
    pub attempt_id: String,
    /// When the first read succeeded.
    pub since: Option<Instant>,
    pub next: Instant,
    pub unchanged_polls: u32,
    pub hint: Option<Hint>,
}

/// By object uid, and by cluster.
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
    /// For a new attempt the first poll is due after `first`.
    pub fn entry(&mut self, uid: &str, attempt_id: &str, first: Duration, now: Instant) -> Scheduled {
        let new = || Scheduled {
            attempt_id: attempt_id.to_owned(),
            since: None,
            next: now + first,
            unchanged_polls: 0,
            hint: None,
        };
        let scheduled = self.objects.entry(uid.to_owned()).or_insert_with(new);
        if scheduled.attempt_id != attempt_id {
            *scheduled = new();
        }
        scheduled.clone()
    }

    /// Unless the object was deleted or a new attempt was made since.
    pub fn keep(&mut self, uid: &str, scheduled: Scheduled) {
        if let Some(current) = self.objects.get_mut(uid).filter(|current| current.attempt_id == scheduled.attempt_id) {
            *current = scheduled;
        }
    }

    pub fn end(&mut self, uid: &str) {
        self.objects.remove(uid);
    }

    pub fn keep_only(&mut self, keeps: impl Fn(&String) -> bool) {
        self.objects.retain(|uid, _| keeps(uid));
    }

    pub fn record_status(&mut self, object: &ClusterRedistribution) {
        let (Some(uid), Some(status)) = (&object.metadata.uid, &object.status) else { return };
        let cluster = object.spec.cluster_id.to_ascii_lowercase();
        let may_have_started = |state: &str, code: Option<i32>, error: Option<&str>| {
            let state = AttemptState::parse(state);
            state != Some(AttemptState::NotSent) && !(state == Some(AttemptState::Answered) && is_refusal(code, error))
        };
        // An older generation may have been for another cluster; if that was not recorded, since observation was off
        // then, its call counts for the present one.
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

    /// An earlier record of the same call is kept.
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
            // Half of them at once, so that a long list of objects is not searched for each new cluster.
            let (_, median, _) = latest.select_nth_unstable(MAX_CLUSTERS / 2);
            let median = *median;
            self.calls.retain(|_, calls| calls.last().is_some_and(|call| call.at >= median));
        }
    }

    /// It started nothing.
    pub fn remove_call(&mut self, cluster: &str, uid: &str, generation: i64) {
        if let Some(calls) = self.calls.get_mut(cluster) {
            calls.retain(|call| call.uid != uid || call.generation != generation);
            if calls.is_empty() {
                self.calls.remove(cluster);
            }
        }
    }

    /// Calls for that cluster within `shortly` before this one, or since. If the time of this one is not known, any
    /// other is a later one.
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

/// `unchanged_polls`: in a row; `reads`: of this poll; `jitter` is 0 to 1 and only lengthens, so that no more is read
/// than the administrator allowed.
pub fn pause(
    observe: &Observe,
    stage: Stage,
    finding: &Finding,
    unchanged_polls: u32,
    reads: u32,
    jitter: f64,
) -> Duration {
    let factor = match finding {
        Finding::Run(Phase::Paused, _) | Finding::Unseen(Unseen::NotReadable, _) => SLOW,
        Finding::Run(Phase::Failed, _) => SLOWEST,
        // Until the settle time is over, a user waits for the result.
        _ if stage == Stage::Settling => 1,
        _ => (1 << (unchanged_polls / POLLS_PER_DOUBLING).min(8)).min(SLOW),
    };
    let reads = if stage == Stage::Settling { 1 } else { reads.max(1) };
    observe.every.saturating_mul(factor.max(reads)).mul_f64(1.0 + 0.25 * jitter.clamp(0.0, 1.0))
}

/// Whether an answer in status proves that nothing began: a 401, a 429, or another 4xx with a code that proves it.
/// Without a code, a body that was not read whole may have held one that proves nothing.
pub fn is_refusal(status_code: Option<i32>, error_code: Option<&str>) -> bool {
    let proves = match status_code {
        Some(401 | 429) => true,
        Some(code) => (400..500).contains(&code) && code != 408 && error_code.is_some(),
        None => false,
    };
    proves && !error_code.is_some_and(outcome::proves_nothing)
}

#[cfg(test)]
mod tests;
