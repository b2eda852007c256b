//! PURE: the credentials that authenticate a request. `Debug` shows nothing of them.

use secrecy::{ExposeSecret, SecretString};

use super::token::Token;

/// The credentials of one request, as they were read or fetched for it.
#[derive(Clone, Debug)]
pub enum Key {
    /// An access key: each request is signed with it.
    AccessKey(AccessKey),
    /// A token of IAM: it is sent with each request.
    Token(Token),
}

/// An access key.
#[derive(Clone)]
pub struct AccessKey {
    /// Access key id.
    pub access: String,
    /// Secret access key.
    pub secret: SecretString,
    /// Security token of a temporary key.
    pub token: Option<SecretString>,
}

/// Shows nothing: the access key names an account, and is half of what a thief needs.
impl std::fmt::Debug for AccessKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("AccessKey").finish_non_exhaustive()
    }
}

/// A user of IAM.
#[derive(Clone)]
pub struct User {
    /// Name of the user.
    pub name: String,
    /// Password.
    pub password: SecretString,
    /// Name of the account (domain) that the user belongs to.
    pub domain: String,
}

/// Shows nothing.
impl std::fmt::Debug for User {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("User").finish_non_exhaustive()
    }
}

impl User {
    /// The parts of its identity in this process, see `Credentials::user_identity`.
    pub fn parts(&self) -> [&[u8]; 4] {
        [b"user", self.name.as_bytes(), self.domain.as_bytes(), self.password.expose_secret().as_bytes()]
    }
}
