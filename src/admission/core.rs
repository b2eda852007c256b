//! PURE core of the admission: who may call now. One call per cluster, a bound on all calls, a pace and a lock-out per key,
//! and no claims towards an endpoint that cannot be reached. The clock is an argument.
//!
//! None of this is needed for the law, which the compare-and-swap on the object keeps. It keeps the cloud from locking
//! the key (five bad signatures), from answering 429, and from meeting two calls for one cluster.

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

/// Calls keep this much more distance than the pace asks for, as a part of it: what is sent on the slot arrives a little
/// earlier or later, and must not arrive as one too many.
const SLACK: f64 = 0.015;

/// Whoever stands far back looks again after this for each in queue, should it not be woken: that is 25 looks a second
/// of a whole queue, each of which costs a read, as long as the bounds of that time (`held`) do not make it sooner.
const RETRY_INTERVAL: Duration = Duration::from_millis(40);

/// The core. See the module.
#[derive(Debug)]
pub struct Core {
    pub(super) concurrency: usize,
    pub(super) interval: Duration,
    pub(super) in_flight: HashMap<String, ObjectName>,
    /// Reads under way.
    pub(super) reading: usize,
    pub(super) keys: HashMap<KeyIdentity, KeyState>,
    endpoints: EndpointHealth,
    pub(super) waiting: Waiting,
    pub(super) restored: RestoredHolds,
}

impl Core {
    /// A admission for at most `concurrency` calls at once and `rate` calls per second and key (0 = no pace).
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

    /// Lets the candidate in, or says why not. Who is let in must `leave`. Who stays to ask again soon is not to be woken
    /// besides.
    pub fn enter(&mut self, candidate: &Candidate, stays: bool, now: Instant) -> Result<(), Refusal> {
        let Candidate { object, cluster, key: identity, requested_at, shows } = candidate;
        if let Some(by) = self.in_flight.get(cluster).cloned() {
            self.waiting.wait(object, Until::Cluster(cluster.clone()));
            return Err(Refusal::AnotherCall { by });
        }
        let key = self.keys.entry(*identity).or_default();
        key.used = Some(now);
        let each = self.interval.max(RETRY_INTERVAL);
        let delay_behind = |queued: usize| each * u32::try_from(queued).unwrap_or(u32::MAX);
        if let Some(mut refusal) = key.rests(now) {
            if let Refusal::Throttled { wait, behind } = &mut refusal {
                let queued = key.queue.wait_until((object, *requested_at), self.concurrency, (now, now + *wait));
                // Only those who are next look at its end by themselves; the others are woken, as ever.
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
        // A key that has not had an answer yet carries one call: if it is wrong, one object pays for it, not all.
        let on_trial = !key.proven && key.in_flight > 0;
        let is_full = self.in_flight.len() >= self.concurrency;
        // Whoever stood here when a 429 came has gone; without this the first who looks afterwards would be called next, from
        // whatever place.
        let order_kept = key.keeps_order_for(now);
        let is_first = match order_kept {
            Some(_) => key.queue.is_next(object, *requested_at, now),
            None => key.queue.is_first(object, *requested_at),
        };
        if is_full || on_trial || slot_wait.is_some() || !is_first {
            // One more than may enter, should all those before it be woken and not come: somebody must be here to see that.
            let limit = self.concurrency + usize::from(order_kept.is_some());
            return Err(match key.queue.wait((object, *requested_at), (stays, *shows), limit, now) {
                Position::Behind { queued, quiet } if stays => Refusal::Queued { quiet, wait: delay_behind(queued) },
                Position::Behind { .. } | Position::Present => Refusal::Slot { wait: slot_wait.or(order_kept) },
            });
        }
        key.in_flight += 1;
        key.queue.leave(object);
        key.next_call = (!self.interval.is_zero()).then(|| next_slot(key.next_call, self.interval, now));
        self.in_flight.insert(cluster.clone(), object.clone());
        self.waiting.leave(object);
        Ok(())
    }

    /// Who was let in is about to send: how long to wait for the slot. That is nothing, unless the claim before took longer
    /// than this one; and at most as long as that claim was late.
    pub fn slot(&mut self, key: KeyIdentity, now: Instant) -> Duration {
        let interval = self.interval;
        let Some(key) = self.keys.get_mut(&key).filter(|_| !interval.is_zero()) else { return Duration::ZERO };
        let slot = key.next_send.map_or(now, |next| next.max(now));
        key.next_send = Some(slot + interval);
        slot.saturating_duration_since(now)
    }

    /// The candidate waits here no longer.
    pub fn stop_waiting(&mut self, candidate: &Candidate) {
        if let Some(key) = self.keys.get_mut(&candidate.key) {
            key.queue.stop_waiting(&candidate.object);
        }
    }

    /// Somebody who was let in made one request more than the call.
    pub fn spend(&mut self, key: KeyIdentity, now: Instant) {
        if let Some(key) = self.keys.get_mut(&key).filter(|_| !self.interval.is_zero()) {
            key.next_call = Some(key.next_call.map_or(now, |next| next.max(now)) + self.interval);
        }
    }

    /// The candidate's call is over, or was never made. Returns who waited for that.
    pub fn leave(&mut self, candidate: &Candidate, effect: Option<KeyEffect>, now: Instant) -> Vec<ObjectName> {
        self.in_flight.remove(&candidate.cluster);
        self.learn(candidate.key, effect, now);
        if let Some(key) = self.keys.get_mut(&candidate.key).filter(|_| effect == Some(KeyEffect::Good)) {
            key.mark_proven();
        }
        self.end_request(candidate.key, now);
        self.wake(&candidate.cluster, candidate.key, now)
    }

    /// What an answer says of a key, as soon as it has come: a key that works in one request and is refused in the next
    /// has worked before.
    pub fn learn(&mut self, key: KeyIdentity, effect: Option<KeyEffect>, now: Instant) {
        if let Some(key) = self.keys.get_mut(&key) {
            key.learn(effect, now);
        }
    }

    /// A request with this key is over.
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

    /// Whether an endpoint was found unreachable, and not reachable since.
    pub fn is_unreachable(&self, endpoint: &str) -> bool {
        self.endpoints.is_unreachable(endpoint)
    }

    /// A probe or a call found the endpoint unreachable. Returns the pause until the next probe.
    pub fn unreachable(&mut self, endpoint: &str, now: Instant) -> Duration {
        self.endpoints.unreachable(endpoint, now)
    }

    /// A probe or a call got through. Returns who waits.
    pub fn reachable(&mut self, endpoint: &str) -> Vec<ObjectName> {
        let was_away = self.endpoints.reachable(endpoint);
        if was_away { self.waiting.wake_all() } else { Vec::new() }
    }

    /// Calls in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// A source was read and holds this key: what was told of the source counts for it. Refusals count against access keys.
    pub fn recall(&mut self, source: &CredentialSource, endpoint: &str, key: (KeyIdentity, bool), now: Instant) {
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

/// The next slot. One that was a little late keeps the slot, but no later than the slack of a second allows; after a rest a
/// new one begins.
fn next_slot(slot: Option<Instant>, interval: Duration, now: Instant) -> Instant {
    let late = (interval / 10).min(Duration::from_secs(1).mul_f64(SLACK));
    let is_kept = |slot: &Instant| now.saturating_duration_since(*slot) < late;
    slot.filter(is_kept).unwrap_or(now) + interval
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
