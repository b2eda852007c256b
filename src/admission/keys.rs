//! PURE: what answers have said of a key, and whether it may be used. The clock is an argument.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{
    queue::Queue,
    request::{ObjectName, Refusal, Rejection},
};
use crate::cloud::outcome::KeyEffect;

/// How long a key that had worked, or one that was locked or refused for the clock, rests before one object may try it
/// again. The gateway itself locks a key for 5 minutes.
const PROBE_KEY_AFTER: Duration = Duration::from_secs(300);
/// How long a refusal counts: for that long the gateway remembers it.
pub(super) const REFUSALS_COUNT_FOR: Duration = PROBE_KEY_AFTER;
/// The fifth locks the key for everybody.
const MAX_REFUSALS: usize = 4;
/// A token that works at first and is then refused, within this long of another one: no token of this user gets through
/// with everything. Twice the rest, so that whoever tries it after the rest and meets the same is the only one.
const TOKEN_ENDED_WINDOW: Duration = Duration::from_secs(600);
/// After the window of a 429 the order of the queue is kept for so long, whoever is here: those who are next are due within
/// a second of its end, and whoever looks wakes those before it.
const KEEP_ORDER_FOR: Duration = Duration::from_secs(3);
/// Keys nobody used for this long are forgotten.
pub(super) const FORGET_KEY_AFTER: Duration = Duration::from_secs(3600);
/// Those that the gateway refused too, but later: whoever waits for one asks again and again, and what was put into Secrets
/// and taken away must not add up for ever.
pub(super) const FORGET_REFUSED_AFTER: Duration = Duration::from_secs(24 * 3600);

/// One key. See the module.
#[derive(Debug, Default)]
pub struct KeyState {
    pub(super) proven: bool,
    rejected: Option<RejectedKey>,
    /// When a token last ended that had worked.
    token_ended: Option<Instant>,
    pub(crate) in_flight: usize,
    pub(super) next_call: Option<Instant>,
    /// When the next one may leave: claims take longer or shorter, and what entered on the slot must leave on it too.
    pub(super) next_send: Option<Instant>,
    /// Reads take half of the pace at most, and leave the rest to calls.
    pub(super) next_read: Option<Instant>,
    throttled_until: Option<Instant>,
    /// By attempt: refusals that this process was told of, and how long each counts.
    refused_elsewhere: HashMap<String, Instant>,
    pub(crate) used: Option<Instant>,
    /// Who waits for it.
    pub(super) queue: Queue,
}

#[derive(Clone, Copy, Debug)]
struct RejectedKey {
    since: Instant,
    why: Rejection,
}

impl KeyState {
    /// Why the key may not be used now.
    pub fn rests(&self, now: Instant) -> Option<Refusal> {
        if let Some(RejectedKey { since, why }) = self.rejected {
            let rest = PROBE_KEY_AFTER.saturating_sub(now.saturating_duration_since(since));
            match why {
                Rejection::Wrong => return Some(Refusal::Rejected { why, wait: None }),
                _ if !rest.is_zero() => return Some(Refusal::Rejected { why, wait: Some(rest) }),
                _ if self.in_flight > 0 => return Some(Refusal::Rejected { why, wait: None }),
                _ => {}
            }
        }
        if let Some(wait) = self.lock_out_left(now).filter(|_| !self.proven) {
            return Some(Refusal::Rejected { why: Rejection::Often, wait: Some(wait) });
        }
        self.throttled(now).map(|wait| Refusal::Throttled { wait, behind: Duration::ZERO })
    }

    /// How long one more refusal would still be one too many.
    fn lock_out_left(&self, now: Instant) -> Option<Duration> {
        let mut ends: Vec<_> = self.refused_elsewhere.values().filter(|until| **until > now).collect();
        ends.sort_unstable();
        let excess = ends.len().checked_sub(MAX_REFUSALS)?;
        ends.get(excess).map(|until| until.saturating_duration_since(now))
    }

    /// Status tells of a refusal that counts for so long.
    pub fn count_refusal(&mut self, attempt_id: &str, until: Instant) {
        // What ended before this one began counts no more.
        self.refused_elsewhere.retain(|_, end| *end + REFUSALS_COUNT_FOR > until);
        self.refused_elsewhere.insert(attempt_id.to_owned(), until);
    }

    /// Of two windows the longer one holds.
    pub fn throttle_until(&mut self, until: Instant) {
        self.throttled_until = self.throttled_until.max(Some(until));
    }

    /// How long a 429 still holds.
    pub fn throttled(&self, now: Instant) -> Option<Duration> {
        let wait = self.throttled_until?.saturating_duration_since(now);
        (!wait.is_zero()).then_some(wait)
    }

    /// A 429 has just run out: how much longer the order of the queue is kept for those who met it and are not back yet.
    pub fn keeps_order_for(&self, now: Instant) -> Option<Duration> {
        let since = now.checked_duration_since(self.throttled_until?)?;
        KEEP_ORDER_FOR.checked_sub(since).filter(|rest| !rest.is_zero())
    }

