//! The token cache: the pure core behind a lock, and short waits for a login of another object, which status does not
//! report. In memory only. This module must not read Secrets or talk to IAM itself.

mod cache;
mod denied;
mod unanswered;
mod user;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

pub use self::{
    cache::{Acquire, Core, TokenKey},
    denied::{Denied, ScopeError},
    unanswered::FailureCause,
};
use crate::cloud::{auth::Key, login::Login, token::Token};

/// How long a worker waits for the login of another object, and how long that login may have been in flight already: with
/// more, a slow IAM would occupy all workers.
pub const MAX_WAIT: Duration = Duration::from_secs(1);
/// Minimum remaining lifetime of a new token beyond the request timeout, as for a temporary key.
const MARGIN: Duration = Duration::from_secs(60);

/// The tokens of users, and the logins in flight.
#[derive(Debug)]
pub struct TokenCache {
    core: Mutex<Core>,
    /// Notified at the end of each login.
    login_ended: Notify,
    /// Minimum remaining lifetime of a token at a claim.
    min_at_claim: Duration,
}

/// The result of [`TokenCache::acquire`].
pub enum Acquired<'a> {
    /// A token.
    Token(Token),
    /// The right to log in.
    Login(LoginPermit<'a>),
    /// Another login is in progress: retry later.
    InProgress,
    /// Neither a token nor a login, and why.
    Denied(Denied),
}

impl TokenCache {
    /// A cache for calls with these timeouts.
    pub fn new(request_timeout: Duration, send_budget: Duration) -> Self {
        let core = Mutex::new(Core::new(request_timeout + MARGIN));
        Self { core, login_ended: Notify::new(), min_at_claim: request_timeout + send_budget }
    }

    /// A cached token, or the right to fetch one, at once or after at most `max_wait`.
    pub async fn acquire(&self, key: TokenKey, max_wait: Duration) -> Acquired<'_> {
        let deadline = tokio::time::Instant::now() + max_wait;
        loop {
            // Registered before the check, so that a login that ends between check and wait is not missed.
            let login_ended = self.login_ended.notified();
            let started = Instant::now();
            let retry_at = match self.lock().acquire(key, started) {
                Acquire::Cached(token) => return Acquired::Token(token),
                Acquire::Login(stale) => {
                    return Acquired::Login(LoginPermit { cache: self, key, started, stale, is_open: true });
                }
                Acquire::Denied(denied) => return Acquired::Denied(denied),
                Acquire::InProgress(since) if since >= MAX_WAIT => return Acquired::InProgress,
                Acquire::InProgress(_) => deadline,
                Acquire::BackOff(wait) => tokio::time::Instant::now() + wait,
            };
            // A wait beyond the deadline is not begun.
            if tokio::time::Instant::now() >= deadline || retry_at > deadline {
                return Acquired::InProgress;
            }
            tokio::select! { () = login_ended => {}, () = tokio::time::sleep_until(retry_at) => {} }
        }
    }

    /// Whether a call may still be claimed with this key: a token may have ended by an answer to another request, and the
    /// preparation took time.
    pub fn may_use(&self, key: &Key, now: Instant) -> bool {
        match key {
            Key::AccessKey(_) => true,
            Key::Token(token) => token.left(now) >= self.min_at_claim,
        }
    }

    /// Ignores poisoning: a panic elsewhere cannot leave the core with a broken invariant.
    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to log in, once. Released when dropped, whatever happened to its holder.
#[derive(Debug)]
pub struct LoginPermit<'a> {
    cache: &'a TokenCache,
    key: TokenKey,
    started: Instant,
    stale: Option<Token>,
    is_open: bool,
}

impl LoginPermit<'_> {
    /// A token that is due for renewal but still valid, whatever the result of the login.
    pub fn stale_token(&self) -> Option<Token> {
        self.stale.clone()
    }

    /// Records the result of the login.
    pub fn finish(mut self, login: Login) -> Result<Token, Denied> {
        self.is_open = false;
        let finished = self.cache.lock().finish(self.key, login, self.started, Instant::now());
        self.cache.login_ended.notify_waiters();
        finished
    }
}

impl Drop for LoginPermit<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.cache.lock().abandon(self.key);
            self.cache.login_ended.notify_waiters();
        }
    }
}
