//! PURE: the messages about answers. Texts of the gateway are recognized, never quoted; texts of the service are quoted
//! scrubbed.

use std::time::Duration;

use super::{
    Body, Reply, RequestKind,
    body::{Contents, inner_code},
};
use crate::api::{Reason, text::truncate};

/// In characters, as the others.
const MAX_MESSAGE: usize = 256;
const MAX_QUOTE: usize = 80;
const MAX_HOST: usize = 48;
/// The first bytes of a gzip stream.
const GZIP: &[u8] = b"\x1f\x8b";

pub struct Facts<'a> {
    pub request: RequestKind,
    pub reply: &'a Reply,
    pub contents: &'a Contents,
    /// How far this host's clock is off, if that is more than the gateway tolerates.
    pub skew: Option<Duration>,
}

impl Facts<'_> {
    /// The code; for the catch-all the specific one in its text.
    pub fn code(&self) -> Option<&str> {
        match self.contents.code()? {
            "DWS.9999" => inner_code(self.text(), "DWS.9999").or(Some("DWS.9999")),
            code => Some(code),
        }
    }

    pub fn text(&self) -> &str {
        self.contents.text().unwrap_or_default()
    }

    pub fn is_whole(&self) -> bool {
        matches!(self.reply.body, Body::Complete(_))
    }

    /// A code would have been found: the whole body has arrived, and is neither compressed nor truncated JSON.
    pub fn is_read(&self) -> bool {
        self.is_whole() && !self.contents.is_truncated && !self.is_compressed()
    }

    fn is_compressed(&self) -> bool {
        let encoding = self.reply.encoding.as_deref().map(str::trim).filter(|encoding| !encoding.is_empty());
        let bytes = self.reply.body.bytes();
        let is_encoded = encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity"));
        bytes.starts_with(GZIP) || (is_encoded && !bytes.is_empty())
    }

    /// The answer is from DWS itself: the gateway accepted the signature.
    pub fn is_from_service(&self) -> bool {
        self.contents.code().is_some_and(|code| code.starts_with("DWS."))
    }

    /// The answer is from the gateway, not from a service behind it: by its code, or because no code of DWS can be lost.
    pub fn is_gateways_own(&self) -> bool {
        !self.contents.mentions_service()
            && (self.contents.code().is_some() || (self.is_read() && self.contents.is_text()))
    }

    fn is_success(&self) -> bool {
        (200..=299).contains(&self.reply.status)
    }

    /// The gateway refused the date of the signature.
    pub fn clock_is_off(&self) -> bool {
        let is_skewed = self.skew.is_some() || self.text_contains("signature expired");
        !self.request.with_token && !self.contents.mentions_service() && is_skewed
    }

    /// The gateway has locked the key for some minutes.
    pub fn is_locked(&self) -> bool {
        self.text_contains("reach the limit")
    }

    /// The gateway refused the token: a 401, or the code that means "The token must be updated".
    pub fn is_token_refused(&self) -> bool {
        let is_over = self.contents.code().is_some_and(|code| code.ends_with(".0307"));
        self.request.with_token && self.is_gateways_own() && (self.reply.status == 401 || is_over)
    }

    fn text_contains(&self, phrase: &str) -> bool {
        self.text().to_ascii_lowercase().contains(phrase)
    }
}

/// One to three short sentences: what happened, and what to do.
pub fn message(reason: Reason, facts: &Facts<'_>, secrets: &[&str]) -> String {
    // The advice is at the end of the message: if space is short, the quote is truncated instead.
    let length = sentence(reason, facts, &answer(facts, secrets, 0), secrets).chars().count() + 2;
    let quoted = MAX_MESSAGE.saturating_sub(length).min(MAX_QUOTE);
    truncate(&sentence(reason, facts, &answer(facts, secrets, quoted), secrets), MAX_MESSAGE)
}

fn sentence(reason: Reason, facts: &Facts<'_>, answer: &str, secrets: &[&str]) -> String {
    let (what, advice) = match reason {
        Reason::Delivered => {
            ("The cloud accepted the redistribution", "It runs for hours or days: follow it in the cloud's console")
        }
        Reason::OutcomeUnknown => {
            let why = why_unknown(facts, secrets);
            return format!(
                "The cloud answered {answer}, {why}: it may or may not have accepted. Check the cloud's console; only if no redistribution began there, set spec.trigger to a new value"
            );
        }
        Reason::ServerError => (
            "The cloud failed, and may still have accepted",
            "Check the cluster in the cloud's console; only if no redistribution began there, set spec.trigger to a new value",
        ),
        _ if facts.is_token_refused() => (
            "The gateway refused the token of the Secret's user",
            "It ended early, or is for another region than the endpoint. The next call has a new token; set spec.trigger to a new value",
        ),
        Reason::AuthenticationFailed if !facts.is_gateways_own() && !facts.is_from_service() => (
            "The cloud refused, perhaps because of the credentials",
            "Check the Secret and clusterID, then set spec.trigger to a new value",
        ),
        Reason::AuthenticationFailed => {
            (why_unauthenticated(facts), "Correct the Secret, then set spec.trigger to a new value")
        }
        Reason::ClockSkew => {
            let off = facts.skew.map(|off| format!(", which is {} minutes off", off.as_secs() / 60));
            return format!(
                "The gateway refused the date of the signature ({answer}). Correct the clock of the controller's node{}, then set spec.trigger to a new value",
                off.unwrap_or_default()
            );
        }
        Reason::PermissionDenied => {
            ("The account may not do this", "Grant it dws:redistribution:operate, then set spec.trigger to a new value")
        }
        Reason::BadRequest => (
            "The cloud refused the request as invalid",
            "Correct the spec: each change of the spec sends a new request",
        ),
        Reason::NotFound if facts.is_from_service() => {
            ("The cloud found nothing at this address", "Correct the spec: each change of the spec sends a new request")
        }
        Reason::NotFound => (
            "The gateway does not know this call at this address",
            "Check the region and its endpoint, then set spec.trigger to a new value",
        ),
        Reason::TooManyRequests => (
            "The cloud refused this call because of its rate limit",
            "Other calls with this key wait. Set spec.trigger to a new value to send a new request",
        ),
        Reason::ClusterNotFound => (
            "The cloud does not know this cluster",
            "Correct projectID, clusterID or region: each change of the spec sends a new request",
        ),
        Reason::ClusterNotReady => (
            "The cluster cannot be redistributed now",
            "It must be waiting for a redistribution, after a scale-out without an automatic one; then set spec.trigger to a new value",
        ),
        _ => ("The cloud refused", "Fix the cause, then set spec.trigger to a new value"),
    };
    format!("{what} ({answer}). {advice}")
}

