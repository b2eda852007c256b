//! What authenticates a request: an access key, or a token of IAM; and digests that identify a key and do not reveal it.
//! `Debug` shows nothing of them. This module fetches no token.

use std::{
    fmt::{Debug, Formatter, Result},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use secrecy::{ExposeSecret, SecretString};

use super::outcome::{Answer, KeyEffect};
use crate::api::Reason;

/// A younger token is not replaced after a 403, since its successor would be refused too: permissions are rarely granted
/// just after the login.
const FRESH_FOR: Duration = Duration::from_secs(300);

/// The credentials of one request, as they were read or fetched for it.
#[derive(Clone, Debug)]
pub enum Key {
    /// Each request is signed with it.
    AccessKey(AccessKey),
    /// It is sent with each request.
    Token(Token),
}

#[derive(Clone)]
pub struct AccessKey {
    pub access: String,
    pub secret: SecretString,
    /// The security token of a temporary key.
    pub token: Option<SecretString>,
}

/// Shows nothing: the access key names an account.
impl Debug for AccessKey {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        formatter.debug_struct("AccessKey").finish_non_exhaustive()
    }
}

#[derive(Clone)]
pub struct User {
    pub name: String,
    pub password: SecretString,
    /// The account that the user belongs to.
    pub domain: String,
}

impl Debug for User {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        formatter.debug_struct("User").finish_non_exhaustive()
    }
}

/// A token of IAM. Clones share what answers have proved about it, so that one refusal ends the token for all of them.
#[derive(Clone, Debug)]
pub struct Token(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    text: SecretString,
    user: KeyIdentity,
    since: Instant,
    until: Instant,
    worked: AtomicBool,
    ended: AtomicBool,
}

impl Token {
    /// A token that was requested for `user` at `since` and is valid for `life` from then on.
    pub fn new(text: SecretString, user: KeyIdentity, since: Instant, life: Duration) -> Self {
        let (worked, ended) = (AtomicBool::new(false), AtomicBool::new(false));
        Self(Arc::new(Inner { text, user, since, until: since + life, worked, ended }))
    }

    pub(super) fn text(&self) -> &str {
        self.0.text.expose_secret()
    }

    /// Its user: a digest of the user, not of the token, which changes each day.
    pub fn user(&self) -> KeyIdentity {
        self.0.user
    }

    /// The remaining lifetime; zero once an answer has ended it.
    pub fn left(&self, now: Instant) -> Duration {
        if self.has_ended() { Duration::ZERO } else { self.0.until.saturating_duration_since(now) }
    }

    pub fn has_ended(&self) -> bool {
        self.0.ended.load(Ordering::Relaxed)
    }

    /// It is not used any more. Returns whether it had ended before.
    pub fn end(&self) -> bool {
        self.0.ended.swap(true, Ordering::Relaxed)
    }

    /// Records an answer to a request with this token, and returns it with its effect on other requests. None of the
    /// effects is about the password: only IAM itself knows that.
    #[must_use]
    pub fn record(&self, answer: Answer) -> Answer {
        let had_ended = self.has_ended();
        let key_effect = match answer.key_effect {
            // Several requests were in flight with the same token.
            KeyEffect::TokenRefused if self.end() => KeyEffect::TokenAlreadyEnded,
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

    /// Records the answer to a call or a precheck in addition to [`Self::record`]: a 403 ends a token that is not fresh. A
    /// token's permissions are fixed at the login; later ones are in the next token. A poll after a call does not end it:
    /// polls are many, and nothing waits for them.
    pub fn record_denial(&self, answer: &Answer, now: Instant) {
        if answer.reason == Reason::PermissionDenied && now.saturating_duration_since(self.0.since) >= FRESH_FOR {
            self.end();
        }
    }
}

/// Identifies a key without revealing it: a digest of its values and the endpoint under a random key of this process.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyIdentity([u8; 32]);

impl KeyIdentity {
    pub const fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Debug for KeyIdentity {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        formatter.write_str(&hex::encode(self.0.get(..4).unwrap_or_default()))
    }
}

impl From<[u8; 32]> for KeyIdentity {
    fn from(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

/// The digests of what a request is made with, by which requests and refusals are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyDigests {
    /// Digest of the access key or the user, and the endpoint: the cloud counts wrong signatures by it.
    pub key: KeyIdentity,
    /// Digest of all values (access key, secret key, token), and the endpoint: whether they work is known by it.
    pub values: KeyIdentity,
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
    fn a_refusal_ends_a_token_that_worked_and_refuses_one_that_never_did() {
        let now = Instant::now();
        let fresh = token();
        assert_eq!(fresh.record(refused()).key_effect, KeyEffect::TokenRefused);
        let used = token();
        assert_eq!(used.record(answer(Reason::ClusterNotReady, KeyEffect::Good)).key_effect, KeyEffect::Good);
        assert!(used.left(now) > Duration::ZERO);
        assert_eq!(used.record(refused()).key_effect, KeyEffect::TokenEnded);
        for token in [fresh, used] {
            assert!(token.has_ended() && token.left(now).is_zero());
            let clone = token.clone();
            assert_eq!(clone.record(refused()).key_effect, KeyEffect::TokenAlreadyEnded, "reported before");
            assert_eq!(clone.record(answer(Reason::Delivered, KeyEffect::Good)).key_effect, KeyEffect::Neutral);
        }
    }

    #[test]
    fn a_denied_call_ends_only_an_old_token_and_a_poll_ends_none() {
        let (token, denied) = (token(), answer(Reason::PermissionDenied, KeyEffect::Good));
        assert_eq!(token.record(denied.clone()).key_effect, KeyEffect::Good);
        token.record_denial(&denied, Instant::now() + FRESH_FOR.saturating_sub(Duration::from_secs(60)));
        token.record_denial(&answer(Reason::NotFound, KeyEffect::Good), Instant::now() + FRESH_FOR);
        assert!(!token.has_ended());
        token.record_denial(&denied, Instant::now() + FRESH_FOR);
        assert!(token.has_ended());
        assert!(!format!("{token:?}").contains("canary"));
    }
}
