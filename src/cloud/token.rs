//! A token of IAM: whose it is, how long it holds, and what answers have said of it. Its clones share what they heard, so
//! that one refusal ends it for everybody. It must not be shown, and fetches no other.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use secrecy::{ExposeSecret, SecretString};

use super::{
    identity::KeyIdentity,
    outcome::{Answer, KeyEffect},
};
use crate::api::Reason;

/// What a younger token may not do, its successor may not either: hardly anybody grants a right just after the login.
const FRESH: Duration = Duration::from_secs(300);

/// See the module.
#[derive(Clone)]
pub struct Token(Arc<Inner>);

struct Inner {
    text: SecretString,
    account: KeyIdentity,
    since: Instant,
    until: Instant,
    worked: AtomicBool,
    ended: AtomicBool,
}

/// Shows nothing.
impl std::fmt::Debug for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Token").finish_non_exhaustive()
    }
}

impl Token {
    /// A token that was fetched for `account` at `since` and holds so long.
    pub fn new(text: SecretString, account: KeyIdentity, since: Instant, life: Duration) -> Self {
        let (worked, ended) = (AtomicBool::new(false), AtomicBool::new(false));
        Self(Arc::new(Inner { text, account, since, until: since + life, worked, ended }))
    }

    /// What goes into the header, and nowhere else.
    pub(super) fn text(&self) -> &str {
        self.0.text.expose_secret()
    }

    /// Whose it is: the digest of the user, not of the token, which changes each day.
    pub fn account(&self) -> KeyIdentity {
        self.0.account
    }

    /// How long it still holds; nothing once an answer has ended it.
    pub fn left(&self, now: Instant) -> Duration {
        if self.has_ended() { Duration::ZERO } else { self.0.until.saturating_duration_since(now) }
    }

    /// An answer has ended it, or its user was refused.
    pub fn has_ended(&self) -> bool {
        self.0.ended.load(Ordering::Relaxed)
    }

    /// Nobody uses it any more. Returns whether somebody had said so before.
    pub fn end(&self) -> bool {
        self.0.ended.swap(true, Ordering::Relaxed)
    }

    /// Takes in an answer to a request with it, and says what that means for others. None of it is about the password:
    /// only IAM itself knows that.
    #[must_use]
    pub fn heard(&self, answer: Answer) -> Answer {
        let had_ended = self.has_ended();
        let key_effect = match answer.key_effect {
            // Others were under way with the same token.
            KeyEffect::TokenRefused if self.end() => KeyEffect::TokenWasOver,
            KeyEffect::TokenRefused if self.0.worked.load(Ordering::Relaxed) => KeyEffect::TokenEnded,
            KeyEffect::Good if had_ended => KeyEffect::Neutral,
            KeyEffect::Good => {
                self.0.worked.store(true, Ordering::Relaxed);
                KeyEffect::Good
            }
            other => other,
        };
        Answer { key_effect, ..answer }
    }

    /// Takes in the answer to a call besides, or to a look before one. Its rights were fixed at the login: what was granted
    /// since is in the next token. A look after a call does not end it: those are many, and nothing waits for them.
    pub fn heard_of_rights(&self, answer: &Answer, now: Instant) {
        if answer.reason == Reason::PermissionDenied && now.saturating_duration_since(self.0.since) >= FRESH {
            self.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Token {
        Token::new("canary".to_owned().into(), KeyIdentity::from([1; 32]), Instant::now(), Duration::from_secs(3600))
    }

    fn answer(reason: Reason, key_effect: KeyEffect) -> Answer {
        let (error_code, request_id) = (None, None);
        Answer { status_code: 401, error_code, request_id, reason, message: String::new(), key_effect }
    }

    fn refused() -> Answer {
        answer(Reason::AuthenticationFailed, KeyEffect::TokenRefused)
    }

    #[test]
    fn a_token_that_had_worked_has_ended_and_one_that_never_did_is_refused() {
        let now = Instant::now();
        let fresh = token();
        assert_eq!(fresh.heard(refused()).key_effect, KeyEffect::TokenRefused);
        let used = token();
        assert_eq!(used.heard(answer(Reason::ClusterNotReady, KeyEffect::Good)).key_effect, KeyEffect::Good);
        assert!(used.left(now) > Duration::ZERO);
        assert_eq!(used.heard(refused()).key_effect, KeyEffect::TokenEnded);
        for token in [fresh, used] {
            assert!(token.has_ended() && token.left(now).is_zero());
            let clone = token.clone();
            assert_eq!(clone.heard(refused()).key_effect, KeyEffect::TokenWasOver, "said before");
            assert_eq!(clone.heard(answer(Reason::Delivered, KeyEffect::Good)).key_effect, KeyEffect::Neutral);
        }
    }

    #[test]
    fn what_an_old_token_may_not_call_its_successor_may_be_allowed_to_and_a_look_ends_none() {
        let (token, denied) = (token(), answer(Reason::PermissionDenied, KeyEffect::Good));
        assert_eq!(token.heard(denied.clone()).key_effect, KeyEffect::Good);
        token.heard_of_rights(&denied, Instant::now() + FRESH.saturating_sub(Duration::from_secs(60)));
        token.heard_of_rights(&answer(Reason::NotFound, KeyEffect::Good), Instant::now() + FRESH);
        assert!(!token.has_ended());
        token.heard_of_rights(&denied, Instant::now() + FRESH);
        assert!(token.has_ended());
        assert!(!format!("{token:?}").contains("canary"));
    }
}
