//! PURE: what answers have said of a key, and whether one more request may be made with it. The clock is an argument.
//!
//! A *key* is an access key or a user at one endpoint; its *values* are the key with the secret that was read. The cloud
//! locks a key for everybody after five wrong signatures, whatever secret they were made with, so refusals are counted
//! by key; whether a secret is right is known by values. Values are *proven* once an answer has shown that they work.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::MAX_LATE;
use crate::{
    api::Reason,
    cloud::{
        auth::{KeyDigests, KeyIdentity},
        outcome::KeyEffect,
    },
    credentials::{
        CredentialId, CredentialSource, REFUSED_RECHECK,
        lockout::{Lockout, REFUSAL_LASTS, Rejection},
    },
    protocol::hold::Hold,
    runtime::throttle::jittered,
};

/// The fifth refusal locks the key for everybody.
const MAX_REFUSALS: usize = 4;
const FORGET_AFTER: Duration = Duration::from_secs(3600);
/// Longer, since an object that waits for others asks again and again, and must not use them anew each hour.
const FORGET_REFUSED_AFTER: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, Default)]
struct ValuesRecord {
    lockout: Lockout,
    used: Option<Instant>,
}

#[derive(Debug, Default)]
struct KeyRecord {
    next_slot: Option<Instant>,
    /// A claim takes longer or shorter, and the distance counts where requests arrive.
    next_send: Option<Instant>,
    throttled_until: Option<Instant>,
    /// Whatever secret it is used with.
    locked_until: Option<Instant>,
    /// Until when each counts; by attempt where another process met it.
    refusals: HashMap<String, Instant>,
    used: Option<Instant>,
}

#[derive(Debug, Default)]
pub struct Keys {
    by_key: HashMap<KeyIdentity, KeyRecord>,
    values: HashMap<KeyIdentity, ValuesRecord>,
    count: u64,
}

impl Keys {
    pub fn check(&mut self, id: &CredentialId, now: Instant) -> Result<(), Hold> {
        self.forget_old(now);
        let CredentialId { digests, source } = id;
        let values = self.values.entry(digests.values).or_default();
        let key = self.by_key.entry(digests.key).or_default();
        (values.used, key.used) = (Some(now), Some(now));
        let locked = || left(key.locked_until, now).map(|wait| (Rejection::Locked, Some(wait)));
        let too_often = || left(key.refusals_end(), now).map(|wait| (Rejection::RefusedTooOften, Some(wait)));
        let rejection = values.lockout.rejection(now).or_else(locked);
        let rejection = rejection.or_else(|| if values.lockout.is_proven() { None } else { too_often() });
        if let Some((why, wait)) = rejection {
            return Err(rejected(why, wait, source));
        }
        left(key.throttled_until, now).map_or(Ok(()), |wait| Err(throttled(wait, source)))
    }

    pub fn is_proven(&self, digests: KeyDigests) -> bool {
        self.values.get(&digests.values).is_some_and(|values| values.lockout.is_proven())
    }

    /// Takes the next slot and returns the wait until then. After a request that was a little late the next one keeps
    /// its slot, so that small delays do not add up; after a longer pause a new series begins.
    pub fn take_slot(&mut self, digests: KeyDigests, interval: Duration, now: Instant) -> Duration {
        let key = self.by_key.entry(digests.key).or_default();
        let late = (interval / 10).min(MAX_LATE);
        let is_kept = |next: &Instant| now.saturating_duration_since(*next) < late;
        // If claims are slow, slots follow the requests, or more and more of them would be claimed too late.
        let slot = key.next_slot.filter(is_kept).unwrap_or(now);
        let slot = key.next_send.and_then(|next| next.checked_sub(interval)).map_or(slot, |last| slot.max(last));
        key.next_slot = Some(slot + interval);
        slot.saturating_duration_since(now)
    }

