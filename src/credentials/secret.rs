//! PURE: parses the data of a Secret: an access key, or a user of IAM with a password. Never both, and never a part of one:
//! which of two accounts makes the call must not be guessed.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::jiff::Timestamp;

use crate::{
    cloud::auth::{AccessKey, User},
    credentials::error::CredentialsError,
};

/// The keys and values of a Secret.
pub type Data = BTreeMap<String, Vec<u8>>;

/// The keys for an access key.
const ACCESS_KEY: [&str; 4] = ["accessKey", "secretKey", "securityToken", "expiresAt"];
/// The keys for a user.
const USER: [&str; 3] = ["username", "password", "domainName"];
/// All keys that are read.
pub const KEYS: [&str; 7] = [ACCESS_KEY[0], ACCESS_KEY[1], ACCESS_KEY[2], ACCESS_KEY[3], USER[0], USER[1], USER[2]];
/// Maximum length of a name or password, in bytes. The cloud's own limits are lower.
const MAX_LENGTH: usize = 512;

/// The credential in a Secret.
#[derive(Clone, Debug)]
pub enum Credential {
    /// An access key.
    AccessKey(AccessKey),
    /// A user, who has to log in.
    User(User),
}

/// Parses the data of a Secret. `name`: its display name, for errors; `needed`: the minimum remaining lifetime of a
/// temporary key.
pub fn parse(data: &Data, name: &str, now: Timestamp, needed: Duration) -> Result<Credential, CredentialsError> {
    let present = |keys: &[&'static str]| -> Vec<&'static str> {
        keys.iter().copied().filter(|key| data.contains_key(*key)).collect()
    };
    let (access_key, user) = (present(&ACCESS_KEY), present(&USER));
    if !access_key.is_empty() && !user.is_empty() {
        let keys = [access_key, user].concat().join(", ");
        return Err(CredentialsError::Mixed { credentials: name.to_owned(), keys });
    }
    let reader = Reader { data, name };
    if user.is_empty() {
        reader.access_key(now, needed).map(Credential::AccessKey)
    } else {
        reader.user().map(Credential::User)
    }
}

struct Reader<'a> {
    data: &'a Data,
    name: &'a str,
}

impl Reader<'_> {
    fn access_key(&self, now: Timestamp, needed: Duration) -> Result<AccessKey, CredentialsError> {
        let access = self.required("accessKey", Self::key_text)?;
        let secret = self.required("secretKey", Self::key_text)?;
        if let Some(expiry) = self.header_text("expiresAt")? {
            let expires_at: Timestamp = expiry
                .parse()
                .map_err(|_| self.invalid("expiresAt", "is not an instant such as 2026-12-01T18:00:00Z"))?;
            let left = expires_at.as_second().saturating_sub(now.as_second());
            let needed = needed.as_secs();
            if left < i64::try_from(needed).unwrap_or(i64::MAX) {
                return Err(CredentialsError::Expired { credentials: self.name.to_owned(), expires_at, needed });
            }
        }
        let token = self.header_text("securityToken")?;
        if token.as_ref().is_some_and(|token| token.contains(['"', '\''])) {
            return Err(self.invalid("securityToken", "holds a quotation mark, which no token has"));
        }
        Ok(AccessKey { access, secret: secret.into(), token: token.map(Into::into) })
    }

    fn user(&self) -> Result<User, CredentialsError> {
        Ok(User {
            name: self.required("username", Self::body_text)?,
            password: self.required("password", Self::body_text)?.into(),
            domain: self.required("domainName", Self::body_text)?,
        })
    }

    fn required(
        &self,
        key: &'static str,
        read: impl FnOnce(&Self, &'static str) -> Result<Option<String>, CredentialsError>,
    ) -> Result<String, CredentialsError> {
        read(self, key)?.ok_or_else(|| self.invalid(key, "is missing"))
    }

    /// Only the characters that the cloud's keys consist of: the gateway would refuse a value with its quotes, or two
    /// values in one, which uses up a generation and counts towards the lock of the key.
    fn key_text(&self, key: &'static str) -> Result<Option<String>, CredentialsError> {
        let text = self.text(key)?;
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=_-".contains(&byte);
        if text.as_ref().is_some_and(|text| !text.bytes().all(is_known)) {
            return Err(self.invalid(
                key,
                "holds a character that no key has: only letters, digits and + / = _ - are used, no quotes or blanks",
            ));
        }
        Ok(text)
    }

    /// The whole value is sent in a header.
    fn header_text(&self, key: &'static str) -> Result<Option<String>, CredentialsError> {
        let text = self.text(key)?;
        if text.as_ref().is_some_and(|text| !text.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(self.invalid(key, "holds a blank, a line break or another character that no key has"));
        }
        Ok(text)
    }

    /// The value is sent in a JSON text, where blanks and letters of any script are valid.
    fn body_text(&self, key: &'static str) -> Result<Option<String>, CredentialsError> {
        let text = self.text(key)?;
        match &text {
            Some(text) if text.chars().any(char::is_control) => {
                Err(self.invalid(key, "holds a line break or another character that cannot be typed"))
            }
            Some(text) if text.len() > MAX_LENGTH => Err(self.invalid(key, "is longer than 512 bytes")),
            _ => Ok(text),
        }
    }

    fn text(&self, key: &'static str) -> Result<Option<String>, CredentialsError> {
        let Some(bytes) = self.data.get(key) else { return Ok(None) };
        let text = std::str::from_utf8(bytes).map_err(|_| self.invalid(key, "is not text"))?;
        // `echo` and editors append a line break.
        let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
        if text.is_empty() { Err(self.invalid(key, "is empty")) } else { Ok(Some(text.to_owned())) }
    }

    fn invalid(&self, key: &'static str, what: &'static str) -> CredentialsError {
        CredentialsError::Invalid { credentials: self.name.to_owned(), key, what }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    use crate::api::Reason;

    const GOOD: [(&str, &str); 3] = [("username", "Jürgen 用户"), ("password", "p ä\"\\ß"), ("domainName", "帐号\n")];

    fn read(pairs: &[(&str, &str)]) -> Result<Credential, CredentialsError> {
        let data = pairs.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
        parse(&data, "Secret team/dws", Timestamp::UNIX_EPOCH, Duration::from_secs(120))
    }

    #[test]
    fn parse_takes_a_user_with_letters_of_any_script_and_blanks() {
        let Credential::User(user) = read(&GOOD).unwrap() else { panic!("no user") };
        assert_eq!((user.name.as_str(), user.domain.as_str()), ("Jürgen 用户", "帐号"));
        assert_eq!(user.password.expose_secret(), "p ä\"\\ß");
        let shown = format!("{user:?} {:?}", Credential::User(user.clone()));
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
            assert!(matches!(error, CredentialsError::Invalid { key: "password", .. }), "{bad:?}: {error}");
        }
    }
}
