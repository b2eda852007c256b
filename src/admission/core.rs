//! PURE core of the admission: which object may call now. One call per cluster, a bound on all calls, a rate limit and
//! a lock-out per key, and no claims towards an endpoint that cannot be reached. The clock is an argument.
//!
//! The guarantee does not depend on any of this: the compare-and-swap on the object keeps it. Admission keeps the cloud
//! from locking the key (five bad signatures), from answering 429, and from receiving two calls for one cluster.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{
    keys::KeyState,
    queue::Position,
    request::{Candidate, ObjectName, Refusal},
    restored::{Effect, RestoredHolds},
    waiting::{Until, Waiting},
};
use crate::{
    cloud::{
        health::{EndpointHealth, Health},
        identity::KeyIdentity,
        outcome::KeyEffect,
    },
    credentials::CredentialSource,
};

/// Calls keep this much more distance than the rate limit asks for, as a fraction of the interval: a request sent on
/// its slot arrives a little earlier or later, and must not exceed the rate where it arrives.
const SLACK: f64 = 0.015;

/// An object far back in the queue that is not woken is tried again after this much per queued object. A whole queue
/// thus costs 25 tries a second, one read each, unless the bounds of the requeue time (`controller::messages`) make it
/// sooner.
const RETRY_INTERVAL: Duration = Duration::from_millis(40);

/// The state of admission: calls in flight, keys, endpoints and waiting objects. Takes the clock as an argument.
#[derive(Debug)]
pub struct Core {
    pub(super) concurrency: usize,
    pub(super) interval: Duration,
    pub(super) in_flight: HashMap<String, ObjectName>,
    /// Reads in progress.
    pub(super) reading: usize,
    pub(super) keys: HashMap<KeyIdentity, KeyState>,
    endpoints: EndpointHealth,
    pub(super) waiting: Waiting,
    pub(super) restored: RestoredHolds,
}

impl Core {
    /// Admits at most `concurrency` calls at once (at least 1) and `rate` calls per second and key (0 = no rate limit).
    pub fn new(concurrency: usize, rate: f64) -> Self {
        let interval = if rate > 0.0 {
            Duration::try_from_secs_f64((1.0 + SLACK) / rate).unwrap_or_default()
        } else {
            Duration::ZERO
        };
        Self {
            concurrency: concurrency.max(1),
            interval,
            in_flight: HashMap::new(),
            reading: 0,
            keys: HashMap::new(),
            endpoints: EndpointHealth::default(),
            waiting: Waiting::default(),
            restored: RestoredHolds::default(),
        }
    }

    /// Admits the candidate, or returns why not. An admitted candidate must `leave`. A candidate that
    /// `may_keep_waiting` asks again soon by itself, and so is not woken as well.
    pub fn enter(&mut self, candidate: &Candidate, may_keep_waiting: bool, now: Instant) -> Result<(), Refusal> {
        let Candidate { object, cluster, key: identity, requested_at, has_other_report } = candidate;
        if let Some(by) = self.in_flight.get(cluster).cloned() {
            self.waiting.wait(object, Until::Cluster(cluster.clone()));
            return Err(Refusal::AnotherCall { by });
        }
        let key = self.keys.entry(*identity).or_default();
        key.used = Some(now);
        let each = self.interval.max(RETRY_INTERVAL);
        let delay_behind = |queued: usize| each * u32::try_from(queued).unwrap_or(u32::MAX);
        if let Some(mut refusal) = key.refusal(now) {
            if let Refusal::Throttled { wait, behind } = &mut refusal {
                let queued = key.queue.wait_until((object, *requested_at), self.concurrency, (now, now + *wait));
                // Only the next ones retry by themselves when the Retry-After time ends; the others are woken, as
                // always.
                *behind = queued.map_or(Duration::ZERO, delay_behind);
            } else {
                key.queue.stop_waiting(object);
            }
            if matches!(refusal, Refusal::Rejected { wait: None, .. }) && key.is_on_trial() {
                self.waiting.wait(object, Until::Key(*identity));
            }
            return Err(refusal);
        }
        let slot_wait = key.next_call.map(|next| next.saturating_duration_since(now)).filter(|wait| !wait.is_zero());
        // A key without an answer yet gets one call: if the key is wrong, one object fails, not all.
        let on_trial = !key.proven && key.in_flight > 0;
        let is_full = self.in_flight.len() >= self.concurrency;
        // Objects present when the 429 came have left. Without this the first object to retry afterwards would go next,
        // whatever its place.
        let order_kept = key.keeps_order_for(now);
        let is_first = match order_kept {
            Some(_) => key.queue.is_next(object, *requested_at, now),
            None => key.queue.is_first(object, *requested_at),
        };
        if is_full || on_trial || slot_wait.is_some() || !is_first {
            // One more than may enter: if all objects before it are woken and do not come, one must be present to
            // notice.
            let limit = self.concurrency + usize::from(order_kept.is_some());
            return Err(
                match key.queue.wait((object, *requested_at), (may_keep_waiting, *has_other_report), limit, now) {
                    Position::Behind { queued, quiet } if may_keep_waiting => {
                        Refusal::Queued { quiet, wait: delay_behind(queued) }
                    }
                    Position::Behind { .. } | Position::Present => Refusal::Slot { wait: slot_wait.or(order_kept) },
                },
            );
        }
        key.in_flight += 1;
        key.queue.leave(object);
        key.next_call = (!self.interval.is_zero()).then(|| next_slot(key.next_call, self.interval, now));
        self.in_flight.insert(cluster.clone(), object.clone());
        self.waiting.leave(object);
        Ok(())
    }