    /// Calls up the first `most` in queue. While a 429 holds they would come in vain: then only one is, and only if nobody in
    /// queue has heard of it, since somebody has to look when it is over.
    pub fn wake_first(&mut self, limit: usize, now: Instant) -> Vec<ObjectName> {
        let limit = match self.throttled(now) {
            Some(_) => limit.min(usize::from(!self.queue.has_timed_retry(now))),
            None => limit,
        };
        self.queue.wake_first(limit, now)
    }

    /// It has worked, and was not refused since.
    pub const fn is_proven(&self) -> bool {
        self.proven && self.rejected.is_none()
    }

    /// It was refused, and somebody is finding out whether it still is.
    pub fn is_on_trial(&self) -> bool {
        self.in_flight > 0 && self.rejected.is_some_and(|rejected| rejected.why != Rejection::Wrong)
    }

    /// Takes in what an answer says.
    pub fn learn(&mut self, effect: Option<KeyEffect>, now: Instant) {
        let rejected = |why| Some(RejectedKey { since: now, why });
        match effect {
            None | Some(KeyEffect::Neutral | KeyEffect::TokenWasOver) => {}
            // What reads are given is no proof that calls are let through too.
            Some(KeyEffect::Good) if self.token_ended_recently(now) => {}
            Some(KeyEffect::Good) => self.mark_proven(),
            Some(KeyEffect::Throttled(wait)) => self.throttle_until(now + wait),
            Some(KeyEffect::RejectedByGateway) if self.proven => self.rejected = rejected(Rejection::WorkedBefore),
            Some(KeyEffect::RejectedByGateway) => self.rejected = rejected(Rejection::Wrong),
            Some(KeyEffect::LockedByGateway) => self.rejected = rejected(Rejection::Locked),
            // The next token is on trial: one call finds out whether it is taken. Two like that in a row were not ended
            // early, they are refused.
            Some(KeyEffect::TokenEnded) => {
                self.proven = false;
                if self.token_ended_recently(now) {
                    self.rejected = rejected(Rejection::Token);
                }
                self.token_ended = Some(now);
            }
            Some(KeyEffect::TokenRefused) => self.rejected = rejected(Rejection::Token),
            Some(KeyEffect::ClockSkew) => self.rejected = rejected(Rejection::Clock),
        }
    }

    /// It works. Said by itself only of a call that got through.
    pub(super) const fn mark_proven(&mut self) {
        self.proven = true;
        self.rejected = None;
    }

    fn token_ended_recently(&self, now: Instant) -> bool {
        self.token_ended.is_some_and(|at| now.saturating_duration_since(at) < TOKEN_ENDED_WINDOW)
    }

    /// Nobody has used it for long.
    pub fn is_expired(&self, now: Instant) -> bool {
        let after = if self.rejected.is_some() { FORGET_REFUSED_AFTER } else { FORGET_KEY_AFTER };
        self.in_flight == 0 && self.used.is_none_or(|used| now.saturating_duration_since(used) >= after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn rests(key: &KeyState, now: Instant) -> bool {
        matches!(key.rests(now), Some(Refusal::Rejected { why: Rejection::Token, .. }))
    }

    #[test]
    fn tokens_that_work_for_reads_and_are_then_refused_rest_from_the_second_on() {
        let (mut key, now) = (KeyState::default(), Instant::now());
        for (effect, is_over) in [
            (KeyEffect::Good, false),
            (KeyEffect::TokenEnded, false),
            (KeyEffect::TokenWasOver, false),
            (KeyEffect::Good, false),
            (KeyEffect::TokenEnded, true),
        ] {
            key.learn(Some(effect), now);
            assert_eq!(rests(&key, now), is_over, "{effect:?}");
        }
        // Whoever tries it after the rest and meets the same is the only one.
        let later = now + 5 * MINUTE;
        assert!(!rests(&key, later));
        key.in_flight = 1;
        key.learn(Some(KeyEffect::Good), later);
        assert!(rests(&key, later), "others wait until the call has told");
        key.learn(Some(KeyEffect::TokenEnded), later);
        key.in_flight = 0;
        assert!(rests(&key, later));
    }

    #[test]
    fn after_a_token_that_ended_a_read_proves_nothing_and_a_call_does() {
        let (mut key, now) = (KeyState::default(), Instant::now());
        key.learn(Some(KeyEffect::Good), now);
        key.learn(Some(KeyEffect::TokenEnded), now);
        key.learn(Some(KeyEffect::Good), now);
        assert!(!key.proven);
        key.mark_proven();
        assert!(key.proven);
        key.learn(Some(KeyEffect::TokenEnded), now + 11 * MINUTE);
        assert!(!rests(&key, now + 11 * MINUTE), "long ago");
    }
}
