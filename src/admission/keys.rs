//! PURE: what answers have shown about a key, and whether the key may be used. The clock is an argument.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{
    queue::Queue,
    request::{ObjectName, Refusal, Rejection},
};
use crate::cloud::outcome::KeyEffect;

/// Back-off of a key that had worked, or was locked, or was refused because of the clock, before one object may try it
/// again. The gateway itself locks a key for 5 minutes.
const PROBE_KEY_AFTER: Duration = Duration::from_secs(300);
/// How long a refusal counts: the gateway remembers it for that long.
pub(super) const REFUSALS_COUNT_FOR: Duration = PROBE_KEY_AFTER;
/// Refusals that a key may collect: the fifth locks the key for all its users.
const MAX_REFUSALS: usize = 4;
/// If a token works at first and is then refused, within this time of another such token, no token of this user is
/// accepted for all requests. Twice the back-off, so that only one object tries after the back-off and meets the same.
const TOKEN_ENDED_WINDOW: Duration = Duration::from_secs(600);
/// After the Retry-After time of a 429 the order of the queue is kept for this long, whichever objects are present: the
/// next ones are due within a second of its end, and an object that retries wakes those before it.
const KEEP_ORDER_FOR: Duration = Duration::from_secs(3);
/// Keys not used for this long are forgotten.
pub(super) const FORGET_KEY_AFTER: Duration = Duration::from_secs(3600);
/// Keys that the gateway refused are forgotten too, but later: an object that waits for one asks again and again, and
/// keys that were put into Secrets and taken away must not accumulate.
pub(super) const FORGET_REFUSED_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The state of one key: what answers have shown about it, its rate limit and its queue.
#[derive(Debug, Default)]
pub struct KeyState {
    pub(super) proven: bool,
    rejected: Option<RejectedKey>,
    /// When a token that had worked last ended.
    token_ended: Option<Instant>,
    pub(crate) in_flight: usize,
    pub(super) next_call: Option<Instant>,
    /// When the next call may be sent: claims take longer or shorter, and a call admitted on its slot must be sent on
    /// it too.
    pub(super) next_send: Option<Instant>,
    /// Reads take at most half of the rate limit, and leave the rest to calls.
    pub(super) next_read: Option<Instant>,
    throttled_until: Option<Instant>,
    /// By attempt id: refusals restored from status, and until when each counts.
    refused_elsewhere: HashMap<String, Instant>,
    pub(crate) used: Option<Instant>,
    /// Objects that wait for the key.
    pub(super) queue: Queue,
}

#[derive(Clone, Copy, Debug)]
struct RejectedKey {
    since: Instant,
    why: Rejection,
}

impl KeyState {
    /// Why the key may not be used now; `None` if it may.
    pub fn refusal(&self, now: Instant) -> Option<Refusal> {
        if let Some(RejectedKey { since, why }) = self.rejected {
            let left = PROBE_KEY_AFTER.saturating_sub(now.saturating_duration_since(since));
            match why {
                Rejection::Wrong => return Some(Refusal::Rejected { why, wait: None }),
                _ if !left.is_zero() => return Some(Refusal::Rejected { why, wait: Some(left) }),
                _ if self.in_flight > 0 => return Some(Refusal::Rejected { why, wait: None }),
                _ => {}
            }
        }
        if let Some(wait) = self.lock_out_left(now).filter(|_| !self.proven) {
            return Some(Refusal::Rejected { why: Rejection::RefusedTooOften, wait: Some(wait) });
        }
        self.throttled(now).map(|wait| Refusal::Throttled { wait, behind: Duration::ZERO })
    }

    /// How long one more refusal would still lock the key; `None` if it would not.
    fn lock_out_left(&self, now: Instant) -> Option<Duration> {
        let mut ends: Vec<_> = self.refused_elsewhere.values().filter(|until| **until > now).collect();
        ends.sort_unstable();
        let excess = ends.len().checked_sub(MAX_REFUSALS)?;
        ends.get(excess).map(|until| until.saturating_duration_since(now))
    }

    /// Status records a refusal that counts until then.
    pub fn count_refusal(&mut self, attempt_id: &str, until: Instant) {
        // Refusals that ended before this one began no longer count.
        self.refused_elsewhere.retain(|_, end| *end + REFUSALS_COUNT_FOR > until);
        self.refused_elsewhere.insert(attempt_id.to_owned(), until);
    }

    /// The key must wait until then (429). Of two Retry-After times the longer one applies.
    pub fn throttle_until(&mut self, until: Instant) {
        self.throttled_until = self.throttled_until.max(Some(until));
    }

    /// How long the Retry-After time of a 429 still lasts.
    pub fn throttled(&self, now: Instant) -> Option<Duration> {
        let wait = self.throttled_until?.saturating_duration_since(now);
        (!wait.is_zero()).then_some(wait)
    }