    /// An admitted object is about to send: how long to wait for its slot. Zero unless the previous claim took longer
    /// than this one, and at most as long as that claim was late.
    pub fn slot(&mut self, key: KeyIdentity, now: Instant) -> Duration {
        let interval = self.interval;
        let Some(key) = self.keys.get_mut(&key).filter(|_| !interval.is_zero()) else { return Duration::ZERO };
        let slot = key.next_send.map_or(now, |next| next.max(now));
        key.next_send = Some(slot + interval);
        slot.saturating_duration_since(now)
    }

    /// The candidate no longer waits with a worker. It keeps its place in the queue.
    pub fn stop_waiting(&mut self, candidate: &Candidate) {
        if let Some(key) = self.keys.get_mut(&candidate.key) {
            key.queue.stop_waiting(&candidate.object);
        }
    }

    /// An admitted object made one request in addition to its call.
    pub fn spend(&mut self, key: KeyIdentity, now: Instant) {
        if let Some(key) = self.keys.get_mut(&key).filter(|_| !self.interval.is_zero()) {
            key.next_call = Some(key.next_call.map_or(now, |next| next.max(now)) + self.interval);
        }
    }

    /// The candidate's call is over, or was never made. Returns the objects to wake.
    pub fn leave(&mut self, candidate: &Candidate, effect: Option<KeyEffect>, now: Instant) -> Vec<ObjectName> {
        self.in_flight.remove(&candidate.cluster);
        self.learn(candidate.key, effect, now);
        if let Some(key) = self.keys.get_mut(&candidate.key).filter(|_| effect == Some(KeyEffect::Good)) {
            key.mark_proven();
        }
        self.end_request(candidate.key, now);
        self.wake(&candidate.cluster, candidate.key, now)
    }

    /// Records what an answer says about a key, as soon as the answer has come: a key that works in one request and is
    /// refused in the next has worked before.
    pub fn learn(&mut self, key: KeyIdentity, effect: Option<KeyEffect>, now: Instant) {
        if let Some(key) = self.keys.get_mut(&key) {
            key.learn(effect, now);
        }
    }

    /// A request with this key has ended. Drops expired keys.
    pub(super) fn end_request(&mut self, key: KeyIdentity, now: Instant) {
        if let Some(key) = self.keys.get_mut(&key) {
            key.in_flight = key.in_flight.saturating_sub(1);
        }
        self.keys.retain(|_, key| !key.is_expired(now));
    }

    /// May a claim be made towards this endpoint? `suspect`: the object's last try did not get through.
    pub fn health(&mut self, endpoint: &str, suspect: bool, now: Instant) -> Health {
        self.endpoints.health(endpoint, suspect, now)
    }

    /// Whether an endpoint was found unreachable and has not been reached since.
    pub fn is_unreachable(&self, endpoint: &str) -> bool {
        self.endpoints.is_unreachable(endpoint)
    }

    /// A probe or a call found the endpoint unreachable. Returns the pause until the next probe.
    pub fn unreachable(&mut self, endpoint: &str, now: Instant) -> Duration {
        self.endpoints.unreachable(endpoint, now)
    }

    /// A probe or a call got through. Returns the objects to wake if the endpoint was unreachable.
    pub fn reachable(&mut self, endpoint: &str) -> Vec<ObjectName> {
        let was_unreachable = self.endpoints.reachable(endpoint);
        if was_unreachable { self.waiting.wake_all() } else { Vec::new() }
    }

    /// Calls in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// A credential source was read and holds this key: what status recorded for the source now counts for the key.
    /// Refusals count against access keys only.
    pub fn apply_restored(
        &mut self,
        source: &CredentialSource,
        endpoint: &str,
        key: (KeyIdentity, bool),
        now: Instant,
    ) {
        let (identity, is_access_key) = key;
        for (id, hold) in self.restored.for_source(source, endpoint).filter(|(_, hold)| hold.until > now) {
            let key = self.keys.entry(identity).or_default();
            key.used = Some(now);
            match hold.effect {
                Effect::Throttled => key.throttle_until(hold.until),
                Effect::Refused if is_access_key => key.count_refusal(id, hold.until),
                Effect::Refused => {}
            }
        }
    }
}

/// The next slot. A call that was a little late keeps its slot, within the slack of one second; after a pause a new
/// sequence of slots begins.
fn next_slot(slot: Option<Instant>, interval: Duration, now: Instant) -> Instant {
    let late = (interval / 10).min(Duration::from_secs(1).mul_f64(SLACK));
    let is_kept = |slot: &Instant| now.saturating_duration_since(*slot) < late;
    slot.filter(is_kept).unwrap_or(now) + interval
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
