//! PURE: what answers have said of a key, and whether it may be used. The clock is an argument.

use std::time::{Duration, Instant};

use super::core::Refusal;
use crate::dws::outcome::KeyEffect;

/// How long a key that had worked, or one that was locked or refused for the clock, rests before one object may try it
/// again. The gateway itself locks a key for 5 minutes.
const PROBE_KEY_AFTER: Duration = Duration::from_secs(300);
/// Keys nobody used for this long are forgotten, unless the gateway refused them.
pub(super) const FORGET_KEY_AFTER: Duration = Duration::from_secs(3600);

/// Why a key rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// It is wrong, and had never worked here: not used again, since five refusals lock it.
    Wrong,
    /// It had worked before: one object at a time tries whether it does again.
    WorkedBefore,
    /// The gateway had locked it for some minutes. Tried again likewise.
    Locked,
    /// The clock was off. Tried again likewise.
    Clock,
    /// The gateway did not take the tokens of the user. Tried again likewise.
    Token,
}

/// One key. See the module.
#[derive(Debug, Default)]
pub struct KeyState {
    pub(super) proven: bool,
    rejected: Option<RejectedKey>,
    pub(crate) in_flight: usize,
    pub(super) next_call: Option<Instant>,
    /// Reads take half of the pace at most, and leave the rest to calls.
    pub(super) next_read: Option<Instant>,
    throttled_until: Option<Instant>,
    pub(crate) used: Option<Instant>,
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
        let wait = self.throttled_until?.saturating_duration_since(now);
        (!wait.is_zero()).then_some(Refusal::Throttled { wait })
    }

    /// It was refused, and somebody is finding out whether it still is.
    pub fn is_tried(&self) -> bool {
        self.in_flight > 0 && self.rejected.is_some_and(|rejected| rejected.why != Rejection::Wrong)
    }

    /// Takes in what an answer says.
    pub fn learn(&mut self, effect: Option<KeyEffect>, now: Instant) {
        let rejected = |why| Some(RejectedKey { since: now, why });
        match effect {
            None | Some(KeyEffect::Neutral) => {}
            Some(KeyEffect::Good) => {
                self.proven = true;
                self.rejected = None;
            }
            // Of two windows the longer one holds.
            Some(KeyEffect::Throttled(wait)) => self.throttled_until = self.throttled_until.max(Some(now + wait)),
            Some(KeyEffect::RejectedByGateway) if self.proven => self.rejected = rejected(Rejection::WorkedBefore),
            Some(KeyEffect::RejectedByGateway) => self.rejected = rejected(Rejection::Wrong),
            Some(KeyEffect::LockedByGateway) => self.rejected = rejected(Rejection::Locked),
            // The next token is on trial: one call finds out whether it is taken.
            Some(KeyEffect::TokenEnded) => self.proven = false,
            Some(KeyEffect::TokenRefused) => self.rejected = rejected(Rejection::Token),
            Some(KeyEffect::ClockSkew) => self.rejected = rejected(Rejection::Clock),
        }
    }

    /// Nobody has used it for long, and nothing is held against it.
    pub fn is_forgotten(&self, now: Instant) -> bool {
        self.in_flight == 0
            && self.rejected.is_none()
            && self.used.is_none_or(|used| now.saturating_duration_since(used) >= FORGET_KEY_AFTER)
    }
}
