//! PURE: what answers have said of a key, and whether one more request may be made with it. The clock is an argument.
//!
//! A *key* is an access key or a user at one endpoint; a *pair* is the key with the secret that was read. The cloud locks
//! a key for everybody after five wrong signatures, whatever secret they were made with, so refusals are counted by key;
//! whether a secret is right is known by pair.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::{
    admission::{Refusal, Rejection},
    cloud::{identity::KeyIdentity, outcome::KeyEffect},
};

/// How long a refusal counts, and how long a pair that had worked rests after one: for that long the gateway remembers it.
pub const REFUSALS_COUNT_FOR: Duration = Duration::from_secs(300);
/// The fifth refusal locks the key for everybody.
const MAX_REFUSALS: usize = 4;
/// Requests of unproven pairs that may be without an answer at once.
const MAX_UNANSWERED: usize = 3;
/// A request without an answer counts for so long: a gateway that refuses does so at once.
const UNANSWERED_COUNTS_FOR: Duration = Duration::from_secs(10);
/// A token that worked and is then refused within this long of another one: no token of this user is taken.
const ENDED_AGAIN: Duration = Duration::from_secs(600);
/// Pairs and keys without a use for so long are forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(3600);
/// Refused pairs are kept longer: who waits for one asks again and again, and must not use it anew each hour.
const FORGET_REFUSED_AFTER: Duration = Duration::from_secs(24 * 3600);

/// What a request is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Names {
    /// Digest of the access key or user, and the endpoint.
    pub key: KeyIdentity,
    /// Digest of all values, and the endpoint.
    pub pair: KeyIdentity,
}

/// A request of an unproven pair that has no answer yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Unanswered(u64);

#[derive(Debug, Default)]
struct Pair {
    is_proven: bool,
    rejected: Option<(Instant, Rejection)>,
    /// When a token last ended that had worked.
    ended: Option<Instant>,
    used: Option<Instant>,
}

#[derive(Debug, Default)]
struct Key {
    /// When the next request may leave.
    next: Option<Instant>,
    throttled_until: Option<Instant>,
    /// How long each refusal counts, by attempt where another process met it.
    refusals: HashMap<String, Instant>,
    /// Since when each request is without an answer; `None`: it has not left yet.
    unanswered: HashMap<Unanswered, Option<Instant>>,
    used: Option<Instant>,
}

/// All keys and pairs. See the module.
#[derive(Debug, Default)]
pub struct Keys {
    keys: HashMap<KeyIdentity, Key>,
    pairs: HashMap<KeyIdentity, Pair>,
    count: u64,
}

/// Whether a request of an unproven pair may be added to those without an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Trial {
    /// It is added under this name. `None`: the pair is proven and needs no name.
    Begun(Option<Unanswered>),
    /// Not before then, or before an answer.
    Wait(Instant),
}

impl Keys {
    /// Why no request may be made with this pair now.
    pub fn check(&mut self, names: Names, now: Instant) -> Result<(), Refusal> {
        self.forget_old(now);
        let pair = self.pairs.entry(names.pair).or_default();
        pair.used = Some(now);
        if let Some((since, why)) = pair.rejected {
            let rest = REFUSALS_COUNT_FOR.saturating_sub(now.saturating_duration_since(since));
            match why {
                Rejection::Wrong => return Err(Refusal::Rejected { why, wait: None }),
                _ if !rest.is_zero() => return Err(Refusal::Rejected { why, wait: Some(rest) }),
                _ => {}
            }
        }
        let is_proven = pair.is_proven();
        let key = self.keys.entry(names.key).or_default();
        key.used = Some(now);
        key.refusals.retain(|_, until| *until > now);
        let mut ends: Vec<_> = key.refusals.values().copied().collect();
        ends.sort_unstable();
        if let Some(end) = ends.len().checked_sub(MAX_REFUSALS).and_then(|at| ends.get(at)).filter(|_| !is_proven) {
            let wait = Some(end.saturating_duration_since(now));
            return Err(Refusal::Rejected { why: Rejection::RefusedTooOften, wait });
        }
        match key.throttled_until.map(|until| until.saturating_duration_since(now)).filter(|wait| !wait.is_zero()) {
            Some(wait) => Err(Refusal::Throttled { wait, behind: Duration::ZERO }),
            None => Ok(()),
        }
    }

