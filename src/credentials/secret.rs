//! PURE: parses the data of a Secret: an access key, or a user of IAM with a password. Never both, and never a part of one:
//! which of two accounts makes the call must not be guessed.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::jiff::Timestamp;

use crate::{
    api::Reason,
    cloud::auth::{AccessKey, User},
    protocol::annotations::CREDENTIALS_SECRET,
};

pub type Data = BTreeMap<String, Vec<u8>>;

const ACCESS_KEY: [&str; 4] = ["accessKey", "secretKey", "securityToken", "expiresAt"];
const USER: [&str; 3] = ["username", "password", "domainName"];
pub const KEYS: [&str; 7] = [ACCESS_KEY[0], ACCESS_KEY[1], ACCESS_KEY[2], ACCESS_KEY[3], USER[0], USER[1], USER[2]];
/// Of a name or password, in bytes. The cloud's own limits are lower.
const MAX_LENGTH: usize = 512;

/// Each begins with the source, as the subject, and names the remedy, never a value.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CredentialsError {
    #[error(
        "{0} does not exist. Create it with the keys accessKey and secretKey, or username, password and domainName, or name another with annotation {CREDENTIALS_SECRET}"
    )]
    NotFound(String),
    /// The key inside it, and what is wrong with it.
    #[error(
        "{0}: {1} {2}. Correct it; expected are accessKey and secretKey, for temporary keys also securityToken and expiresAt; or username, password and domainName of a user of IAM"
    )]
    Invalid(String, &'static str, &'static str),
    #[error(
        "{0} holds {1}, which belong to two kinds of credentials. Keep either accessKey and secretKey (with securityToken and expiresAt if temporary), or username, password and domainName"
    )]
    Mixed(String, String),
    #[error(
        "{0} holds a user of IAM, and the controller knows no IAM for region {1}: its endpoint is given by --endpoint, or its IAM is not published. Have the administrator name it with --iam-endpoint {1}=https://..., or use a Secret with accessKey and secretKey"
    )]
    NoIam(String, String),
    #[error(
        "{0} cannot be read: {1}. Give the controller's user the right to read the files of --default-credentials-dir"
    )]
    Unreadable(String, String),
    #[error(
        "{0} may not be read by the controller. Grant its ServiceAccount get on this Secret, or name another with annotation {CREDENTIALS_SECRET}"
    )]
    Forbidden(String),
    #[error("{0} expires at {1}, which is too soon for a call that may take {2} seconds. Renew it")]
    Expired(String, Timestamp, u64),
    /// The API server did not answer: transient, proves nothing about the object.
    #[error("{0} cannot be read now: {1}")]
    Unavailable(String, String),
}

impl CredentialsError {
    /// `None`: a transient error, reported as `CredentialsInvalid` once three tries have failed, with the remark that
    /// the operator retries.
    pub const fn reason(&self) -> Option<Reason> {
        match self {
            Self::NotFound(_) => Some(Reason::CredentialsNotFound),
            Self::Invalid(..) | Self::Mixed(..) | Self::NoIam(..) | Self::Unreadable(..) => {
                Some(Reason::CredentialsInvalid)
            }
            Self::Forbidden(_) => Some(Reason::CredentialsForbidden),
            Self::Expired(..) => Some(Reason::CredentialsExpired),
            Self::Unavailable(..) => None,
        }
    }
}

#[derive(Clone, Debug)]
pub enum Account {
    AccessKey(AccessKey),
    User(User),
}

/// `name`: its display name, for errors; `needed`: the minimum remaining lifetime of a temporary key.
pub fn parse(data: &Data, name: &str, now: Timestamp, needed: Duration) -> Result<Account, CredentialsError> {
    let present = |keys: &[&'static str]| -> Vec<&'static str> {
        keys.iter().copied().filter(|key| data.contains_key(*key)).collect()
    };
    let (access_key, user) = (present(&ACCESS_KEY), present(&USER));
    if !access_key.is_empty() && !user.is_empty() {
        let keys = [access_key, user].concat().join(", ");
        return Err(CredentialsError::Mixed(name.to_owned(), keys));
    }
    let reader = Reader { data, name };
    if user.is_empty() {
        reader.access_key(now, needed).map(Account::AccessKey)
    } else {
        reader.user().map(Account::User)
    }
}

struct Reader<'a> {
    data: &'a Data,
    name: &'a str,
}

