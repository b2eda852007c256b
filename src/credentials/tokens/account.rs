//! PURE: what is known of one user at one IAM, and why nobody may log in as it now. It must not know of projects and tokens.

use std::time::Instant;

use super::{
    denied::Denied,
    unanswered::{FailureCause, UnansweredLogins},
};
use crate::{admission::KeyState, cloud::outcome::KeyEffect};

/// See the module.
#[derive(Debug, Default)]
pub struct UserState {
    /// What its password is known to be worth, as of an access key; and how many log in.
    pub key: KeyState,
    lost: UnansweredLogins,
    /// When the login that is under way began.
    pub asked: Option<Instant>,
}

impl UserState {
    /// Why nobody logs in now. A refusal says more than a login that nobody answered.
    pub fn rests(&self, now: Instant) -> Option<Denied> {
        let lost = || self.lost.rests(self.key.is_proven(), now).map(|(why, rest)| Denied::Unanswered(why, rest));
        self.key.rests(now).map(Denied::User).or_else(lost)
    }

    /// The password is right, which ends the count of wrong ones.
    pub fn is_let_in(&mut self, now: Instant) {
        self.lost.end();
        self.key.learn(Some(KeyEffect::Good), now);
    }

    /// An answer that rests the user.
    pub fn refused(&mut self, effect: KeyEffect, now: Instant) -> Denied {
        self.key.learn(Some(effect), now);
        self.rests(now).unwrap_or(Denied::Unreachable)
    }

    /// No answer that says anything: the password may have counted as a wrong one.
    pub fn lost(&mut self, why: FailureCause, now: Instant) -> Denied {
        self.lost.add(why, now);
        self.rests(now).unwrap_or(Denied::Unreachable)
    }
}
