//! PURE: the cached tokens, and who may not log in now: a lock-out as for access keys, and a back-off for a project
//! that was refused and after logins without an answer. The clock is an argument.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::{
    cloud::{
        auth::{KeyIdentity, Token},
        login::{Login, LoginFailure},
        outcome::KeyEffect,
    },
    credentials::{
        REFUSED_RECHECK,
        lockout::{Lockout, Rejection},
    },
};

/// How long before its end a token is renewed; a quarter of its lifetime if that is less.
const RENEW_BEFORE: Duration = Duration::from_secs(600);
const SCOPE_BACK_OFF: Duration = Duration::from_secs(300);
/// A token that answers have ended, or that was valid for one use only, is replaced no sooner than this after its
/// login: if that repeats, IAM gets a login every five seconds and not one for each object.
const MIN_LOGIN_INTERVAL: Duration = Duration::from_secs(5);
/// Of users, and of scopes.
const MAX_ENTRIES: usize = 1000;
/// Of a user whose password was never accepted, and may be wrong.
const UNPROVEN_BACK_OFF: Duration = Duration::from_secs(300);
/// Of a user whose password was accepted before; each back-off is four times the previous one.
const FIRST_BACK_OFF: Duration = Duration::from_secs(2);
/// Five wrong passwords within this time lock a user.
const WINDOW: Duration = Duration::from_secs(900);
/// Unanswered logins.
const MAX_IN_WINDOW: usize = 4;
/// Maximum exponent of the back-off: beyond it the window is the bound.
const MAX_GROWTH: usize = 4;

/// The key of a cached token; reveals neither user nor project.
#[derive(Clone, Copy, Debug)]
pub struct TokenKey {
    pub user: KeyIdentity,
    /// The user at this IAM, for this project and endpoint.
    pub scope: KeyIdentity,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The user was refused or locked, and for how long; `None`: not before its values change.
    Rejected(Rejection, Option<Duration>),
    /// The last login failed; the next one is allowed after that time.
    Failed(LoginFailure, Duration),
}

#[derive(Clone, Debug)]
pub enum Acquire {
    Cached(Token),
    /// The token, if there is one, is still valid for a call.
    Login(Option<Token>),
    /// The last login was too recent.
    BackOff(Duration),
    Denied(Denied),
}

type Pause = Option<(LoginFailure, Instant)>;

fn denied(pause: Pause, now: Instant) -> Option<Denied> {
    let (why, until) = pause.filter(|(_, until)| now < *until)?;
    Some(Denied::Failed(why, until.saturating_duration_since(now)))
}

#[derive(Debug, Default)]
struct UserState {
    password: Lockout,
    pause: Pause,
    /// Logins within the window without an answer that proves whether the password was right. IAM may have counted each
    /// as a wrong one, and five of these lock the user.
    unanswered: Vec<Instant>,
    used: Option<Instant>,
}

impl UserState {
    /// A refusal is preferred to an unanswered login, since it proves more.
    fn denied(&self, now: Instant) -> Option<Denied> {
        let rejected = self.password.rejection(now).map(|(why, wait)| Denied::Rejected(why, wait));
        rejected.or_else(|| denied(self.pause, now))
    }

    fn worked(&mut self) {
        self.unanswered.clear();
        self.pause = None;
        self.password.worked();
    }

    fn unanswered(&mut self, why: LoginFailure, now: Instant) {
        self.unanswered.retain(|time| now.saturating_duration_since(*time) < WINDOW);
        self.unanswered.push(now);
        let growth = (1..self.unanswered.len().min(MAX_GROWTH + 1)).fold(1, |growth, _| growth * 4);
        let pause = if self.password.is_proven() { FIRST_BACK_OFF * growth } else { UNPROVEN_BACK_OFF };
        // The first of the last four must be out of the window.
        let window_ends = self.unanswered.iter().rev().nth(MAX_IN_WINDOW - 1).map(|time| *time + WINDOW);
        self.pause = window_ends.max(Some(now + pause)).map(|until| (why, until));
    }
}

#[derive(Debug)]
struct Scope {
    user: KeyIdentity,
    token: Option<Token>,
    fetched: Option<Instant>,
    renew_at: Instant,
    /// The last refusal, and the end of its back-off.
    error: Pause,
    used: Option<Instant>,
}

#[derive(Debug)]
pub struct Core {
    min_left: Duration,
    users: HashMap<KeyIdentity, UserState>,
    scopes: HashMap<KeyIdentity, Scope>,
}