/// `HTTP 403 DWS.7023: Cluster status is not allowed`, with at most `quoted` characters of the service's text.
fn answer(facts: &Facts<'_>, secrets: &[&str], quoted: usize) -> String {
    let code = facts
        .contents
        .shown_code()
        .and_then(|code| super::identifier(code, 32, secrets))
        .map(|code| format!(" {code}"))
        .unwrap_or_default();
    let quote = if facts.is_from_service() { scrub(facts.text(), secrets, quoted) } else { String::new() };
    let quote = if quote.is_empty() { quote } else { format!(": {quote}") };
    format!("HTTP {}{code}{quote}", facts.reply.status)
}

fn why_unknown(facts: &Facts<'_>, secrets: &[&str]) -> String {
    let why = match facts.reply.body {
        _ if (300..=399).contains(&facts.reply.status) => return redirect(facts.reply.redirect.as_deref(), secrets),
        _ if facts.is_success() && facts.contents.has_different_codes() => "with several error codes",
        _ if facts.contents.code().is_some() => "which proves no refusal",
        Body::TooLarge(_) => "but the body is larger than 64 KiB",
        Body::Broken(_) => "but the body broke off",
        Body::Complete(_) if facts.is_compressed() => "but the body is compressed",
        Body::Complete(_) if facts.contents.is_truncated => "but the body ends in the middle",
        Body::Complete(_) if facts.is_success() => "but the body does not say that it accepted",
        Body::Complete(_) => "which proves no refusal",
    };
    why.to_owned()
}

/// The target of a redirect: the host only, since the rest of the address may hold anything.
fn redirect(host: Option<&str>, secrets: &[&str]) -> String {
    // A host is in lower case, whatever the case of a secret that it echoes.
    let secrets: Vec<_> = secrets.iter().map(|secret| secret.to_ascii_lowercase()).collect();
    let secrets: Vec<_> = secrets.iter().map(String::as_str).collect();
    let to = match super::keep(&host.unwrap_or_default().to_ascii_lowercase(), ".-_:[]", &secrets) {
        Some(host) if host.is_empty() => "no host that can be read".to_owned(),
        Some(host) => truncate(&host, MAX_HOST),
        None => "***".to_owned(),
    };
    format!("a redirect to {to}, which is not followed")
}

/// Phrases in the gateway's texts, and what they mean.
const REFUSALS: [(&str, &str); 4] = [
    ("reach the limit", "The gateway has locked the access key for some minutes, after too many wrong signatures"),
    ("not exist", "The gateway does not know the access key"),
    ("signature fail", "The gateway found the signature wrong: the secret key does not belong to the access key"),
    ("token", "The gateway refused the security token: it has expired, or belongs to another region"),
];

fn why_unauthenticated(facts: &Facts<'_>) -> &'static str {
    let known = REFUSALS.iter().find(|(phrase, _)| facts.text_contains(phrase));
    known.map_or("The cloud did not accept the credentials", |(_, why)| why)
}

/// A text that may be shown: without control and invisible characters, `secrets` and words that look like a key; at most
/// `limit` characters.
pub fn scrub(text: &str, secrets: &[&str], limit: usize) -> String {
    // Invisible characters are removed before the search for secrets, since one could be in the middle of a secret.
    let visible = text.chars().filter(|character| !is_invisible(*character));
    let mut text: String = visible.map(|character| if character.is_control() { ' ' } else { character }).collect();
    // The longest first: one secret may be the beginning of another, whose rest would remain.
    let mut secrets: Vec<_> = secrets.iter().filter(|secret| !secret.is_empty()).collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    for secret in secrets {
        text = text.replace(secret, "***");
    }
    let words: Vec<_> = text.split_whitespace().map(|word| if looks_secret(word) { "***" } else { word }).collect();
    truncate(&words.join(" "), limit).trim_end().to_owned()
}

/// Invisible, or changes the text direction: people would not read the text that is stored.
const fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
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
