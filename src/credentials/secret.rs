//! PURE: what a Secret holds, and how it is read from its bytes: an access key, or a user of IAM with a password. Never
//! both, and never half of one: which of two accounts is spent must not be guessed.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::jiff::Timestamp;

use crate::{
    cloud::auth::{AccessKey, User},
    credentials::error::CredentialsError,
};

/// A Secret's keys and values.
pub type Data = BTreeMap<String, Vec<u8>>;

/// Those of an access key.
const PAIR: [&str; 4] = ["accessKey", "secretKey", "securityToken", "expiresAt"];
/// Those of a user.
const USER: [&str; 3] = ["username", "password", "domainName"];
/// What is read of it.
pub const KEYS: [&str; 7] = [PAIR[0], PAIR[1], PAIR[2], PAIR[3], USER[0], USER[1], USER[2]];
/// Longest name or password, in bytes. The cloud's own are shorter.
const MAX: usize = 512;

/// What a Secret holds.
#[derive(Clone, Debug)]
pub enum Credential {
    /// An access key.
    AccessKey(AccessKey),
    /// A user who has to log in.
    User(User),
}

/// Reads what the bytes of a Secret hold.
pub fn parse(data: &Data, of: &str, now: Timestamp, needed: Duration) -> Result<Credential, CredentialsError> {
    let present = |keys: &[&'static str]| -> Vec<&'static str> {
        keys.iter().copied().filter(|key| data.contains_key(*key)).collect()
    };
    let (pair, user) = (present(&PAIR), present(&USER));
    if !pair.is_empty() && !user.is_empty() {
        return Err(CredentialsError::Mixed { of: of.to_owned(), keys: [pair, user].concat().join(", ") });
    }
    let reader = Reader { data, of };
    if user.is_empty() {
        reader.pair(now, needed).map(Credential::AccessKey)
    } else {
        reader.user().map(Credential::User)
    }
}

struct Reader<'a> {
    data: &'a Data,
    of: &'a str,
}

impl Reader<'_> {
    fn pair(&self, now: Timestamp, needed: Duration) -> Result<AccessKey, CredentialsError> {
        let access = self.required("accessKey", Self::of_key)?;
        let secret = self.required("secretKey", Self::of_key)?;
        if let Some(expiry) = self.for_header("expiresAt")? {
            let at: Timestamp = expiry
                .parse()
                .map_err(|_| self.invalid("expiresAt", "is not an instant such as 2026-12-01T18:00:00Z"))?;
            let left = at.as_second().saturating_sub(now.as_second());
            if left < i64::try_from(needed.as_secs()).unwrap_or(i64::MAX) {
                return Err(CredentialsError::Expired { of: self.of.to_owned(), at, needed: needed.as_secs() });
            }
        }
        let token = self.for_header("securityToken")?;
        if token.as_ref().is_some_and(|token| token.contains(['"', '\''])) {
            return Err(self.invalid("securityToken", "holds a quotation mark, which no token has"));
        }
        Ok(AccessKey { access, secret: secret.into(), token: token.map(Into::into) })
    }

    fn user(&self) -> Result<User, CredentialsError> {
        Ok(User {
            name: self.required("username", Self::for_body)?,
            password: self.required("password", Self::for_body)?.into(),
            domain: self.required("domainName", Self::for_body)?,
        })
    }

    fn required(
        &self,
        key: &'static str,
        read: impl FnOnce(&Self, &'static str) -> Result<Option<String>, CredentialsError>,
    ) -> Result<String, CredentialsError> {
        read(self, key)?.ok_or_else(|| self.invalid(key, "is missing"))
    }

    /// What the cloud makes keys of, and nothing else: a value with its quotes, or two in one, would be refused by the gateway, which
    /// uses up a generation and brings the key nearer to its lock.
    fn of_key(&self, key: &'static str) -> Result<Option<String>, CredentialsError> {
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

    /// All of it becomes part of a header.
    fn for_header(&self, key: &'static str) -> Result<Option<String>, CredentialsError> {
        let text = self.text(key)?;
        if text.as_ref().is_some_and(|text| !text.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(self.invalid(key, "holds a blank, a line break or another character that no key has"));
        }
        Ok(text)
    }

    /// It becomes part of a JSON text, where blanks and letters of any script have their place.
    fn for_body(&self, key: &'static str) -> Result<Option<String>, CredentialsError> {
        let text = self.text(key)?;
        match &text {
            Some(text) if text.chars().any(char::is_control) => {
                Err(self.invalid(key, "holds a line break or another character that cannot be typed"))
            }
            Some(text) if text.len() > MAX => Err(self.invalid(key, "is longer than 512 bytes")),
            _ => Ok(text),
        }
    }

    fn text(&self, key: &'static str) -> Result<Option<String>, CredentialsError> {
        let Some(bytes) = self.data.get(key) else { return Ok(None) };
        let text = std::str::from_utf8(bytes).map_err(|_| self.invalid(key, "is not text"))?;
        // What `echo` and editors append.
        let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
        if text.is_empty() { Err(self.invalid(key, "is empty")) } else { Ok(Some(text.to_owned())) }
    }

    fn invalid(&self, key: &'static str, what: &'static str) -> CredentialsError {
        CredentialsError::Invalid { of: self.of.to_owned(), key, what }
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
    fn a_user_may_have_letters_of_any_script_and_a_password_with_blanks() {
        let Credential::User(user) = read(&GOOD).unwrap() else { panic!("no user") };
        assert_eq!((user.name.as_str(), user.domain.as_str()), ("Jürgen 用户", "帐号"));
        assert_eq!(user.password.expose_secret(), "p ä\"\\ß");
        let shown = format!("{user:?} {:?}", Credential::User(user.clone()));
        assert!(!shown.contains("Jürgen") && !shown.contains("帐号"), "{shown}");
    }

    #[test]
    fn half_a_user_is_none_and_what_is_missing_is_named() {
        for missing in 0..3 {
            let mut half = GOOD.to_vec();
            let (key, _) = half.remove(missing);
            let error = read(&half).unwrap_err();
            assert_eq!(error.reason(), Some(Reason::CredentialsInvalid));
            assert!(error.to_string().contains(&format!("{key} is missing")), "{error}");
        }
    }

    #[test]
    fn keys_of_both_kinds_are_none_and_are_named_without_their_values() {
        for other in ["accessKey", "secretKey", "securityToken", "expiresAt"] {
            let mixed = [&GOOD[..], &[(other, "canary")]].concat();
            let error = read(&mixed).unwrap_err();
            assert_eq!(error.reason(), Some(Reason::CredentialsInvalid));
            let told = error.to_string();
            assert!(told.contains(&format!("{other}, username, password, domainName")), "{told}");
            assert!(!told.contains("canary"), "{told}");
        }
    }

    #[test]
    fn what_cannot_be_typed_or_is_too_long_is_refused() {
        let long = "x".repeat(MAX + 1);
        for bad in ["", "\n", "a\n\n", "a\0", "a\tb", "a\u{85}b", &long] {
            let error = read(&[GOOD[0], ("password", bad), GOOD[2]]).unwrap_err();
            assert!(matches!(error, CredentialsError::Invalid { key: "password", .. }), "{bad:?}: {error}");
        }
    }
}
