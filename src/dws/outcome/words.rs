//! PURE: what people are told of an answer. Texts of the gateway are recognised, never quoted; texts of the service
//! are quoted scrubbed.

use std::time::Duration;

use super::Body;
use crate::{resource::Reason, status::cut};

/// Length of a message, in characters.
const LIMIT: usize = 256;
/// Length of what is quoted of the service, in characters.
const QUOTE: usize = 80;

/// What is known of an answer.
pub struct Facts<'a> {
    pub status: u16,
    pub code: Option<&'a str>,
    pub text: &'a str,
    /// How far this host's clock is off, if that is too much.
    pub skew: Option<Duration>,
    pub body: &'a Body,
    /// The request bore a token of IAM, no signature.
    pub token: bool,
}

impl Facts<'_> {
    /// The answer comes from DWS itself: its signature was accepted, whatever else is wrong.
    pub fn is_from_service(&self) -> bool {
        self.code.is_some_and(|code| code.starts_with("DWS."))
    }

    fn is_success(&self) -> bool {
        (200..=299).contains(&self.status)
    }

    /// A refusal of the gateway for the signature's date.
    pub fn clock_is_off(&self) -> bool {
        !self.token && !self.is_from_service() && (self.skew.is_some() || self.says("signature expired"))
    }

    /// The gateway has locked the key for some minutes.
    pub fn is_locked(&self) -> bool {
        self.says("reach the limit")
    }

    /// The gateway did not take the token: a 401, or the code that says "The token must be updated".
    pub fn is_token_refused(&self) -> bool {
        let is_over = self.code.is_some_and(|code| code.ends_with(".0307"));
        self.token && !self.is_from_service() && (self.status == 401 || is_over)
    }

    fn says(&self, phrase: &str) -> bool {
        self.text.to_ascii_lowercase().contains(phrase)
    }
}

/// The code inside the text of the catch-all `DWS.9999`.
pub fn inner_code(text: &str) -> Option<&str> {
    text.match_indices("DWS.").find_map(|(start, _)| {
        let code = text.get(start..start + 8)?;
        let digits = code.get(4..)?;
        (digits.bytes().all(|digit| digit.is_ascii_digit()) && code != "DWS.9999").then_some(code)
    })
}

/// One to three short sentences: what happened, and what to do.
pub fn message(reason: Reason, facts: &Facts<'_>, secrets: &[&str]) -> String {
    // The advice stands at the end: where room is short, the quote gives way.
    let room = LIMIT.saturating_sub(sentence(reason, facts, &answer(facts, secrets, 0)).chars().count() + 2);
    cut(&sentence(reason, facts, &answer(facts, secrets, room.min(QUOTE))), LIMIT)
}

