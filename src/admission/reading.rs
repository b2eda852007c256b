//! Who may read now. A read takes no cluster and no place of a call, but it is made with a key: what the gateway says of the
//! key counts for both, and so does the pace, of which reads take half at most. It never waits: what cannot be read now is
//! read later.

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
    /// Lets a read in, or says why not. Who is let in must [`Self::read`].
    pub fn may_read(&mut self, key: KeyIdentity, now: Instant) -> Result<(), Refusal> {
        if self.reading >= self.concurrency {
            return Err(Refusal::Slot { wait: None });
        }
        let state = self.keys.entry(key).or_default();
        state.used = Some(now);
        if let Some(refusal) = state.rests(now) {
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

    /// One read counts for calls as one, and for reads as two.
    fn pace_read(&mut self, key: KeyIdentity, now: Instant) {
        let interval = self.interval;
        if let Some(key) = self.keys.get_mut(&key).filter(|_| !interval.is_zero()) {
            let advance = |next: Option<Instant>, pause: Duration| Some(next.map_or(now, |next| next.max(now)) + pause);
            key.next_call = advance(key.next_call, interval);
            key.next_read = advance(key.next_read, interval * 2);
        }
    }

    /// The read is over. Returns who waited for that.
    pub fn read(&mut self, key: KeyIdentity, now: Instant) -> Vec<ObjectName> {
        self.reading = self.reading.saturating_sub(1);
        self.end_request(key, now);
        self.wake_by_key(key, now)
    }
}

impl Admission {
    /// Lets a read in, if one may be made at once.
    pub fn read(self: &Arc<Self>, key: KeyIdentity) -> Result<Reading, Refusal> {
        self.lock().may_read(key, Instant::now()).map(|()| Reading {
            admission: Arc::clone(self),
            key,
            is_refused: false,
        })
    }
}

/// The right to read. Given back when dropped.
#[derive(Debug)]
pub struct Reading {
    admission: Arc<Admission>,
    key: KeyIdentity,
    is_refused: bool,
}

impl Reading {
    /// One more read: the pace counts it.
    pub fn spend(&self) {
        self.admission.lock().pace_read(self.key, Instant::now());
    }

    /// What an answer says about the key.
    pub fn learn(&mut self, effect: Option<KeyEffect>) {
        self.is_refused |= !matches!(effect, None | Some(KeyEffect::Good | KeyEffect::Neutral));
        self.admission.lock().learn(self.key, effect, Instant::now());
    }

    /// The gateway refuses the key, or asks it to wait.
    pub const fn is_refused(&self) -> bool {
        self.is_refused
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let woken = self.admission.lock().read(self.key, Instant::now());
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
    fn a_read_takes_no_place_of_a_call_and_no_cluster() {
        let (mut core, now) = (Core::new(1, 0.0), Instant::now());
        assert_eq!(core.enter(&candidate("a", "1", 1), false, now), Ok(()));
        core.leave(&candidate("a", "1", 1), Some(KeyEffect::Good), now);
        assert_eq!(core.may_read(key(), now), Ok(()));
        assert_eq!(core.enter(&candidate("a", "1", 1), false, now), Ok(()), "calls do not wait for reads");
        assert!(core.may_read(key(), now).is_err(), "as many reads at once as calls");
        assert_eq!(core.in_flight(), 1);
        core.read(key(), now);
        assert_eq!(core.may_read(key(), now), Ok(()));
    }

    #[test]
    fn a_key_on_trial_reads_or_calls_once_and_a_refused_one_does_neither() {
        let (mut core, now) = (Core::new(8, 0.0), Instant::now());
        assert_eq!(core.may_read(key(), now), Ok(()));
        assert!(core.may_read(key(), now).is_err());
        assert_eq!(core.enter(&candidate("a", "1", 1), false, now), Err(Refusal::Slot { wait: None }));
        core.learn(key(), Some(KeyEffect::RejectedByGateway), now);
        let woken = core.read(key(), now);
        assert_eq!(woken, [("team".to_owned(), "a".to_owned())], "who waits for the key's first answer learns of it");
        assert!(matches!(core.may_read(key(), now), Err(Refusal::Rejected { why: Rejection::Wrong, .. })));
        assert!(matches!(core.enter(&candidate("a", "1", 1), false, now), Err(Refusal::Rejected { .. })));
    }

    #[test]
    fn a_key_that_worked_in_one_read_and_is_refused_in_the_next_has_worked_before() {
        let (mut core, now) = (Core::new(8, 0.0), Instant::now());
        assert_eq!(core.may_read(key(), now), Ok(()));
        core.learn(key(), Some(KeyEffect::Good), now);
        core.learn(key(), Some(KeyEffect::RejectedByGateway), now);
        core.read(key(), now);
        let refusal = core.may_read(key(), now).unwrap_err();
        assert!(matches!(refusal, Refusal::Rejected { why: Rejection::WorkedBefore, .. }), "{refusal:?}");
        assert_eq!(core.may_read(key(), now + 300 * SECOND), Ok(()), "one tries it again");
    }

    #[test]
    fn the_pace_counts_reads_and_leaves_half_of_it_to_calls() {
        let (mut core, now) = (Core::new(8, 1.0), Instant::now());
        assert_eq!(core.may_read(key(), now), Ok(()));
        core.learn(key(), Some(KeyEffect::Good), now);
        core.read(key(), now);
        let slot = core.interval;
        assert_eq!(core.may_read(key(), now + slot), Err(Refusal::Slot { wait: Some(slot) }));
        assert_eq!(core.enter(&candidate("a", "1", 1), true, now), Err(Refusal::Slot { wait: Some(slot) }));
        assert_eq!(core.enter(&candidate("a", "1", 1), true, now + slot), Ok(()), "what reads leave over");
        assert_eq!(core.may_read(key(), now + slot * 2), Ok(()));
    }

    #[test]
    fn a_throttled_key_reads_nothing() {
        let (mut core, now) = (Core::new(8, 0.0), Instant::now());
        assert_eq!(core.may_read(key(), now), Ok(()));
        core.learn(key(), Some(KeyEffect::Throttled(60 * SECOND)), now);
        core.read(key(), now);
        assert_eq!(
            core.may_read(key(), now + 59 * SECOND),
            Err(Refusal::Throttled { wait: SECOND, behind: Duration::ZERO })
        );
        assert_eq!(core.may_read(key(), now + 60 * SECOND), Ok(()));
    }

    #[test]
    fn the_end_of_a_read_wakes_nobody_who_waits_for_something_else() {
        let (mut core, now) = (Core::new(1, 0.0), Instant::now());
        core.wait(&("team".to_owned(), "endpoint".to_owned()));
        assert_eq!(core.may_read(key(), now), Ok(()));
        assert_eq!(core.read(key(), now), []);
    }
}
