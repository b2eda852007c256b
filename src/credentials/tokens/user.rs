//! PURE: the login state of one user, and why a login as this user is denied now. This module must not know of projects
//! and tokens.

use std::time::{Duration, Instant};

use super::{
    denied::Denied,
    unanswered::{FailureCause, UnansweredLogins},
};
use crate::{cloud::outcome::KeyEffect, credentials::lockout::Lockout};

/// The login state of one user.
#[derive(Debug, Default)]
pub struct UserState {
    /// What is known about the password.
    password: Lockout,
    throttled_until: Option<Instant>,
    unanswered: UnansweredLogins,
    /// Logins in flight.
    pub in_flight: usize,
    /// When the state was last used.
    pub used: Option<Instant>,
}

impl UserState {
    /// Why a login is denied now. A refusal is preferred to an unanswered login, since it proves more.
    pub fn denied(&self, now: Instant) -> Option<Denied> {
        let rejected = self.password.rejection(now).map(|(why, wait)| Denied::Rejected(why, wait));
        let throttled = || self.throttled(now).map(Denied::Throttled);
        let unanswered = || {
            self.unanswered.back_off(self.password.is_proven(), now).map(|(why, wait)| Denied::Unanswered(why, wait))
        };
        rejected.or_else(throttled).or_else(unanswered)
    }

    /// Records that the password is right, which resets the count of wrong ones.
    pub fn accepted(&mut self) {
        self.unanswered.reset();
        self.password.worked();
    }

    /// Records an answer that denies further logins of this user.
    pub fn refused(&mut self, effect: KeyEffect, now: Instant) -> Denied {
        if let KeyEffect::Throttled(wait) = effect {
            self.throttled_until = self.throttled_until.max(Some(now + wait));
        }
        self.password.learn(effect, now);
        self.denied(now).unwrap_or(Denied::Unreachable)
    }

    /// Records a login without a conclusive answer: IAM may have counted the password as a wrong one.
    pub fn unanswered(&mut self, why: FailureCause, now: Instant) -> Denied {
        self.unanswered.add(why, now);
        self.denied(now).unwrap_or(Denied::Unreachable)
    }

    fn throttled(&self, now: Instant) -> Option<Duration> {
        self.throttled_until.map(|until| until.saturating_duration_since(now)).filter(|wait| !wait.is_zero())
    }
}