    /// Whether an answer has shown that this pair works.
    pub fn is_proven(&self, names: Names) -> bool {
        self.pairs.get(&names.pair).is_some_and(Pair::is_proven)
    }

    /// Adds a request to those without an answer, if the pair is unproven: refusals and requests without an answer
    /// together must stay below what locks the key.
    pub fn begin(&mut self, names: Names, now: Instant) -> Trial {
        if self.is_proven(names) {
            return Trial::Begun(None);
        }
        let key = self.keys.entry(names.key).or_default();
        key.unanswered.retain(|_, since| since.is_none_or(|since| since + UNANSWERED_COUNTS_FOR > now));
        let refusals = key.refusals.values().filter(|until| **until > now);
        if key.unanswered.len() < MAX_UNANSWERED && refusals.clone().count() + key.unanswered.len() < MAX_REFUSALS {
            self.count = self.count.wrapping_add(1);
            let name = Unanswered(self.count);
            key.unanswered.insert(name, None);
            return Trial::Begun(Some(name));
        }
        let ends = key.unanswered.values().flatten().map(|since| *since + UNANSWERED_COUNTS_FOR);
        // Those that have not left yet end by an answer or by being dropped, which is told.
        Trial::Wait(ends.chain(refusals.copied()).min().unwrap_or(now + UNANSWERED_COUNTS_FOR))
    }

    /// The request leaves now. Returns how long it has to wait for its slot, which is taken.
    pub fn take_slot(&mut self, names: Names, interval: Duration, now: Instant) -> Duration {
        let key = self.keys.entry(names.key).or_default();
        let at = key.next.map_or(now, |next| next.max(now));
        key.next = Some(at + interval);
        at.saturating_duration_since(now)
    }

    /// The request has left.
    pub fn left(&mut self, names: Names, name: Option<Unanswered>, now: Instant) {
        let key = self.keys.get_mut(&names.key);
        if let Some(since) = name.and_then(|name| key?.unanswered.get_mut(&name)) {
            *since = Some(now);
        }
    }

    /// The request did not leave, or has its answer.
    pub fn end(&mut self, names: Names, name: Option<Unanswered>) {
        if let (Some(key), Some(name)) = (self.keys.get_mut(&names.key), name) {
            key.unanswered.remove(&name);
        }
    }

    /// Takes in what an answer says.
    pub fn learn(&mut self, names: Names, effect: KeyEffect, now: Instant) {
        let pair = self.pairs.entry(names.pair).or_default();
        let had_worked = pair.is_proven;
        let why = match effect {
            KeyEffect::Neutral | KeyEffect::TokenAlreadyEnded => return,
            KeyEffect::Throttled(wait) => return self.throttle(names.key, now + wait),
            // What reads are given is no proof that requests are let through too.
            KeyEffect::Good if pair.has_ended_lately(now) => return,
            KeyEffect::Good => return self.is_good(names),
            KeyEffect::TokenEnded => {
                pair.is_proven = false;
                let again = pair.has_ended_lately(now).then_some(Rejection::Token);
                pair.ended = Some(now);
                match again {
                    Some(why) => why,
                    None => return,
                }
            }
            KeyEffect::RejectedByGateway if had_worked => Rejection::WorkedBefore,
            KeyEffect::RejectedByGateway => Rejection::Wrong,
            KeyEffect::LockedByGateway => Rejection::Locked,
            KeyEffect::TokenRefused => Rejection::Token,
            KeyEffect::ClockSkew => Rejection::Clock,
        };
        pair.rejected = Some((now, why));
        if effect == KeyEffect::RejectedByGateway {
            self.count = self.count.wrapping_add(1);
            let name = format!("here {}", self.count);
            self.refused(names.key, &name, now + REFUSALS_COUNT_FOR);
        }
    }

