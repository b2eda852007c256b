//! Which reads may be made now. A read takes neither a cluster nor a call's permit, but it uses a key: what the gateway
//! says about the key counts for both reads and calls, and so does the rate limit, of which reads take at most half. A
//! read never waits: if it cannot be made now, it is made later.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Admission,
    core::Core,
    request::{ObjectName, Refusal},
};
use crate::cloud::{identity::KeyIdentity, outcome::KeyEffect};

impl Core {
    /// Admits a read, or returns why not. An admitted read must end with [`Self::end_read`].
    pub fn may_read(&mut self, key: KeyIdentity, now: Instant) -> Result<(), Refusal> {
        if self.reading >= self.concurrency {
            return Err(Refusal::Slot { wait: None });
        }
        let state = self.keys.entry(key).or_default();
        state.used = Some(now);
        if let Some(refusal) = state.refusal(now) {
            return Err(refusal);
        }
        let left = |next: Option<Instant>| next.map(|next| next.saturating_duration_since(now)).unwrap_or_default();
        let wait = left(state.next_call).max(left(state.next_read));
        if (!state.proven && state.in_flight > 0) || !wait.is_zero() {
            return Err(Refusal::Slot { wait: Some(wait) });
        }
        state.in_flight += 1;
        self.reading += 1;
        self.pace_read(key, now);
        Ok(())
    }

    /// One read takes one slot from calls, and two from reads.
    fn pace_read(&mut self, key: KeyIdentity, now: Instant) {
        let interval = self.interval;
        if let Some(key) = self.keys.get_mut(&key).filter(|_| !interval.is_zero()) {
            let advance = |next: Option<Instant>, pause: Duration| Some(next.map_or(now, |next| next.max(now)) + pause);
            key.next_call = advance(key.next_call, interval);
            key.next_read = advance(key.next_read, interval * 2);
        }
    }

    /// The read is over. Returns the objects to wake.
    pub fn end_read(&mut self, key: KeyIdentity, now: Instant) -> Vec<ObjectName> {
        self.reading = self.reading.saturating_sub(1);
        self.end_request(key, now);
        self.wake_by_key(key, now)
    }
}

impl Admission {
    /// Admits a read if one may be made at once.
    pub fn begin_read(self: &Arc<Self>, key: KeyIdentity) -> Result<Reading, Refusal> {
        self.lock().may_read(key, Instant::now()).map(|()| Reading {
            admission: Arc::clone(self),
            key,
            is_refused: false,
        })
    }
}

/// The permit to read. Released when dropped.
#[derive(Debug)]
pub struct Reading {
    admission: Arc<Admission>,
    key: KeyIdentity,
    is_refused: bool,
}

impl Reading {
    /// One more read: the rate limit counts it.
    pub fn spend(&self) {
        self.admission.lock().pace_read(self.key, Instant::now());
    }

    /// Records what an answer says about the key.
    pub fn learn(&mut self, effect: Option<KeyEffect>) {
        self.is_refused |= !matches!(effect, None | Some(KeyEffect::Good | KeyEffect::Neutral));
        self.admission.lock().learn(self.key, effect, Instant::now());
    }