    /// How long a claimed request has to wait to keep its distance from the one before. `None`: longer than `within`;
    /// then it must not be sent, and takes nothing.
    pub fn take_send(
        &mut self,
        digests: KeyDigests,
        interval: Duration,
        within: Duration,
        now: Instant,
    ) -> Option<Duration> {
        let key = self.by_key.entry(digests.key).or_default();
        let at = key.next_send.map_or(now, |next| next.max(now));
        let wait = at.saturating_duration_since(now);
        if wait > within {
            return None;
        }
        key.next_send = Some(at + interval);
        Some(wait)
    }

    pub fn learn(&mut self, digests: KeyDigests, effect: KeyEffect, now: Instant) {
        if let KeyEffect::Throttled(wait) = effect {
            return self.throttle(digests.key, now + wait);
        }
        if effect == KeyEffect::LockedByGateway {
            self.by_key.entry(digests.key).or_default().locked_until = Some(now + REFUSAL_LASTS);
        }
        self.values.entry(digests.values).or_default().lockout.learn(effect, now);
        if effect == KeyEffect::RejectedByGateway {
            self.count = self.count.wrapping_add(1);
            let name = format!("here {}", self.count);
            self.refused(digests.key, &name, now + REFUSAL_LASTS);
        }
    }

    /// A redistribution request was accepted, whatever was known against the user's tokens.
    pub fn worked(&mut self, digests: KeyDigests) {
        self.values.entry(digests.values).or_default().lockout.worked();
    }

    /// Named, so that a refusal that is seen again does not count twice.
    pub fn refused(&mut self, key: KeyIdentity, name: &str, until: Instant) {
        self.by_key.entry(key).or_default().refusals.insert(name.to_owned(), until);
    }

    /// Of two windows the longer one holds.
    pub fn throttle(&mut self, key: KeyIdentity, until: Instant) {
        let key = self.by_key.entry(key).or_default();
        key.throttled_until = key.throttled_until.max(Some(until));
    }

    fn forget_old(&mut self, now: Instant) {
        self.values.retain(|_, values| {
            let after = if values.lockout.is_rejected() { FORGET_REFUSED_AFTER } else { FORGET_AFTER };
            is_recent(&mut values.used, after, now)
        });
        self.by_key.retain(|_, key| {
            key.refusals.retain(|_, until| *until > now);
            is_recent(&mut key.used, FORGET_AFTER, now)
        });
    }
}

impl KeyRecord {
    /// Until when one more refusal would lock the key.
    fn refusals_end(&self) -> Option<Instant> {
        let mut ends: Vec<_> = self.refusals.values().copied().collect();
        ends.sort_unstable();
        ends.into_iter().nth_back(MAX_REFUSALS - 1)
    }
}

/// What was only heard of counts from the first look at it.
fn is_recent(used: &mut Option<Instant>, within: Duration, now: Instant) -> bool {
    now.saturating_duration_since(*used.get_or_insert(now)) < within
}

fn left(until: Option<Instant>, now: Instant) -> Option<Duration> {
    until.map(|until| until.saturating_duration_since(now)).filter(|wait| !wait.is_zero())
}

fn throttled(wait: Duration, source: &CredentialSource) -> Hold {
    Hold {
        reason: Reason::Throttled,
        message: format!(
            "The cloud throttles requests with {} (429). This object is called when the Retry-After time is over",
            source.in_message()
        ),
        retry_after: wait + jittered(Duration::from_secs(1)),
    }
}

