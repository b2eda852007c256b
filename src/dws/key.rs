//! PURE: a key, how it is read from the bytes of a Secret, and a name for it that does not show it.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::jiff::Timestamp;
use secrecy::SecretString;

use super::credentials::error::CredentialsError;

/// A Secret's keys and values.
pub type Data = BTreeMap<String, Vec<u8>>;

/// What is read of it.
pub const KEYS: [&str; 4] = ["accessKey", "secretKey", "securityToken", "expiresAt"];

/// A key, as read for one call.
#[derive(Clone)]
pub struct Key {
    /// Access key id.
    pub access: String,
    /// Secret access key.
    pub secret: SecretString,
    /// Security token of a temporary key.
    pub token: Option<SecretString>,
}

/// Shows nothing: the access key names an account, and is half of what a thief needs.
impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Key").finish_non_exhaustive()
    }
}

/// A key without showing it: a digest of its values and the endpoint under a random key of this process.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyIdentity([u8; 32]);

impl std::fmt::Debug for KeyIdentity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&hex::encode(self.0.get(..4).unwrap_or_default()))
    }
}

impl From<[u8; 32]> for KeyIdentity {
    fn from(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

/// PURE: a key from the bytes of a Secret.
pub fn parse(data: &Data, of: &str, now: Timestamp, needed: Duration) -> Result<Key, CredentialsError> {
    let invalid = |key, what| CredentialsError::Invalid { of: of.to_owned(), key, what };
    let text = |key: &'static str| -> Result<Option<String>, CredentialsError> {
        let Some(bytes) = data.get(key) else { return Ok(None) };
        let text = std::str::from_utf8(bytes).map_err(|_| invalid(key, "is not text"))?;
        // What `echo` and editors append.
        let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
        if text.is_empty() {
            return Err(invalid(key, "is empty"));
        }
        // All of it becomes part of a header.
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid(key, "holds a blank, a line break or another character that no key has"));
        }
        Ok(Some(text.to_owned()))
    };
    let access = text("accessKey")?.ok_or_else(|| invalid("accessKey", "is missing"))?;
    let secret = text("secretKey")?.ok_or_else(|| invalid("secretKey", "is missing"))?;
    if access.contains(',') {
        return Err(invalid("accessKey", "holds a comma, which no access key has"));
    }
    if let Some(expiry) = text("expiresAt")? {
        let at: Timestamp =
            expiry.parse().map_err(|_| invalid("expiresAt", "is not an instant such as 2026-12-01T18:00:00Z"))?;
        let left = at.as_second().saturating_sub(now.as_second());
        if left < i64::try_from(needed.as_secs()).unwrap_or(i64::MAX) {
            return Err(CredentialsError::Expired { of: of.to_owned(), at, needed: needed.as_secs() });
        }
    }
    Ok(Key { access, secret: secret.into(), token: text("securityToken")?.map(Into::into) })
}