    /// The pair works.
    pub fn is_good(&mut self, names: Names) {
        let pair = self.pairs.entry(names.pair).or_default();
        pair.is_proven = true;
        pair.rejected = None;
    }

    /// A refusal of this key counts until then. Named, so that one that is seen again does not count twice.
    pub fn refused(&mut self, key: KeyIdentity, name: &str, until: Instant) {
        self.keys.entry(key).or_default().refusals.insert(name.to_owned(), until);
    }

    /// The cloud asked this key to wait. Of two windows the longer one holds.
    pub fn throttle(&mut self, key: KeyIdentity, until: Instant) {
        let key = self.keys.entry(key).or_default();
        key.throttled_until = key.throttled_until.max(Some(until));
    }

    fn forget_old(&mut self, now: Instant) {
        let is_old =
            |used: Option<Instant>, after| used.is_none_or(|used| now.saturating_duration_since(used) >= after);
        // What was only heard of counts from the first look at it.
        self.pairs.values_mut().for_each(|pair| pair.used = pair.used.or(Some(now)));
        self.keys.values_mut().for_each(|key| key.used = key.used.or(Some(now)));
        self.pairs.retain(|_, pair| {
            !is_old(pair.used, if pair.rejected.is_some() { FORGET_REFUSED_AFTER } else { FORGET_AFTER })
        });
        self.keys.retain(|_, key| !is_old(key.used, FORGET_AFTER) || !key.unanswered.is_empty());
    }
}

impl Pair {
    const fn is_proven(&self) -> bool {
        self.is_proven && self.rejected.is_none()
    }

    fn has_ended_lately(&self, now: Instant) -> bool {
        self.ended.is_some_and(|at| now.saturating_duration_since(at) < ENDED_AGAIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn names(key: u8, pair: u8) -> Names {
        Names { key: KeyIdentity::from([key; 32]), pair: KeyIdentity::from([pair; 32]) }
    }

    fn why(keys: &mut Keys, names: Names, now: Instant) -> Option<Rejection> {
        match keys.check(names, now) {
            Err(Refusal::Rejected { why, .. }) => Some(why),
            _ => None,
        }
    }

    fn send(keys: &mut Keys, names: Names, now: Instant) -> Option<Unanswered> {
        match keys.begin(names, now) {
            Trial::Begun(name) => {
                keys.left(names, name, now);
                name
            }
            Trial::Wait(_) => None,
        }
    }

    #[test]
    fn four_refusals_of_one_key_by_whatever_secret_stop_a_fifth() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        for pair in 1..=4 {
            assert!(keys.check(names(1, pair), now).is_ok());
            let name = send(&mut keys, names(1, pair), now);
            assert!(name.is_some(), "{pair}");
            keys.end(names(1, pair), name);
            keys.learn(names(1, pair), KeyEffect::RejectedByGateway, now);
            assert_eq!(why(&mut keys, names(1, pair), now), Some(Rejection::Wrong));
        }
        assert_eq!(why(&mut keys, names(1, 5), now), Some(Rejection::RefusedTooOften));
        assert!(keys.check(names(2, 6), now).is_ok(), "another key");
        assert_eq!(why(&mut keys, names(1, 5), now + 5 * MINUTE), None);
        assert_eq!(why(&mut keys, names(1, 1), now + 5 * MINUTE), Some(Rejection::Wrong), "never by itself");
    }

    #[test]
    fn a_proven_pair_is_bound_by_no_refusal_of_others() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        keys.learn(names(1, 1), KeyEffect::Good, now);
        for pair in 2..=7 {
            keys.learn(names(1, pair), KeyEffect::RejectedByGateway, now);
        }
        assert!(keys.check(names(1, 1), now).is_ok());
        assert_eq!(keys.begin(names(1, 1), now), Trial::Begun(None));
    }

