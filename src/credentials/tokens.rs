//! The tokens of users: the pure core behind a lock, and the wait for a login in flight. In memory only. This module must
//! not read Secrets.

mod cache;
mod denied;
mod login;
mod messages;
mod unanswered;
mod user;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

pub use self::{cache::TokenKey, login::Wanted};
use self::{
    cache::{Acquire, Core},
    denied::Denied,
};
use crate::cloud::{login::Login, token::Token};

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
enum Acquired {
    /// A token.
    Token(Token),
    /// The right to log in.
    Login(LoginPermit),
    /// Neither a token nor a login, and why.
    Denied(Denied),
}

impl TokenCache {
    /// A cache for requests with these timeouts.
    pub fn new(request_timeout: Duration, send_budget: Duration) -> Arc<Self> {
        let core = Mutex::new(Core::new(request_timeout + MARGIN));
        Arc::new(Self { core, login_ended: Notify::new(), min_at_claim: request_timeout + send_budget })
    }

    /// A cached token, or the right to fetch one, after the login of this user that is in flight.
    async fn acquire(self: &Arc<Self>, key: TokenKey) -> Acquired {
        loop {
            // Registered before the check, so that a login that ends between check and wait is not missed.
            let login_ended = self.login_ended.notified();
            let started = Instant::now();
            let acquired = self.lock().acquire(key, started);
            match acquired {
                Acquire::Cached(token) => return Acquired::Token(token),
                Acquire::Login(stale) => {
                    let cache = Arc::clone(self);
                    return Acquired::Login(LoginPermit { cache, key, started, stale, is_open: true });
                }
                Acquire::Denied(denied) => return Acquired::Denied(denied),
                Acquire::InProgress => login_ended.await,
                Acquire::BackOff(wait) => {
                    tokio::select! { () = login_ended => {}, () = tokio::time::sleep(wait) => {} }
                }
            }
        }
    }

    /// Whether a request may still be claimed with this token: an answer to another request may have ended it, and the
    /// preparation took time.
    pub fn may_use(&self, token: &Token, now: Instant) -> bool {
        token.left(now) >= self.min_at_claim
    }

    /// Ignores poisoning: a panic elsewhere cannot leave the core with a broken invariant.
    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to log in, once. Released when dropped, whatever happened to its holder.
#[derive(Debug)]
struct LoginPermit {
    cache: Arc<TokenCache>,
    key: TokenKey,
    started: Instant,
    stale: Option<Token>,
    is_open: bool,
}

impl LoginPermit {
    /// Records the result of the login.
    fn finish(mut self, login: Login) -> Result<Token, Denied> {
        self.is_open = false;
        let finished = self.cache.lock().finish(self.key, login, self.started, Instant::now());
        self.cache.login_ended.notify_waiters();
        finished
    }
}

impl Drop for LoginPermit {
    fn drop(&mut self) {
        if self.is_open {
            self.cache.lock().abandon(self.key);
            self.cache.login_ended.notify_waiters();
        }
    }
}