fn sentence(reason: Reason, facts: &Facts<'_>, answer: &str) -> String {
    let again = "then set spec.trigger to a new value";
    match reason {
        Reason::Delivered => {
            format!(
                "The cloud accepted the redistribution ({answer}). It runs for hours or days: follow it in the cloud's console"
            )
        }
        Reason::BadRequest => {
            format!("The cloud refused the request as wrong ({answer}). Correct the spec: each change asks again")
        }
        _ if facts.status < 500 && facts.is_token_refused() => format!(
            "The gateway did not take the token of the Secret's user ({answer}): it was ended early, or is for another region than the endpoint. The next call has a new one; set spec.trigger to a new value"
        ),
        Reason::AuthenticationFailed => {
            format!("{} ({answer}). Correct the Secret, {again}", why_unauthenticated(facts))
        }
        Reason::ClockSkew => {
            let off =
                facts.skew.map(|off| format!(", which is {} minutes off", off.as_secs() / 60)).unwrap_or_default();
            format!(
                "The gateway refused the date of the signature ({answer}). Correct the clock of the controller's node{off}, {again}"
            )
        }
        Reason::PermissionDenied => {
            format!("The account may not do this ({answer}). Grant it dws:redistribution:operate, {again}")
        }
        Reason::NotFound if facts.is_from_service() => {
            format!("The cloud found nothing under this address ({answer}). Correct the spec: each change asks again")
        }
        Reason::NotFound => format!(
            "The gateway does not know this call at this address ({answer}). Look at the region and its endpoint, {again}"
        ),
        Reason::TooManyRequests => format!(
            "The cloud refused this call because of too many ({answer}); others with this key wait. Set spec.trigger to a new value to ask again"
        ),
        Reason::ClusterNotFound => format!(
            "The cloud does not know this cluster ({answer}). Correct projectID, clusterID or region: each change asks again"
        ),
        Reason::ClusterNotReady => format!(
            "The cluster is in no state to be redistributed ({answer}). It must be waiting for it, after a scale-out without automatic redistribution; {again}"
        ),
        Reason::ServerError => format!(
            "The cloud failed ({answer}) and may have accepted all the same. Look at the cluster in its console; if it did not, set spec.trigger to a new value"
        ),
        Reason::OutcomeUnknown => {
            let what = match facts.body {
                Body::TooLarge if facts.is_success() => "but the body is larger than 64 KiB",
                Body::Broken if facts.is_success() => "but the body broke off",
                _ => "which proves no refusal",
            };
            format!(
                "The cloud answered {answer}, {what}: it may or may not have accepted. Look at the cluster in its console; if it did not, set spec.trigger to a new value"
            )
        }
        _ => format!("The cloud refused ({answer}). Mend what it says, {again}"),
    }
}

/// `HTTP 403 DWS.7023: Cluster status is not allowed`, with so many characters of the service's text.
fn answer(facts: &Facts<'_>, secrets: &[&str], quoted: usize) -> String {
    let code = facts
        .code
        .and_then(|code| super::identifier(code, 32, secrets))
        .map(|code| format!(" {code}"))
        .unwrap_or_default();
    let quote = if facts.is_from_service() { scrub(facts.text, secrets, quoted) } else { String::new() };
    let quote = if quote.is_empty() { quote } else { format!(": {quote}") };
    format!("HTTP {}{code}{quote}", facts.status)
}

fn why_unauthenticated(facts: &Facts<'_>) -> &'static str {
    if facts.is_locked() {
        "The gateway has locked the access key for some minutes, after too many wrong signatures"
    } else if facts.says("not exist") {
        "The gateway does not know the access key"
    } else if facts.says("signature fail") {
        "The gateway found the signature wrong: the secret key does not belong to the access key"
    } else if facts.says("token") {
        "The gateway refused the security token: it has expired, or belongs to another region"
    } else {
        "The cloud did not accept the credentials"
    }
}

/// A text that may be shown: no control characters, none of `secrets`, nothing that looks like a key, at most `limit`
/// characters.
pub fn scrub(text: &str, secrets: &[&str], limit: usize) -> String {
    let mut text: String = text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    // The longest first: one may be the beginning of another, whose rest would stay.
    let mut secrets: Vec<_> = secrets.iter().filter(|secret| !secret.is_empty()).collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    for secret in secrets {
        text = text.replace(secret, "***");
    }
    let words: Vec<_> = text.split_whitespace().map(|word| if looks_secret(word) { "***" } else { word }).collect();
    cut(&words.join(" "), limit).trim_end().to_owned()
}

/// Signed headers and long runs of key characters. An id with hyphens in its usual places is neither.
fn looks_secret(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    if ["access=", "signature=", "signedheaders=", "authorization", "x-security-token", "x-auth-token"]
        .iter()
        .any(|mark| lower.contains(mark))
    {
        return true;
    }
    word.split(|character: char| !(character.is_ascii_alphanumeric() || "+/=_-".contains(character))).any(|run| {
        run.len() >= 20 && !is_uuid(run) && run.bytes().any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
    })
}

fn is_uuid(run: &str) -> bool {
    let lengths: Vec<_> = run.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && run.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}
