//! PURE: reads the annotations under this product's prefix. Switches fail closed: an invalid value, and any unknown key
//! under the prefix, is an error that blocks the call.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;

use crate::api::text::truncate;

pub const PREFIX: &str = "dws.huaweicloud.com/";
/// `"true"`: no claim is made while it is set.
pub const SUSPEND: &str = "dws.huaweicloud.com/suspend";
/// RFC 3339: no claim is made after this instant.
pub const NOT_AFTER: &str = "dws.huaweicloud.com/not-after";
/// Name of the Secret to use, in the object's namespace.
pub const CREDENTIALS_SECRET: &str = "dws.huaweicloud.com/credentials-secret";

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Switches {
    pub suspended: bool,
    pub not_after: Option<Timestamp>,
    pub credentials_secret: Option<String>,
}

/// An annotation that blocks the call until it is corrected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("annotation {0}. Correct or remove it; no request is sent until then")]
pub struct InvalidAnnotation(String);

/// Reads all annotations of an object and ignores keys outside the prefix.
pub fn read(annotations: Option<&BTreeMap<String, String>>) -> Result<Switches, InvalidAnnotation> {
    let mut switches = Switches::default();
    for (key, value) in annotations.into_iter().flatten().filter(|(key, _)| key.starts_with(PREFIX)) {
        match key.as_str() {
            SUSPEND => {
                switches.suspended = match value.as_str() {
                    "true" => true,
                    "false" => false,
                    _ => return Err(unreadable(SUSPEND, value, "\"true\" or \"false\"")),
                }
            }
            NOT_AFTER => {
                let instant = rfc3339(value).ok_or_else(|| {
                    unreadable(NOT_AFTER, value, "an instant in RFC 3339 such as 2026-12-01T18:00:00Z")
                })?;
                switches.not_after = Some(instant);
            }
            CREDENTIALS_SECRET if is_object_name(value) => switches.credentials_secret = Some(value.clone()),
            CREDENTIALS_SECRET => {
                return Err(unreadable(CREDENTIALS_SECRET, value, "the name of a Secret in the same namespace"));
            }
            _ => {
                return Err(InvalidAnnotation(format!(
                    "{} is not known; known are {SUSPEND}, {NOT_AFTER} and {CREDENTIALS_SECRET}",
                    truncate(key, 64)
                )));
            }
        }
    }
    Ok(switches)
}

fn unreadable(key: &str, value: &str, expected: &str) -> InvalidAnnotation {
    InvalidAnnotation(format!("{key} is {:?}, but must be {expected}", truncate(value, 64)))
}

/// RFC 3339 only. The parser also accepts looser forms (a blank for the T, an offset without minutes), which other tools
/// read differently or not at all; a safety switch must not depend on the reader.
fn rfc3339(value: &str) -> Option<Timestamp> {
    let (date_time, offset) = match value.strip_suffix('Z') {
        Some(rest) => (rest, None),
        None => value.split_at_checked(value.len().checked_sub(6)?).map(|(rest, offset)| (rest, Some(offset)))?,
    };
    let digits = |text: &str, shape: &str| {
        text.len() == shape.len()
            && text
                .chars()
                .zip(shape.chars())
                .all(|(have, want)| if want == '0' { have.is_ascii_digit() } else { have == want })
    };
    let (seconds, fraction) = date_time.split_once('.').unwrap_or((date_time, "0"));
    let well_formed = digits(seconds, "0000-00-00T00:00:00")
        && !fraction.is_empty()
        && fraction.chars().all(|digit| digit.is_ascii_digit())
        && offset.is_none_or(|offset| digits(offset, "+00:00") || digits(offset, "-00:00"));
    well_formed.then(|| value.parse().ok()).flatten()
}