/// `wait`: `None` if not before the values change.
fn rejected(why: Rejection, wait: Option<Duration>, source: &CredentialSource) -> Hold {
    let secret = source.in_message();
    let retry = "It is tried again 5 minutes after the last refusal";
    let message = match why {
        Rejection::Wrong => format!(
            "The gateway refused {secret}, which had not worked before. Since five refusals would lock the key, it is not used again until its values change or the controller restarts. Correct the access key and secret key; this object then continues automatically"
        ),
        Rejection::WorkedBefore => format!(
            "The gateway refused {secret}, which had worked before. {retry}. Check whether the access key was changed, disabled or deleted"
        ),
        Rejection::Locked => {
            format!("The gateway has locked {secret} for some minutes, after too many wrong signatures. {retry}")
        }
        Rejection::Token => format!(
            "The gateway rejects the tokens that the user of {secret} gets from IAM. {retry}. Check whether the region's endpoint and its IAM (--iam-endpoint) belong together"
        ),
        Rejection::RefusedTooOften => format!(
            "The gateway refused the access key of {secret} at least four times within 5 minutes. Since five refusals would lock the key, it is used again when at most three refusals are younger than that. Check whether access key and secret key are correct"
        ),
        Rejection::Clock => format!(
            "The gateway refused the date of a signature with {secret}: the clock of the controller's node is wrong. {retry}. Correct the clock"
        ),
    };
    // A changed Secret has to be noticed sooner.
    let wait = wait.unwrap_or(REFUSED_RECHECK).min(REFUSED_RECHECK).max(Duration::from_secs(1));
    Hold { reason: Reason::CredentialsRejected, message, retry_after: jittered(wait) }
}

#[cfg(test)]
mod tests {
    use super::*;
    const MINUTE: Duration = Duration::from_secs(60);

    fn digests(key: u8, values: u8) -> KeyDigests {
        KeyDigests { key: KeyIdentity::from([key; 32]), values: KeyIdentity::from([values; 32]) }
    }

    fn id(digests: KeyDigests) -> CredentialId {
        CredentialId { digests, source: CredentialSource::Controller }
    }

