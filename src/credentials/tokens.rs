//! The tokens of users as the controller uses them: the pure core behind a lock, and short silent waits for a login that
//! another object makes. Kept in memory only. It must not read Secrets, nor talk to IAM itself.

mod cache;
mod denied;
mod unanswered;

mod account;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

pub use self::{
    cache::{Acquire, Core, Names},
    denied::{Denied, ScopeError},
    unanswered::FailureCause,
};
use crate::cloud::{auth::Key, login::Login, token::Token};

/// How long a call waits for another one's login without giving its worker back, and how long that may have taken already:
/// whoever is slower keeps all workers of a slow IAM.
pub const MAX_WAIT: Duration = Duration::from_secs(1);
/// What must be left of a new token beyond the longest wait for an answer, as of a temporary key.
const MARGIN: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug)]
pub struct TokenCache {
    core: Mutex<Core>,
    turn: Notify,
    /// What must be left of it when a claim is made.
    at_claim: Duration,
}

/// What there is for a call.
pub enum Acquired<'a> {
    /// A token.
    Token(Token),
    /// The right to log in.
    Login(LoginPermit<'a>),
    /// Others are at it: later.
    InProgress,
    /// None.
    Denied(Denied),
}

impl TokenCache {
    /// With the times that bound one call.
    pub fn new(request_timeout: Duration, send_budget: Duration) -> Self {
        let core = Mutex::new(Core::new(request_timeout + MARGIN));
        Self { core, turn: Notify::new(), at_claim: request_timeout + send_budget }
    }

    /// A token that is held, or the right to fetch one, at once or after a wait no longer than that.
    pub async fn enter(&self, names: Names, patience: Duration) -> Acquired<'_> {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            // Registered before the look, so that an end between look and wait is not missed.
            let turn = self.turn.notified();
            let asked = Instant::now();
            let turn_comes = match self.lock().ask(names, asked) {
                Acquire::Cached(token) => return Acquired::Token(token),
                Acquire::Login(meanwhile) => {
                    return Acquired::Login(LoginPermit { logins: self, names, asked, meanwhile, open: true });
                }
                Acquire::Denied(denied) => return Acquired::Denied(denied),
                Acquire::InProgress(since) if since >= MAX_WAIT => return Acquired::InProgress,
                Acquire::InProgress(_) => deadline,
                Acquire::BackOff(rest) => tokio::time::Instant::now() + rest,
            };
            // What does not come in time is not waited for at all.
            if tokio::time::Instant::now() >= deadline || turn_comes > deadline {
                return Acquired::InProgress;
            }
            tokio::select! { () = turn => {}, () = tokio::time::sleep_until(turn_comes) => {} }
        }
    }

    /// Whether a call may still be claimed with this key: of a token, an answer to others may have ended it, and preparing
    /// took time.
    pub fn may_use(&self, key: &Key, now: Instant) -> bool {
        match key {
            Key::AccessKey(_) => true,
            Key::Token(token) => token.left(now) >= self.at_claim,
        }
    }

    /// The core holds no invariant that a panic elsewhere could have broken half-way.
    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to log in, once. Given back when dropped, whatever happened to its holder.
#[derive(Debug)]
pub struct LoginPermit<'a> {
    logins: &'a TokenCache,
    names: Names,
    asked: Instant,
    meanwhile: Option<Token>,
    open: bool,
}

impl LoginPermit<'_> {
    /// What may be used whatever becomes of the login: it is only time to renew it.
    pub fn stale_token(&self) -> Option<Token> {
        self.meanwhile.clone()
    }

    /// The login is over.
    pub fn finish(mut self, login: Login) -> Result<Token, Denied> {
        self.open = false;
        let finished = self.logins.lock().finish(self.names, login, self.asked, Instant::now());
        self.logins.turn.notify_waiters();
        finished
    }
}

impl Drop for LoginPermit<'_> {
    fn drop(&mut self) {
        if self.open {
            self.logins.lock().give_up(self.names);
            self.logins.turn.notify_waiters();
        }
    }
}