    #[test]
    fn at_most_three_unproven_requests_are_without_an_answer_for_ten_seconds_each() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        let sent: Vec<_> = (0..5).filter_map(|pair| send(&mut keys, names(1, pair), now)).collect();
        assert_eq!(sent.len(), 3);
        assert_eq!(keys.begin(names(1, 9), now), Trial::Wait(now + UNANSWERED_COUNTS_FOR));
        assert!(send(&mut keys, names(1, 9), now + UNANSWERED_COUNTS_FOR).is_some());
    }

    #[test]
    fn refusals_and_requests_without_an_answer_stay_below_what_locks_the_key() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        for pair in 1..=2 {
            keys.learn(names(1, pair), KeyEffect::RejectedByGateway, now);
        }
        let sent = (3..9).filter_map(|pair| send(&mut keys, names(1, pair), now)).count();
        assert_eq!(sent, 2);
    }

    #[test]
    fn a_request_that_does_not_leave_or_has_its_answer_makes_room() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        let sent: Vec<_> = (0..3).map(|pair| keys.begin(names(1, pair), now)).collect();
        let Some(Trial::Begun(first)) = sent.first() else { unreachable!("the first is let through") };
        assert!(matches!(keys.begin(names(1, 9), now), Trial::Wait(_)));
        keys.end(names(1, 0), *first);
        assert!(matches!(keys.begin(names(1, 9), now), Trial::Begun(Some(_))));
    }

    #[test]
    fn a_pair_that_had_worked_rests_five_minutes_after_a_refusal() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        keys.learn(names(1, 1), KeyEffect::Good, now);
        keys.learn(names(1, 1), KeyEffect::RejectedByGateway, now);
        assert_eq!(why(&mut keys, names(1, 1), now), Some(Rejection::WorkedBefore));
        assert_eq!(why(&mut keys, names(1, 1), now + 5 * MINUTE), None);
        assert!(matches!(keys.begin(names(1, 1), now + 5 * MINUTE), Trial::Begun(Some(_))), "as unproven");
    }

    #[test]
    fn a_429_holds_all_pairs_of_its_key_for_its_longest_window() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        keys.learn(names(1, 1), KeyEffect::Throttled(2 * MINUTE), now);
        keys.learn(names(1, 2), KeyEffect::Throttled(MINUTE), now);
        for pair in [1, 2, 3] {
            let refusal = keys.check(names(1, pair), now + MINUTE);
            assert_eq!(refusal, Err(Refusal::Throttled { wait: MINUTE, behind: Duration::ZERO }));
        }
        assert!(keys.check(names(1, 1), now + 2 * MINUTE).is_ok() && keys.check(names(2, 4), now).is_ok());
    }

    #[test]
    fn tokens_that_end_twice_in_ten_minutes_are_refused() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        for (effect, expected) in [
            (KeyEffect::Good, None),
            (KeyEffect::TokenEnded, None),
            (KeyEffect::Good, None),
            (KeyEffect::TokenEnded, Some(Rejection::Token)),
        ] {
            keys.learn(names(1, 1), effect, now);
            assert_eq!(why(&mut keys, names(1, 1), now), expected, "{effect:?}");
        }
    }

    #[test]
    fn slots_of_one_key_are_one_interval_apart() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        let waits: Vec<_> = (0..3).map(|pair| keys.take_slot(names(1, pair), MINUTE, now)).collect();
        assert_eq!(waits, [Duration::ZERO, MINUTE, 2 * MINUTE]);
        assert_eq!(keys.take_slot(names(2, 9), MINUTE, now), Duration::ZERO);
        assert_eq!(keys.take_slot(names(1, 0), MINUTE, now + 10 * MINUTE), Duration::ZERO);
    }

    #[test]
    fn a_refusal_that_another_process_met_counts_once_and_until_its_end() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        for _ in 0..3 {
            for attempt in ["a", "b", "c", "d"] {
                keys.refused(names(1, 1).key, attempt, now + MINUTE);
            }
        }
        assert_eq!(why(&mut keys, names(1, 1), now), Some(Rejection::RefusedTooOften));
        assert!(keys.check(names(1, 1), now + MINUTE).is_ok());
    }
}