impl Core {
    /// `min_left`: remaining lifetime of a token to prepare and make a call.
    pub fn new(min_left: Duration) -> Self {
        Self { min_left, users: HashMap::new(), scopes: HashMap::new() }
    }

    pub fn acquire(&mut self, key: TokenKey, now: Instant) -> Acquire {
        let min_left = self.min_left;
        let (user, scope) = self.entries(key, now);
        let has_ended = scope.token.as_ref().is_none_or(Token::has_ended);
        let usable = scope.token.clone().filter(|token| token.left(now) >= min_left);
        let since_fetched = scope.fetched.filter(|_| has_ended).map(|fetched| now.saturating_duration_since(fetched));
        match (usable, denied(scope.error, now).or_else(|| user.denied(now))) {
            (Some(token), denied) if now < scope.renew_at || denied.is_some() => Acquire::Cached(token),
            (_, Some(denied)) => Acquire::Denied(denied),
            (usable, None) => match since_fetched.map(|since| MIN_LOGIN_INTERVAL.saturating_sub(since)) {
                Some(wait) if !wait.is_zero() => Acquire::BackOff(wait),
                _ => Acquire::Login(usable),
            },
        }
    }

    /// Whatever its remaining lifetime.
    pub fn present(&self, key: TokenKey) -> Option<Token> {
        self.scopes.get(&key.scope)?.token.clone()
    }

    /// What a login says about the user applies to all projects.
    pub fn finish(&mut self, key: TokenKey, login: Login, started: Instant, now: Instant) -> Result<Token, Denied> {
        let min_left = self.min_left;
        let (user, scope) = self.entries(key, now);
        let failure = match login {
            Ok((text, life)) => {
                user.worked();
                scope.fetched = Some(now);
                let token = Token::new(text, key.user, started, life);
                if token.left(now) >= min_left {
                    scope.error = None;
                    // A token that is due for renewal before a second use is used once and not cached.
                    let usable = life.saturating_sub(min_left).saturating_sub(RENEW_BEFORE.min(life / 4));
                    scope.renew_at = started + usable;
                    scope.token = (!usable.is_zero()).then(|| token.clone());
                    return Ok(token);
                }
                LoginFailure::ShortLived
            }
            Err(failure) => failure,
        };
        match failure {
            LoginFailure::Wrong => user.password.learn(KeyEffect::RejectedByGateway, now),
            LoginFailure::Locked => user.password.learn(KeyEffect::LockedByGateway, now),
            LoginFailure::Throttled(wait) => user.pause = Some((failure, now + wait)),
            LoginFailure::Failed(_) | LoginFailure::Silent | LoginFailure::Unreadable(_) => {
                user.unanswered(failure, now);
            }
            LoginFailure::Unreachable => return Err(Denied::Failed(failure, REFUSED_RECHECK)),
            LoginFailure::Project(_)
            | LoginFailure::Forbidden
            | LoginFailure::Refused(_)
            | LoginFailure::ShortLived => {
                scope.error = Some((failure, now + SCOPE_BACK_OFF));
                return Err(Denied::Failed(failure, SCOPE_BACK_OFF));
            }
        }
        let denied = user.denied(now).unwrap_or(Denied::Failed(failure, REFUSED_RECHECK));
        if failure == LoginFailure::Wrong {
            // The cause of the wrong password has also ended the tokens, by the cloud's documentation.
            let scopes = self.scopes.values_mut().filter(|scope| scope.user == key.user);
            for token in scopes.filter_map(|scope| scope.token.take()) {
                token.end();
            }
        }
        Err(denied)
    }

    fn entries(&mut self, key: TokenKey, now: Instant) -> (&mut UserState, &mut Scope) {
        make_room(&mut self.users, key.user, |user| user.used);
        make_room(&mut self.scopes, key.scope, |scope| scope.used);
        let user = self.users.entry(key.user).or_default();
        user.used = Some(now);
        let new = || Scope { user: key.user, token: None, fetched: None, renew_at: now, error: None, used: None };
        let scope = self.scopes.entry(key.scope).or_insert_with(new);
        scope.used = Some(now);
        (user, scope)
    }
}

/// Beyond the bound, the entry that is least recently used is removed for a new one.
fn make_room<V>(map: &mut HashMap<KeyIdentity, V>, new: KeyIdentity, used: impl Fn(&V) -> Option<Instant>) {
    if map.len() >= MAX_ENTRIES && !map.contains_key(&new) {
        let oldest = map.iter().min_by_key(|(_, value)| used(value)).map(|(identity, _)| *identity);
        oldest.map(|oldest| map.remove(&oldest));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests;