    /// What the message of rejected values says first; nothing if they may be used.
    fn why(keys: &mut Keys, digests: KeyDigests, now: Instant) -> Option<&'static str> {
        let hold = keys.check(&id(digests), now).err()?;
        assert_eq!(hold.reason, Reason::CredentialsRejected);
        ["which had not worked", "which had worked", "at least four times", "rejects the tokens"]
            .into_iter()
            .find(|words| hold.message.contains(words))
    }

    #[test]
    fn four_refusals_of_one_key_by_whatever_secret_stop_a_fifth() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        for values in 1..=4 {
            assert!(keys.check(&id(digests(1, values)), now).is_ok());
            keys.learn(digests(1, values), KeyEffect::RejectedByGateway, now);
            assert_eq!(why(&mut keys, digests(1, values), now), Some("which had not worked"));
        }
        assert_eq!(why(&mut keys, digests(1, 5), now), Some("at least four times"));
        assert!(keys.check(&id(digests(2, 6)), now).is_ok(), "another key");
        assert_eq!(why(&mut keys, digests(1, 5), now + 5 * MINUTE), None);
        assert_eq!(why(&mut keys, digests(1, 1), now + 5 * MINUTE), Some("which had not worked"), "never by itself");
    }

    #[test]
    fn proven_values_are_bound_by_no_refusal_of_others() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        keys.learn(digests(1, 1), KeyEffect::Good, now);
        for values in 2..=7 {
            keys.learn(digests(1, values), KeyEffect::RejectedByGateway, now);
        }
        assert!(keys.check(&id(digests(1, 1)), now).is_ok());
        assert!(keys.is_proven(digests(1, 1)));
    }

    #[test]
    fn values_that_had_worked_rest_five_minutes_after_a_refusal() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        keys.learn(digests(1, 1), KeyEffect::Good, now);
        keys.learn(digests(1, 1), KeyEffect::RejectedByGateway, now);
        assert_eq!(why(&mut keys, digests(1, 1), now), Some("which had worked"));
        assert_eq!(why(&mut keys, digests(1, 1), now + 5 * MINUTE), None);
        assert!(!keys.is_proven(digests(1, 1)));
    }

    #[test]
    fn a_429_holds_all_values_of_its_key_for_its_longest_window() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        keys.learn(digests(1, 1), KeyEffect::Throttled(2 * MINUTE), now);
        keys.learn(digests(1, 2), KeyEffect::Throttled(MINUTE), now);
        for values in [1, 2, 3] {
            let hold = keys.check(&id(digests(1, values)), now + MINUTE).err();
            assert!(hold.is_some_and(|hold| hold.reason == Reason::Throttled && hold.retry_after >= MINUTE));
        }
        assert!(
            keys.check(&id(digests(1, 1)), now + 2 * MINUTE).is_ok() && keys.check(&id(digests(2, 4)), now).is_ok()
        );
    }

    #[test]
    fn tokens_that_end_twice_in_ten_minutes_are_refused() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        for (effect, expected) in [
            (KeyEffect::Good, None),
            (KeyEffect::TokenEnded, None),
            (KeyEffect::Good, None),
            (KeyEffect::TokenEnded, Some("rejects the tokens")),
        ] {
            keys.learn(digests(1, 1), effect, now);
            assert_eq!(why(&mut keys, digests(1, 1), now), expected, "{effect:?}");
        }
    }

    #[test]
    fn slots_of_one_key_are_one_interval_apart() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        let waits: Vec<_> = (0..3).map(|values| keys.take_slot(digests(1, values), MINUTE, now)).collect();
        assert_eq!(waits, [Duration::ZERO, MINUTE, 2 * MINUTE]);
        assert_eq!(keys.take_slot(digests(2, 9), MINUTE, now), Duration::ZERO);
        assert_eq!(keys.take_slot(digests(1, 0), MINUTE, now + 10 * MINUTE), Duration::ZERO);
    }

    #[test]
    fn a_claimed_request_keeps_its_distance_or_is_not_sent() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        let mut send = |within| keys.take_send(digests(1, 1), MINUTE, within, now);
        assert_eq!([send(MINUTE), send(MINUTE), send(MINUTE)], [Some(Duration::ZERO), Some(MINUTE), None]);
        assert_eq!(send(2 * MINUTE), Some(2 * MINUTE), "what is not sent has taken nothing");
        assert_eq!(keys.take_slot(digests(1, 1), MINUTE, now), 2 * MINUTE, "slots follow");
    }

    #[test]
    fn a_lock_of_the_cloud_holds_all_values_of_the_key() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        keys.worked(digests(1, 1));
        keys.learn(digests(1, 2), KeyEffect::LockedByGateway, now);
        let hold = keys.check(&id(digests(1, 1)), now).err();
        assert!(hold.is_some_and(|hold| hold.message.contains("has locked")));
        assert!(
            keys.check(&id(digests(2, 1)), now).is_ok() && keys.check(&id(digests(1, 1)), now + REFUSAL_LASTS).is_ok()
        );
    }

    #[test]
    fn a_refusal_that_another_process_met_counts_once_until_its_end() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        for _ in 0..3 {
            for attempt in ["a", "b", "c", "d"] {
                keys.refused(digests(1, 1).key, attempt, now + MINUTE);
            }
        }
        assert_eq!(why(&mut keys, digests(1, 1), now), Some("at least four times"));
        assert!(keys.check(&id(digests(1, 1)), now + MINUTE).is_ok());
    }

    fn message_of(why: Rejection) -> String {
        rejected(why, None, &CredentialSource::Controller).message
    }

    #[test]
    fn the_message_of_a_refused_key_names_cause_and_retry() {
        let wrong = message_of(Rejection::Wrong);
        assert!(wrong.contains("until its values change or the controller restarts"), "{wrong}");
        assert!(!wrong.contains("5 minutes"), "{wrong}");
        for (why, cause) in [
            (Rejection::WorkedBefore, "had worked before"),
            (Rejection::Locked, "has locked"),
            (Rejection::Clock, "clock"),
        ] {
            let message = message_of(why);
            assert!(message.contains(cause) && message.contains("again 5 minutes after"), "{message}");
            assert!(!message.contains("until its values change"), "{message}");
        }
        let often = message_of(Rejection::RefusedTooOften);
        assert!(often.contains("at least four times") && !often.contains("had not worked"), "{often}");
    }
}
