//! PURE core of the logins: which tokens are held, and who may fetch one. One login at a time for each user, a lock-out
//! as for access keys, and a rest for a project that was refused. The clock is an argument.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{
    account::UserState,
    denied::{Denied, ScopeError},
    unanswered::FailureCause,
};
use crate::cloud::{identity::KeyIdentity, login::Login, outcome::KeyEffect, token::Token};

/// How long before its end a token is renewed; a fourth of its life if that is less.
const RENEW: Duration = Duration::from_secs(600);
/// How long what IAM said of a project stands before it is asked again.
const TROUBLE_RESTS: Duration = Duration::from_secs(300);
/// A token that answers have ended, or that was good for one use, is not replaced sooner than this after it was fetched:
/// whatever goes on like that costs IAM a login each five seconds, not one for each object.
const APART: Duration = Duration::from_secs(5);
/// Tokens, and users, that are remembered.
const MOST: usize = 1000;

/// Who asks, and for what. Both without showing it.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    /// The user.
    pub account: KeyIdentity,
    /// The user at this IAM, for this project and endpoint.
    pub purpose: KeyIdentity,
}

/// What comes next.
#[derive(Clone, Debug)]
pub enum Acquire {
    /// A token that is held.
    Cached(Token),
    /// Log in; whoever is told so must `finish` or `give_up`. The token, if there is one, still holds for a call.
    Login(Option<Token>),
    /// Another login of this user has been under way for so long.
    InProgress(Duration),
    /// The last login is too short ago, by so much.
    BackOff(Duration),
    /// None, and no login.
    Denied(Denied),
}

#[derive(Debug)]
struct Scope {
    account: KeyIdentity,
    token: Option<Token>,
    fetched: Option<Instant>,
    /// When the token is to be renewed.
    renew: Instant,
    trouble: Option<(ScopeError, Instant)>,
    used: Instant,
}

/// See the module.
#[derive(Debug)]
pub struct Core {
    shortest: Duration,
    accounts: HashMap<KeyIdentity, UserState>,
    purposes: HashMap<KeyIdentity, Scope>,
}

impl Core {
    /// `shortest`: what must be left of a token for a call to be prepared and made.
    pub fn new(shortest: Duration) -> Self {
        Self { shortest, accounts: HashMap::new(), purposes: HashMap::new() }
    }

    /// What there is for a call now.
    pub fn ask(&mut self, names: Names, now: Instant) -> Acquire {
        let shortest = self.shortest;
        let (account, purpose) = self.of(names, now);
        let held = purpose.token.clone();
        let over = held.as_ref().is_none_or(Token::has_ended);
        let held = held.filter(|token| token.left(now) >= shortest);
        let denied = match (&held, purpose.trouble) {
            (Some(token), _) if now < purpose.renew => return Acquire::Cached(token.clone()),
            (_, Some((trouble, until))) if now < until => {
                Some(Acquire::Denied(Denied::Scope(trouble, until.saturating_duration_since(now))))
            }
            _ if account.key.in_flight > 0 => {
                let since = account.asked.map(|at| now.saturating_duration_since(at));
                Some(Acquire::InProgress(since.unwrap_or_default()))
            }
            _ => account.rests(now).map(Acquire::Denied),
        };
        let apart = purpose.fetched.map(|at| APART.saturating_sub(now.saturating_duration_since(at)));
        match (denied, held, apart) {
            (Some(_), Some(token), _) => Acquire::Cached(token),
            (Some(denied), None, _) => denied,
            (None, _, Some(rest)) if over && !rest.is_zero() => Acquire::BackOff(rest),
            (None, held, _) => {
                account.key.in_flight += 1;
                account.asked = Some(now);
                Acquire::Login(held)
            }
        }
    }

    /// A login that was begun at `asked` is over. What it says of the user holds for all projects.
    pub fn finish(&mut self, names: Names, login: Login, asked: Instant, now: Instant) -> Result<Token, Denied> {
        self.give_up(names);
        let shortest = self.shortest;
        let (account, purpose) = self.of(names, now);
        let trouble = match login {
            Login::Token(text, life) => {
                account.is_let_in(now);
                let token = Token::new(text, names.account, asked, life);
                purpose.fetched = Some(now);
                if token.left(now) < shortest {
                    ScopeError::ShortLived
                } else {
                    purpose.trouble = None;
                    // What is to be renewed before it can be used a second time is used once.
                    let usable = life.saturating_sub(shortest).saturating_sub(RENEW.min(life / 4));
                    purpose.renew = asked + usable;
                    purpose.token = (!usable.is_zero()).then(|| token.clone());
                    return Ok(token);
                }
            }
            Login::Wrong => {
                let denied = account.refused(KeyEffect::RejectedByGateway, now);
                // Whatever made the password wrong has ended the tokens too, by the cloud's documentation.
                for other in self.purposes.values_mut().filter(|other| other.account == names.account) {
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
                return Err(account.refused(effect, now));
            }
            Login::Project(status) => ScopeError::Project(status),
            Login::Forbidden => ScopeError::Forbidden,
            Login::Refused(status) => ScopeError::Refused(status),
            Login::Failed(status) => return Err(account.lost(FailureCause::Failed(status), now)),
            Login::Silent => return Err(account.lost(FailureCause::Silent, now)),
            Login::Unreadable(why) => return Err(account.lost(FailureCause::Unreadable(why), now)),
            Login::Unreachable => return Err(Denied::Unreachable),
        };
        purpose.trouble = Some((trouble, now + TROUBLE_RESTS));
        Err(Denied::Scope(trouble, TROUBLE_RESTS))
    }

    /// A login was begun and is not waited for any more.
    pub fn give_up(&mut self, names: Names) {
        if let Some(account) = self.accounts.get_mut(&names.account) {
            account.key.in_flight = account.key.in_flight.saturating_sub(1);
        }
    }

    /// Both entries, made if they are not there; beyond the bound the one that was used longest ago makes room.
    fn of(&mut self, names: Names, now: Instant) -> (&mut UserState, &mut Scope) {
        if !self.accounts.contains_key(&names.account) && self.accounts.len() >= MOST {
            let idle = self.accounts.iter().filter(|(_, account)| account.key.in_flight == 0);
            let oldest = idle.min_by_key(|(_, account)| account.key.used).map(|(name, _)| *name);
            oldest.map(|oldest| self.accounts.remove(&oldest));
        }
        if !self.purposes.contains_key(&names.purpose) && self.purposes.len() >= MOST {
            let oldest = self.purposes.iter().min_by_key(|(_, purpose)| purpose.used).map(|(name, _)| *name);
            oldest.map(|oldest| self.purposes.remove(&oldest));
        }
        let account = self.accounts.entry(names.account).or_default();
        account.key.used = Some(now);
        let fresh =
            || Scope { account: names.account, token: None, fetched: None, renew: now, trouble: None, used: now };
        let purpose = self.purposes.entry(names.purpose).or_insert_with(fresh);
        purpose.used = now;
        (account, purpose)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests;