    /// The Retry-After time of a 429 has just ended: how much longer the order of the queue is kept for the objects
    /// that met the 429 and are not back yet.
    pub fn keeps_order_for(&self, now: Instant) -> Option<Duration> {
        let since = now.checked_duration_since(self.throttled_until?)?;
        KEEP_ORDER_FOR.checked_sub(since).filter(|left| !left.is_zero())
    }

    /// Wakes the first `limit` in the queue. During the Retry-After time of a 429 they could not call: then only one is
    /// woken, and only if no object in the queue knows of that time, since one has to retry when it ends.
    pub fn wake_first(&mut self, limit: usize, now: Instant) -> Vec<ObjectName> {
        let limit = match self.throttled(now) {
            Some(_) => limit.min(usize::from(!self.queue.has_timed_retry(now))),
            None => limit,
        };
        self.queue.wake_first(limit, now)
    }

    /// The key has worked, and was not refused since.
    pub const fn is_proven(&self) -> bool {
        self.proven && self.rejected.is_none()
    }

    /// The key was refused, and a request that tests whether it still is refused is in flight.
    pub fn is_on_trial(&self) -> bool {
        self.in_flight > 0 && self.rejected.is_some_and(|rejected| rejected.why != Rejection::Wrong)
    }

    /// Records what an answer says about the key.
    pub fn learn(&mut self, effect: Option<KeyEffect>, now: Instant) {
        let rejected = |why| Some(RejectedKey { since: now, why });
        match effect {
            None | Some(KeyEffect::Neutral | KeyEffect::TokenAlreadyEnded) => {}
            // A read that succeeds does not prove that calls are accepted too.
            Some(KeyEffect::Good) if self.token_ended_recently(now) => {}
            Some(KeyEffect::Good) => self.mark_proven(),
            Some(KeyEffect::Throttled(wait)) => self.throttle_until(now + wait),
            Some(KeyEffect::RejectedByGateway) if self.proven => self.rejected = rejected(Rejection::WorkedBefore),
            Some(KeyEffect::RejectedByGateway) => self.rejected = rejected(Rejection::Wrong),
            Some(KeyEffect::LockedByGateway) => self.rejected = rejected(Rejection::Locked),
            // The next token is on trial: one call finds out whether it is accepted. Two such tokens in a row did not
            // end early, they are refused.
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

    /// The key works. Called directly only for a call that got through.
    pub(super) const fn mark_proven(&mut self) {
        self.proven = true;
        self.rejected = None;
    }

    fn token_ended_recently(&self, now: Instant) -> bool {
        self.token_ended.is_some_and(|at| now.saturating_duration_since(at) < TOKEN_ENDED_WINDOW)
    }

    /// The key has not been used for long.
    pub fn is_expired(&self, now: Instant) -> bool {
        let after = if self.rejected.is_some() { FORGET_REFUSED_AFTER } else { FORGET_KEY_AFTER };
        self.in_flight == 0 && self.used.is_none_or(|used| now.saturating_duration_since(used) >= after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn token_is_refused(key: &KeyState, now: Instant) -> bool {
        matches!(key.refusal(now), Some(Refusal::Rejected { why: Rejection::Token, .. }))
    }

    #[test]
    fn tokens_that_read_but_are_then_refused_back_off_from_the_second_on() {
        let (mut key, now) = (KeyState::default(), Instant::now());
        for (effect, is_refused) in [
            (KeyEffect::Good, false),
            (KeyEffect::TokenEnded, false),
            (KeyEffect::TokenAlreadyEnded, false),
            (KeyEffect::Good, false),
            (KeyEffect::TokenEnded, true),
        ] {
            key.learn(Some(effect), now);
            assert_eq!(token_is_refused(&key, now), is_refused, "{effect:?}");
        }
        // Only one object tries the key after the back-off and meets the same.
        let later = now + 5 * MINUTE;
        assert!(!token_is_refused(&key, later));
        key.in_flight = 1;
        key.learn(Some(KeyEffect::Good), later);
        assert!(token_is_refused(&key, later), "others wait until the call has an answer");
        key.learn(Some(KeyEffect::TokenEnded), later);
        key.in_flight = 0;
        assert!(token_is_refused(&key, later));
    }

    #[test]
    fn a_call_but_no_read_proves_a_key_after_a_token_ended() {
        let (mut key, now) = (KeyState::default(), Instant::now());
        key.learn(Some(KeyEffect::Good), now);
        key.learn(Some(KeyEffect::TokenEnded), now);
        key.learn(Some(KeyEffect::Good), now);
        assert!(!key.proven);
        key.mark_proven();
        assert!(key.proven);
        key.learn(Some(KeyEffect::TokenEnded), now + 11 * MINUTE);
        assert!(!token_is_refused(&key, now + 11 * MINUTE), "long ago");
    }
}
