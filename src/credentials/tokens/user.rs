//! PURE: the login state of one user, and why a login as this user is denied now. This module must not know of projects
//! and tokens.

use std::time::Instant;

use super::{
    denied::Denied,
    unanswered::{FailureCause, UnansweredLogins},
};
use crate::{admission::KeyState, cloud::outcome::KeyEffect};

/// The login state of one user.
#[derive(Debug, Default)]
pub struct UserState {
    /// What is known about the password, as about an access key; and the number of logins in flight.
    pub key: KeyState,
    unanswered: UnansweredLogins,
    /// When the login in flight started.
    pub started: Option<Instant>,
}

impl UserState {
    /// Why a login is denied now. A refusal is preferred to an unanswered login, since it proves more.
    pub fn denied(&self, now: Instant) -> Option<Denied> {
        let unanswered =
            || self.unanswered.back_off(self.key.is_proven(), now).map(|(why, wait)| Denied::Unanswered(why, wait));
        self.key.refusal(now).map(Denied::User).or_else(unanswered)
    }

    /// Records that the password is right, which resets the count of wrong ones.
    pub fn accepted(&mut self, now: Instant) {
        self.unanswered.reset();
        self.key.learn(Some(KeyEffect::Good), now);
    }

    /// Records an answer that denies further logins of this user.
    pub fn refused(&mut self, effect: KeyEffect, now: Instant) -> Denied {
        self.key.learn(Some(effect), now);
        self.denied(now).unwrap_or(Denied::Unreachable)
    }

    /// Records a login without a conclusive answer: IAM may have counted the password as a wrong one.
    pub fn unanswered(&mut self, why: FailureCause, now: Instant) -> Denied {
        self.unanswered.add(why, now);
        self.denied(now).unwrap_or(Denied::Unreachable)
    }
}