    /// The gateway refused the key, or asked it to wait.
    pub const fn is_refused(&self) -> bool {
        self.is_refused
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let woken = self.admission.lock().end_read(self.key, Instant::now());
        self.admission.wake(woken);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{admission::Rejection, testing::mock::candidate};

    const SECOND: Duration = Duration::from_secs(1);

    fn key() -> KeyIdentity {
        KeyIdentity::from([1; 32])
    }

    #[test]
    fn a_read_takes_neither_a_call_permit_nor_a_cluster() {
        let (mut core, now) = (Core::new(1, 0.0), Instant::now());
        assert_eq!(core.enter(&candidate("a", "1", 1), false, now), Ok(()));
        core.leave(&candidate("a", "1", 1), Some(KeyEffect::Good), now);
        assert_eq!(core.may_read(key(), now), Ok(()));
        assert_eq!(core.enter(&candidate("a", "1", 1), false, now), Ok(()), "calls do not wait for reads");
        assert!(core.may_read(key(), now).is_err(), "as many reads at once as calls");
        assert_eq!(core.in_flight(), 1);
        core.end_read(key(), now);
        assert_eq!(core.may_read(key(), now), Ok(()));
    }

    #[test]
    fn a_key_on_trial_gets_one_read_or_call_and_a_refused_key_none() {
        let (mut core, now) = (Core::new(8, 0.0), Instant::now());
        assert_eq!(core.may_read(key(), now), Ok(()));
        assert!(core.may_read(key(), now).is_err());
        assert_eq!(core.enter(&candidate("a", "1", 1), false, now), Err(Refusal::Slot { wait: None }));
        core.learn(key(), Some(KeyEffect::RejectedByGateway), now);
        let woken = core.end_read(key(), now);
        assert_eq!(
            woken,
            [("team".to_owned(), "a".to_owned())],
            "an object that waits for the key's first answer is woken"
        );
        assert!(matches!(core.may_read(key(), now), Err(Refusal::Rejected { why: Rejection::Wrong, .. })));
        assert!(matches!(core.enter(&candidate("a", "1", 1), false, now), Err(Refusal::Rejected { .. })));
    }

    #[test]
    fn a_key_that_worked_in_an_earlier_read_counts_as_proven_when_refused() {
        let (mut core, now) = (Core::new(8, 0.0), Instant::now());
        assert_eq!(core.may_read(key(), now), Ok(()));
        core.learn(key(), Some(KeyEffect::Good), now);
        core.learn(key(), Some(KeyEffect::RejectedByGateway), now);
        core.end_read(key(), now);
        let refusal = core.may_read(key(), now).unwrap_err();
        assert!(matches!(refusal, Refusal::Rejected { why: Rejection::WorkedBefore, .. }), "{refusal:?}");
        assert_eq!(core.may_read(key(), now + 300 * SECOND), Ok(()), "one read tries it again");
    }

    #[test]
    fn the_rate_limit_counts_reads_and_leaves_half_to_calls() {
        let (mut core, now) = (Core::new(8, 1.0), Instant::now());
        assert_eq!(core.may_read(key(), now), Ok(()));
        core.learn(key(), Some(KeyEffect::Good), now);
        core.end_read(key(), now);
        let slot = core.interval;
        assert_eq!(core.may_read(key(), now + slot), Err(Refusal::Slot { wait: Some(slot) }));
        assert_eq!(core.enter(&candidate("a", "1", 1), true, now), Err(Refusal::Slot { wait: Some(slot) }));
        assert_eq!(core.enter(&candidate("a", "1", 1), true, now + slot), Ok(()), "the half that reads leave");
        assert_eq!(core.may_read(key(), now + slot * 2), Ok(()));
    }

    #[test]
    fn a_throttled_key_admits_no_read() {
        let (mut core, now) = (Core::new(8, 0.0), Instant::now());
        assert_eq!(core.may_read(key(), now), Ok(()));
        core.learn(key(), Some(KeyEffect::Throttled(60 * SECOND)), now);
        core.end_read(key(), now);
        assert_eq!(
            core.may_read(key(), now + 59 * SECOND),
            Err(Refusal::Throttled { wait: SECOND, behind: Duration::ZERO })
        );
        assert_eq!(core.may_read(key(), now + 60 * SECOND), Ok(()));
    }

    #[test]
    fn the_end_of_a_read_wakes_no_object_that_waits_for_something_else() {
        let (mut core, now) = (Core::new(1, 0.0), Instant::now());
        core.wait(&("team".to_owned(), "endpoint".to_owned()));
        assert_eq!(core.may_read(key(), now), Ok(()));
        assert_eq!(core.end_read(key(), now), []);
    }
}