/// A DNS subdomain, as the API server requires for a Secret's name: any other name could not exist, and could escape the
/// path.
fn is_object_name(name: &str) -> bool {
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_one(key: &str, value: &str) -> Result<Switches, InvalidAnnotation> {
        read(Some(&BTreeMap::from([(key.to_owned(), value.to_owned())])))
    }

    #[test]
    fn read_ignores_keys_outside_the_prefix() {
        assert_eq!(read_one("example.com/suspend", "maybe"), Ok(Switches::default()));
        assert_eq!(read(None), Ok(Switches::default()));
    }

    #[test]
    fn unknown_key_under_the_prefix_blocks_and_names_the_known_keys() {
        for key in ["suspended", "Suspend", "not_after", "notafter", "not-After", "x", ""] {
            let error = read_one(&format!("{PREFIX}{key}"), "true").unwrap_err().to_string();
            for known in [SUSPEND, NOT_AFTER, CREDENTIALS_SECRET] {
                assert!(error.contains(known), "{error}");
            }
        }
    }

    #[test]
    fn invalid_switch_value_blocks_the_call() {
        for (key, value) in [
            (SUSPEND, "maybe"),
            (SUSPEND, "True"),
            (SUSPEND, ""),
            (NOT_AFTER, "tomorrow"),
            (NOT_AFTER, "2026-12-01"),
            (NOT_AFTER, "2026-12-01T18:00:00"),
            (NOT_AFTER, "2026-12-01 18:00:00Z"),
            (NOT_AFTER, "2026-12-01T18:00:00+01"),
            (NOT_AFTER, "2026-13-01T18:00:00Z"),
            (NOT_AFTER, "2026-12-01T18:00:00.Z"),
            (NOT_AFTER, "é6:00"),
            (CREDENTIALS_SECRET, ""),
            (CREDENTIALS_SECRET, "../other"),
            (CREDENTIALS_SECRET, "Upper"),
            (CREDENTIALS_SECRET, "a/b"),
        ] {
            let error = read_one(key, value).unwrap_err().to_string();
            assert!(error.starts_with(&format!("annotation {key} is {value:?}, but must be ")), "{error}");
        }
    }

    #[test]
    fn valid_switches_are_read() {
        assert!(read_one(SUSPEND, "true").unwrap().suspended);
        assert!(!read_one(SUSPEND, "false").unwrap().suspended);
        for value in ["2026-12-01T18:00:00Z", "2026-12-01T19:00:00+01:00", "2026-12-01T18:00:00.000Z"] {
            let not_after = read_one(NOT_AFTER, value).unwrap().not_after.unwrap();
            assert_eq!(not_after.to_string(), "2026-12-01T18:00:00Z");
        }
        assert_eq!(read_one(CREDENTIALS_SECRET, "dws.prod-1").unwrap().credentials_secret.unwrap(), "dws.prod-1");
    }

    proptest! {
        #[test]
        fn any_annotations_are_read_or_block_the_call(
            others in proptest::collection::btree_map("[a-z]{1,8}(\\.[a-z]{2,5}/)?[a-z-]{0,12}", ".{0,40}", 0..4),
            key in prop_oneof!["suspend|not-after|credentials-secret", "[ -~]{0,20}", ".{0,8}"],
            value in prop_oneof!["true|false", "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", "[a-z0-9.-]{0,12}", ".{0,80}"],
        ) {
            prop_assert_eq!(read(Some(&others)), Ok(Switches::default()), "keys of others never matter");
            let mut annotations = others;
            annotations.insert(format!("{PREFIX}{key}"), value.clone());
            let result = read(Some(&annotations));
            match key.as_str() {
                "suspend" => match value.as_str() {
                    "true" | "false" => prop_assert_eq!(result.unwrap().suspended, value == "true"),
                    _ => prop_assert!(result.is_err()),
                },
                // The parsed instant equals the written one, in a form that all tools read alike.
                "not-after" => if let Ok(switches) = result {
                    prop_assert_eq!(switches.not_after, value.parse().ok());
                    prop_assert!(switches.not_after.is_some() && value.contains('T'));
                },
                // A name cannot escape its path.
                "credentials-secret" => if let Ok(switches) = result {
                    prop_assert_eq!(switches.credentials_secret.as_deref(), Some(value.as_str()));
                    prop_assert!(!value.is_empty() && !value.contains(['/', '%', '?', '#', '\\']));
                },
                _ => {
                    let error = result.unwrap_err().to_string();
                    prop_assert!(error.contains(SUSPEND) && error.chars().count() < 1000, "{}", error);
                }
            }
        }
    }
}