impl Reader<'_> {
    fn access_key(&self, now: Timestamp, needed: Duration) -> Result<AccessKey, CredentialsError> {
        let access = self.required("accessKey", key_problem)?;
        let secret = self.required("secretKey", key_problem)?;
        if let Some(expiry) = self.text("expiresAt", header_problem)? {
            let expires_at: Timestamp = expiry
                .parse()
                .map_err(|_| self.invalid("expiresAt", "is not an instant such as 2026-12-01T18:00:00Z"))?;
            let left = expires_at.as_second().saturating_sub(now.as_second());
            let needed = needed.as_secs();
            if left < i64::try_from(needed).unwrap_or(i64::MAX) {
                return Err(CredentialsError::Expired(self.name.to_owned(), expires_at, needed));
            }
        }
        let token = self.text("securityToken", header_problem)?;
        if token.as_ref().is_some_and(|token| token.contains(['"', '\''])) {
            return Err(self.invalid("securityToken", "holds a quotation mark, which no token has"));
        }
        Ok(AccessKey { access, secret: secret.into(), token: token.map(Into::into) })
    }

    fn user(&self) -> Result<User, CredentialsError> {
        Ok(User {
            name: self.required("username", body_problem)?,
            password: self.required("password", body_problem)?.into(),
            domain: self.required("domainName", body_problem)?,
        })
    }

    fn required(&self, key: &'static str, problem: Problem) -> Result<String, CredentialsError> {
        self.text(key, problem)?.ok_or_else(|| self.invalid(key, "is missing"))
    }

    fn text(&self, key: &'static str, problem: Problem) -> Result<Option<String>, CredentialsError> {
        let Some(bytes) = self.data.get(key) else { return Ok(None) };
        let text = std::str::from_utf8(bytes).map_err(|_| self.invalid(key, "is not text"))?;
        // `echo` and editors append a line break.
        let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
        match problem(text) {
            _ if text.is_empty() => Err(self.invalid(key, "is empty")),
            Some(what) => Err(self.invalid(key, what)),
            None => Ok(Some(text.to_owned())),
        }
    }

    fn invalid(&self, key: &'static str, what: &'static str) -> CredentialsError {
        CredentialsError::Invalid(self.name.to_owned(), key, what)
    }
}

/// What is wrong with a value.
type Problem = fn(&str) -> Option<&'static str>;

/// Only the characters that the cloud's keys consist of: the gateway would refuse a value with its quotes, or two values in
/// one, which uses up a generation and counts towards the lock of the key.
fn key_problem(text: &str) -> Option<&'static str> {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=_-".contains(&byte);
    (!text.bytes().all(is_known)).then_some(
        "holds a character that no key has: only letters, digits and + / = _ - are used, no quotes or blanks",
    )
}

/// The whole value is sent in a header.
fn header_problem(text: &str) -> Option<&'static str> {
    (!text.bytes().all(|byte| byte.is_ascii_graphic()))
        .then_some("holds a blank, a line break or another character that no key has")
}

/// The value is sent in a JSON text, where blanks and letters of any script are valid.
fn body_problem(text: &str) -> Option<&'static str> {
    if text.chars().any(char::is_control) {
        Some("holds a line break or another character that cannot be typed")
    } else {
        (text.len() > MAX_LENGTH).then_some("is longer than 512 bytes")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    const GOOD: [(&str, &str); 3] = [("username", "Jürgen 用户"), ("password", "p ä\"\\ß"), ("domainName", "帐号\n")];

    fn read(pairs: &[(&str, &str)]) -> Result<Account, CredentialsError> {
        let data = pairs.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
        parse(&data, "Secret team/dws", Timestamp::UNIX_EPOCH, Duration::from_secs(120))
    }

    #[test]
    fn parse_takes_a_user_with_letters_of_any_script_and_blanks() {
        let Account::User(user) = read(&GOOD).unwrap() else { panic!("no user") };
        assert_eq!((user.name.as_str(), user.domain.as_str()), ("Jürgen 用户", "帐号"));
        assert_eq!(user.password.expose_secret(), "p ä\"\\ß");
        let shown = format!("{user:?} {:?}", Account::User(user.clone()));
        assert!(!shown.contains("Jürgen") && !shown.contains("帐号"), "{shown}");
    }

    #[test]
    fn parse_refuses_an_incomplete_user_and_names_the_missing_key() {
        for missing in 0..3 {
            let mut half = GOOD.to_vec();
            let (key, _) = half.remove(missing);
            let error = read(&half).unwrap_err();
            assert_eq!(error.reason(), Some(Reason::CredentialsInvalid));
            assert!(error.to_string().contains(&format!("{key} is missing")), "{error}");
        }
    }

    #[test]
    fn parse_refuses_keys_of_both_kinds_and_shows_no_value() {
        for other in ["accessKey", "secretKey", "securityToken", "expiresAt"] {
            let mixed = [&GOOD[..], &[(other, "canary")]].concat();
            let error = read(&mixed).unwrap_err();
            assert_eq!(error.reason(), Some(Reason::CredentialsInvalid));
            let message = error.to_string();
            assert!(message.contains(&format!("{other}, username, password, domainName")), "{message}");
            assert!(!message.contains("canary"), "{message}");
        }
    }

    #[test]
    fn parse_refuses_a_password_with_control_characters_or_too_long() {
        let long = "x".repeat(MAX_LENGTH + 1);
        for bad in ["", "\n", "a\n\n", "a\0", "a\tb", "a\u{85}b", &long] {
            let error = read(&[GOOD[0], ("password", bad), GOOD[2]]).unwrap_err();
            assert!(matches!(error, CredentialsError::Invalid(_, "password", _)), "{bad:?}: {error}");
        }
    }
}
