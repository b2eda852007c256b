//! PURE core of the token cache: the cached tokens, and which object may fetch one. One login at a time for each user, a
//! lock-out as for access keys, and a back-off for a project that was refused. The clock is an argument.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{
    denied::{Denied, ScopeError},
    unanswered::FailureCause,
    user::UserState,
};
use crate::cloud::{identity::KeyIdentity, login::Login, outcome::KeyEffect, token::Token};

/// How long before its end a token is renewed; a quarter of its lifetime if that is less.
const RENEW_BEFORE: Duration = Duration::from_secs(600);
/// Back-off of a login for a project that IAM refused.
const SCOPE_BACK_OFF: Duration = Duration::from_secs(300);
/// A token that answers have ended, or that was valid for one use only, is replaced no sooner than this after it was
/// fetched: if that repeats, IAM gets a login every five seconds and not one for each object.
const MIN_LOGIN_INTERVAL: Duration = Duration::from_secs(5);
/// Maximum number of cached users, and of cached scopes.
const MAX_ENTRIES: usize = 1000;

/// The key of a cached token; reveals neither user nor project.
#[derive(Clone, Copy, Debug)]
pub struct TokenKey {
    /// The user.
    pub user: KeyIdentity,
    /// The user at this IAM, for this project and endpoint.
    pub scope: KeyIdentity,
}

/// The result of [`Core::acquire`].
#[derive(Clone, Debug)]
pub enum Acquire {
    /// A cached token.
    Cached(Token),
    /// The caller must log in, and then `finish` or `abandon`. The token, if there is one, is still valid for a call.
    Login(Option<Token>),
    /// Another login of this user is in flight.
    InProgress,
    /// The last login was too recent; the next one is allowed after this time.
    BackOff(Duration),
    /// Neither a token nor a login, and why.
    Denied(Denied),
}

#[derive(Debug)]
struct Scope {
    user: KeyIdentity,
    token: Option<Token>,
    fetched: Option<Instant>,
    /// When the token is due for renewal.
    renew_at: Instant,
    /// The last refusal, and the end of its back-off.
    error: Option<(ScopeError, Instant)>,
    used: Instant,
}

/// The tokens and the logins in flight.
#[derive(Debug)]
pub struct Core {
    min_left: Duration,
    users: HashMap<KeyIdentity, UserState>,
    scopes: HashMap<KeyIdentity, Scope>,
}

impl Core {
    /// `min_left`: the minimum remaining lifetime of a token to prepare and make a call.
    pub fn new(min_left: Duration) -> Self {
        Self { min_left, users: HashMap::new(), scopes: HashMap::new() }
    }

    /// A token for a call now, or the right to log in, or why neither.
    pub fn acquire(&mut self, key: TokenKey, now: Instant) -> Acquire {
        let min_left = self.min_left;
        let (user, scope) = self.entries(key, now);
        let has_ended = scope.token.as_ref().is_none_or(Token::has_ended);
        let usable = scope.token.clone().filter(|token| token.left(now) >= min_left);
        let obstacle = match (&usable, scope.error) {
            (Some(token), _) if now < scope.renew_at => return Acquire::Cached(token.clone()),
            (_, Some((error, until))) if now < until => {
                Some(Acquire::Denied(Denied::Scope(error, until.saturating_duration_since(now))))
            }
            _ if user.in_flight > 0 => Some(Acquire::InProgress),
            _ => user.denied(now).map(Acquire::Denied),
        };
        let interval =
            scope.fetched.map(|fetched| MIN_LOGIN_INTERVAL.saturating_sub(now.saturating_duration_since(fetched)));
        match (obstacle, usable, interval) {
            (Some(_), Some(token), _) => Acquire::Cached(token),
            (Some(obstacle), None, _) => obstacle,
            (None, _, Some(wait)) if has_ended && !wait.is_zero() => Acquire::BackOff(wait),
            (None, usable, _) => {
                user.in_flight += 1;
                Acquire::Login(usable)
            }
        }
    }

