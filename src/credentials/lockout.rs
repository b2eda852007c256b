//! PURE: whether a secret may be used, by what the gateway said about access key and secret key, or IAM about a
//! password. Five wrong ones lock an account for all its users. The clock is an argument.

use std::time::{Duration, Instant};

use crate::cloud::outcome::KeyEffect;

/// How long the cloud remembers a refusal, and a secret that had worked is not used after it.
pub const REFUSAL_LASTS: Duration = Duration::from_secs(300);
/// If a second token within this time works at first and is then refused, the tokens of this user are not accepted for
/// all requests. Twice the pause, so that the first one after the pause meets the same.
const TOKEN_ENDED_WINDOW: Duration = Duration::from_secs(600);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// It is wrong, and has never worked here: not used again.
    Wrong,
    /// Tried again after a pause.
    WorkedBefore,
    /// By the cloud, for some minutes.
    Locked,
    Clock,
    /// The gateway does not accept the tokens of the user.
    Token,
    /// One more refusal of its access key within 5 minutes would lock it.
    RefusedTooOften,
}

#[derive(Debug, Default)]
pub struct Lockout {
    has_worked: bool,
    rejected: Option<(Instant, Rejection)>,
    /// When a token that had worked last ended.
    token_ended: Option<Instant>,
}

impl Lockout {
    /// With how long; `None`: not before its values change.
    pub fn rejection(&self, now: Instant) -> Option<(Rejection, Option<Duration>)> {
        let (since, why) = self.rejected?;
        let rest = REFUSAL_LASTS.saturating_sub(now.saturating_duration_since(since));
        match why {
            Rejection::Wrong => Some((why, None)),
            _ => (!rest.is_zero()).then_some((why, Some(rest))),
        }
    }

    /// Has worked, and was not refused since.
    pub const fn is_proven(&self) -> bool {
        self.has_worked && self.rejected.is_none()
    }

    /// Was refused, and has not worked since.
    pub const fn is_rejected(&self) -> bool {
        self.rejected.is_some()
    }

    /// What an answer says about the rate is not about the secret.
    pub fn learn(&mut self, effect: KeyEffect, now: Instant) {
        let why = match effect {
            KeyEffect::Neutral | KeyEffect::TokenAlreadyEnded | KeyEffect::Throttled(_) => return,
            // A read that succeeds does not prove that requests are accepted too.
            KeyEffect::Good if self.token_ended_lately(now) => return,
            KeyEffect::Good => return self.worked(),
            // The next token shows whether this one ended early, or whether tokens of this user are refused.
            KeyEffect::TokenEnded => {
                self.has_worked = false;
                let is_again = self.token_ended_lately(now);
                self.token_ended = Some(now);
                if !is_again {
                    return;
                }
                Rejection::Token
            }
            KeyEffect::RejectedByGateway if self.has_worked => Rejection::WorkedBefore,
            KeyEffect::RejectedByGateway => Rejection::Wrong,
            KeyEffect::LockedByGateway => Rejection::Locked,
            KeyEffect::TokenRefused => Rejection::Token,
            KeyEffect::ClockSkew => Rejection::Clock,
        };
        self.rejected = Some((now, why));
    }

    pub const fn worked(&mut self) {
        self.has_worked = true;
        self.rejected = None;
    }

    fn token_ended_lately(&self, now: Instant) -> bool {
        self.token_ended.is_some_and(|at| now.saturating_duration_since(at) < TOKEN_ENDED_WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn tokens_that_read_but_are_then_refused_pause_from_the_second_on() {
        let (mut lockout, now) = (Lockout::default(), Instant::now());
        for (effect, is_refused) in [
            (KeyEffect::Good, false),
            (KeyEffect::TokenEnded, false),
            (KeyEffect::TokenAlreadyEnded, false),
            (KeyEffect::Good, false),
            (KeyEffect::TokenEnded, true),
        ] {
            lockout.learn(effect, now);
            assert_eq!(lockout.rejection(now).is_some(), is_refused, "{effect:?}");
        }
        let later = now + 5 * MINUTE;
        assert_eq!(lockout.rejection(later), None);
        lockout.learn(KeyEffect::TokenEnded, later);
        assert_eq!(lockout.rejection(later), Some((Rejection::Token, Some(REFUSAL_LASTS))));
    }

    #[test]
    fn a_request_but_no_read_proves_a_secret_after_a_token_ended() {
        let (mut lockout, now) = (Lockout::default(), Instant::now());
        lockout.learn(KeyEffect::Good, now);
        lockout.learn(KeyEffect::TokenEnded, now);
        lockout.learn(KeyEffect::Good, now);
        assert!(!lockout.is_proven());
        lockout.worked();
        assert!(lockout.is_proven());
        lockout.learn(KeyEffect::TokenEnded, now + 11 * MINUTE);
        assert_eq!(lockout.rejection(now + 11 * MINUTE), None, "long ago");
    }

    #[test]
    fn a_secret_that_never_worked_is_not_used_again_and_another_pauses() {
        let now = Instant::now();
        let (mut wrong, mut changed) = (Lockout::default(), Lockout::default());
        wrong.learn(KeyEffect::RejectedByGateway, now);
        assert_eq!(wrong.rejection(now + 600 * MINUTE), Some((Rejection::Wrong, None)));
        changed.worked();
        changed.learn(KeyEffect::RejectedByGateway, now);
        assert_eq!(changed.rejection(now), Some((Rejection::WorkedBefore, Some(REFUSAL_LASTS))));
        assert_eq!(changed.rejection(now + REFUSAL_LASTS), None);
        assert!(!changed.is_proven(), "it is on trial");
    }
}
