//! Who may read now. A read takes no cluster and no place of a call, but it is made with a key: what the gateway says of the
//! key counts for both, and so does the pace. It never waits: what cannot be read now is read a little later.

use std::{sync::Arc, time::Instant};

use super::{
    Gate,
    core::{Core, ObjectName},
};
use crate::dws::{credentials::KeyIdentity, outcome::KeyEffect};

impl Core {
    /// Lets a read in, or not. Who is let in must [`Self::read`].
    pub fn may_read(&mut self, key: KeyIdentity, now: Instant) -> bool {
        if self.reading >= self.concurrency {
            return false;
        }
        let state = self.keys.entry(key).or_default();
        state.used = Some(now);
        let on_trial = !state.proven && state.in_flight > 0;
        let paced = state.next_call.is_some_and(|next| next > now);
        if state.rests(now).is_some() || on_trial || paced {
            return false;
        }
        state.in_flight += 1;
        state.next_call = (!self.interval.is_zero()).then(|| now + self.interval);
        self.reading += 1;
        true
    }

    /// The read is over. Returns who waited for that.
    pub fn read(&mut self, key: KeyIdentity, effect: Option<KeyEffect>, now: Instant) -> Vec<ObjectName> {
        self.reading = self.reading.saturating_sub(1);
        self.let_go(key, effect, now);
        self.wake_by_key(key)
    }
}

impl Gate {
    /// Lets a read in, if one may be made at once.
    pub fn read(self: &Arc<Self>, key: KeyIdentity) -> Option<Reading> {
        self.lock().may_read(key, Instant::now()).then(|| Reading { gate: Arc::clone(self), key, effect: None })
    }
}

/// The right to read. Given back when dropped.
#[derive(Debug)]
pub struct Reading {
    gate: Arc<Gate>,
    key: KeyIdentity,
    effect: Option<KeyEffect>,
}

impl Reading {
    /// One more request: the pace counts it.
    pub fn spend(&self) {
        self.gate.lock().spend(self.key, Instant::now());
    }

    /// What an answer says about the key. The worst that was said holds.
    pub fn learn(&mut self, effect: Option<KeyEffect>) {
        if !self.is_refused() && effect.is_some() {
            self.effect = effect;
        }
    }
}

impl Reading {
    /// The gateway refuses the key.
    pub const fn is_refused(&self) -> bool {
        !matches!(self.effect, None | Some(KeyEffect::Good | KeyEffect::Neutral))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let woken = self.gate.lock().read(self.key, self.effect.take(), Instant::now());
        self.gate.wake(woken);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::gate::{Entrant, Refusal};

    const SECOND: Duration = Duration::from_secs(1);

    fn key() -> KeyIdentity {
        KeyIdentity::from([1; 32])
    }

    fn entrant(name: &str, cluster: &str) -> Entrant {
        Entrant { object: ("team".to_owned(), name.to_owned()), cluster: cluster.to_owned(), key: key() }
    }

    #[test]
    fn a_read_takes_no_place_of_a_call_and_no_cluster() {
        let (mut core, now) = (Core::new(1, 0.0), Instant::now());
        assert_eq!(core.enter(&entrant("a", "1"), false, now), Ok(()));
        core.leave(&entrant("a", "1"), Some(KeyEffect::Good), now);
        assert!(core.may_read(key(), now));
        assert_eq!(core.enter(&entrant("a", "1"), false, now), Ok(()), "calls do not wait for reads");
        assert!(!core.may_read(key(), now), "as many reads at once as calls");
        assert_eq!(core.in_flight(), 1);
        core.read(key(), None, now);
        assert!(core.may_read(key(), now));
    }

    #[test]
    fn a_key_on_trial_reads_or_calls_once_and_a_refused_one_does_neither() {
        let (mut core, now) = (Core::new(8, 0.0), Instant::now());
        assert!(core.may_read(key(), now));
        assert!(!core.may_read(key(), now));
        assert_eq!(core.enter(&entrant("a", "1"), false, now), Err(Refusal::Turn { wait: None }));
        let woken = core.read(key(), Some(KeyEffect::RejectedByGateway), now);
        assert_eq!(woken, [("team".to_owned(), "a".to_owned())], "who waits for the key's first answer learns of it");
        assert!(!core.may_read(key(), now));
        assert!(matches!(core.enter(&entrant("a", "1"), false, now), Err(Refusal::Rejected { .. })));
    }

    #[test]
    fn the_pace_counts_reads() {
        let (mut core, now) = (Core::new(8, 1.0), Instant::now());
        assert!(core.may_read(key(), now));
        core.spend(key(), now);
        core.read(key(), Some(KeyEffect::Good), now);
        assert!(!core.may_read(key(), now + SECOND));
        let refusal = core.enter(&entrant("a", "1"), true, now + SECOND).unwrap_err();
        assert_eq!(refusal, Refusal::Turn { wait: Some(SECOND) });
        assert!(core.may_read(key(), now + 2 * SECOND));
    }

    #[test]
    fn a_throttled_key_reads_nothing() {
        let (mut core, now) = (Core::new(8, 0.0), Instant::now());
        assert!(core.may_read(key(), now));
        core.read(key(), Some(KeyEffect::Throttled(60 * SECOND)), now);
        assert!(!core.may_read(key(), now + 59 * SECOND));
        assert!(core.may_read(key(), now + 60 * SECOND));
    }
}