    /// The cached token, whatever its remaining lifetime.
    pub fn present(&self, key: TokenKey) -> Option<Token> {
        self.scopes.get(&key.scope)?.token.clone()
    }

    /// Records the result of a login that started at `started`. Its result about the user applies to all projects.
    pub fn finish(&mut self, key: TokenKey, login: Login, started: Instant, now: Instant) -> Result<Token, Denied> {
        self.abandon(key);
        let min_left = self.min_left;
        let (user, scope) = self.entries(key, now);
        let error = match login {
            Login::Token(text, life) => {
                user.accepted();
                let token = Token::new(text, key.user, started, life);
                scope.fetched = Some(now);
                if token.left(now) < min_left {
                    ScopeError::ShortLived
                } else {
                    scope.error = None;
                    // A token that is due for renewal before a second use is used once and not cached.
                    let usable = life.saturating_sub(min_left).saturating_sub(RENEW_BEFORE.min(life / 4));
                    scope.renew_at = started + usable;
                    scope.token = (!usable.is_zero()).then(|| token.clone());
                    return Ok(token);
                }
            }
            Login::Wrong => {
                let denied = user.refused(KeyEffect::RejectedByGateway, now);
                // The cause of the wrong password has also ended the tokens, by the cloud's documentation.
                for other in self.scopes.values_mut().filter(|other| other.user == key.user) {
                    if let Some(token) = other.token.take() {
                        token.end();
                    }
                }
                return Err(denied);
            }
            Login::Locked | Login::Throttled(_) => {
                let effect = match login {
                    Login::Throttled(wait) => KeyEffect::Throttled(wait),
                    _ => KeyEffect::LockedByGateway,
                };
                return Err(user.refused(effect, now));
            }
            Login::Project(status) => ScopeError::Project(status),
            Login::Forbidden => ScopeError::Forbidden,
            Login::Refused(status) => ScopeError::Refused(status),
            Login::Failed(status) => return Err(user.unanswered(FailureCause::Failed(status), now)),
            Login::Silent => return Err(user.unanswered(FailureCause::Silent, now)),
            Login::Unreadable(why) => return Err(user.unanswered(FailureCause::Unreadable(why), now)),
            Login::Unreachable => return Err(Denied::Unreachable),
        };
        scope.error = Some((error, now + SCOPE_BACK_OFF));
        Err(Denied::Scope(error, SCOPE_BACK_OFF))
    }

    /// Records that a login ended, or that its caller does not wait for it any more.
    pub fn abandon(&mut self, key: TokenKey) {
        if let Some(user) = self.users.get_mut(&key.user) {
            user.in_flight = user.in_flight.saturating_sub(1);
        }
    }

    /// Both entries, created if absent; beyond the bound the least recently used one is evicted.
    fn entries(&mut self, key: TokenKey, now: Instant) -> (&mut UserState, &mut Scope) {
        if !self.users.contains_key(&key.user) && self.users.len() >= MAX_ENTRIES {
            let idle = self.users.iter().filter(|(_, user)| user.in_flight == 0);
            let oldest = idle.min_by_key(|(_, user)| user.used).map(|(identity, _)| *identity);
            oldest.map(|oldest| self.users.remove(&oldest));
        }
        if !self.scopes.contains_key(&key.scope) && self.scopes.len() >= MAX_ENTRIES {
            let oldest = self.scopes.iter().min_by_key(|(_, scope)| scope.used).map(|(identity, _)| *identity);
            oldest.map(|oldest| self.scopes.remove(&oldest));
        }
        let user = self.users.entry(key.user).or_default();
        user.used = Some(now);
        let new = || Scope { user: key.user, token: None, fetched: None, renew_at: now, error: None, used: now };
        let scope = self.scopes.entry(key.scope).or_insert_with(new);
        scope.used = now;
        (user, scope)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests;
