//! PURE: what an answer, or its absence, proves. A complete response head is an answer; a failed connection is "not
//! sent"; everything else is "unknown". In a 2xx or 4xx the cloud's error code then decides before the HTTP status; any
//! other status proves neither acceptance nor refusal. A 2xx counts as accepted only if its body holds no sign of a
//! failure, and a 4xx without a code as refused only if it was read whole.
//!
//! This module must not quote the gateway: its texts echo the signed headers and the access key.

pub(super) mod body;
mod messages;
mod scan;

use std::time::Duration;

use k8s_openapi::jiff::{Timestamp, fmt::rfc2822};

pub use self::messages::scrub;
use crate::api::{Reason, text::truncate};

/// The gateway refuses a signature whose date is further off than this.
const CLOCK_WINDOW: Duration = Duration::from_secs(15 * 60);
/// Wait after a 429 that names none.
const DEFAULT_WINDOW: Duration = Duration::from_secs(60);
/// A 429 with 0 seconds or a time in the past does not allow an immediate retry.
const MIN_WINDOW: Duration = Duration::from_secs(1);
const MAX_WINDOW: Duration = Duration::from_secs(15 * 60);

#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The head of an answer arrived.
    Answered(Answer),
    /// Proven: no byte of the request was sent.
    NotSent { reason: Reason, message: String },
    /// The cloud may have received the request.
    Unknown { message: String },
}

impl Outcome {
    /// The metric label, one of a fixed set.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Answered(_) => "answered",
            Self::NotSent { .. } => "not_sent",
            Self::Unknown { .. } => "unknown",
        }
    }

    pub const fn status_code(&self) -> Option<u16> {
        match self {
            Self::Answered(answer) => Some(answer.status_code),
            Self::NotSent { .. } | Self::Unknown { .. } => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status_code: u16,
    /// The cloud's error code; letters, digits, dots, hyphens and underscores, at most 64.
    pub error_code: Option<String>,
    /// The cloud's id of the request; the same characters, at most 128.
    pub request_id: Option<String>,
    pub reason: Reason,
    /// What happened and what to do; at most 256 characters, no secrets.
    pub message: String,
    /// What the answer proves about the key.
    pub key_effect: KeyEffect,
}

/// What an answer proves about the key of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyEffect {
    /// The service itself answered: the gateway accepted the signature.
    Good,
    /// Nothing: the signature may not have been checked.
    Neutral,
    /// The gateway's 401: five of these lock the key.
    RejectedByGateway,
    /// The gateway's 401 for a key that it has locked for some minutes.
    LockedByGateway,
    /// The gateway's 401 because of the date of the signature only.
    ClockSkew,
    /// The gateway's 401 for a token. Proves nothing about the password.
    TokenRefused,
    /// The same for a token that worked before: a new one is fetched.
    TokenEnded,
    /// The same for a token that was known to have ended: proves nothing about the next one.
    TokenAlreadyEnded,
    /// 429: no call with this key for this time.
    Throttled(Duration),
}

/// The body of an answer, as far as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    Complete(Vec<u8>),
    /// The part that arrived before the connection broke or the timeout passed.
    Broken(Vec<u8>),
    /// The beginning of a body that is larger than the limit.
    TooLarge(Vec<u8>),
}

impl Body {
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Complete(bytes) | Self::Broken(bytes) | Self::TooLarge(bytes) => bytes,
        }
    }
}

/// An answer as it was read from the wire.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub date: Option<String>,
    pub retry_after: Option<String>,
    pub request_id: Option<String>,
    pub encoding: Option<String>,
    /// Host of header `Location`, with its port if it names one.
    pub redirect: Option<String>,
    pub body: Body,
}

/// The kind of request that an answer belongs to; by default a signed call.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestKind {
    /// With a token, which has no date and no signature.
    pub with_token: bool,
    /// A read, whose answer may show error codes and texts of the cluster that are not its own.
    pub only_read: bool,
}

/// Classifies the answer to a signed call. `secrets` never appear in the result; `now` is this host's clock.
pub fn classify(reply: &Reply, secrets: &[&str], now: Timestamp) -> Answer {
    classify_as(RequestKind::default(), reply, secrets, now)
}

/// The same for any kind of request.
pub fn classify_as(request: RequestKind, reply: &Reply, secrets: &[&str], now: Timestamp) -> Answer {
    let contents = body::read(reply.body.bytes());
    let skew = if request.with_token { None } else { skew(reply.date.as_deref(), now) };
    let facts = messages::Facts { request, reply, contents: &contents, skew };
    let reason = reason(&facts);
    Answer {
        status_code: reply.status,
        reason,
        message: messages::message(reason, &facts, secrets),
        key_effect: key_effect(reason, &facts, reply.retry_after.as_deref(), now),
        error_code: contents.shown_code().and_then(|code| identifier(code, 64, secrets)),
        request_id: reply.request_id.as_deref().or(contents.request_id()).and_then(|id| identifier(id, 128, secrets)),
    }
}

/// The table of what an answer means.
fn reason(facts: &messages::Facts<'_>) -> Reason {
    let (contents, status) = (facts.contents, facts.reply.status);
    match (status, facts.code()) {
        // Whatever the body holds: a failing server does not report its own state reliably. HTTP has no status from 600 on,
        // and asks to treat one as a 5xx (RFC 9110, section 15): it does not prove a refusal.
        (500.., _) => Reason::ServerError,
        (200..=299, _) if facts.request.only_read => reason_of_read(facts),
        (200..=299, Some(_)) if contents.has_different_codes() => Reason::OutcomeUnknown,
        // Without a code, the part of the request that arrived before a 408 may have been forwarded.
        (200..=299 | 408, Some(code)) => by_code(code).unwrap_or(Reason::Rejected),
        (200..=299, None) if facts.is_whole() && contents.is_success(status) => Reason::Delivered,
        (400..=499, Some(code)) => by_code(code).unwrap_or_else(|| by_status(facts)),
        // The gateway's own answers: it has forwarded nothing.
        (401 | 429, None) => by_status(facts),
        (400..=407 | 409..=499, None) if facts.is_read() => by_status(facts),
        // A redirect does not prove whether the request was carried out before, or is to be sent elsewhere.
        _ => Reason::OutcomeUnknown,
    }
}

fn reason_of_read(facts: &messages::Facts<'_>) -> Reason {
    match facts.contents.own_code() {
        _ if !facts.is_whole() => Reason::OutcomeUnknown,
        Some(code) => by_code(code).unwrap_or(Reason::Rejected),
        None if facts.contents.is_shown(facts.reply.status) => Reason::Delivered,
        None => Reason::OutcomeUnknown,
    }
}

/// Codes of a failure during processing, with any status: no proof of a refusal.
pub fn proves_nothing(code: &str) -> bool {
    ["DWS.0005", "DWS.9999"].iter().any(|known| code.eq_ignore_ascii_case(known))
}

/// Codes that are more precise than their status: the cloud answers unknown clusters with 401 and 403.
fn by_code(code: &str) -> Option<Reason> {
    match code {
        code if proves_nothing(code) => Some(Reason::OutcomeUnknown),
        "DWS.0015" | "DWS.0047" | "DWS.3027" => Some(Reason::ClusterNotFound),
        "DWS.7023" => Some(Reason::ClusterNotReady),
        _ => None,
    }
}

fn by_status(facts: &messages::Facts<'_>) -> Reason {
    match facts.reply.status {
        400 => Reason::BadRequest,
        401 if facts.clock_is_off() => Reason::ClockSkew,
        401 => Reason::AuthenticationFailed,
        403 => Reason::PermissionDenied,
        404 => Reason::NotFound,
        429 => Reason::TooManyRequests,
        _ => Reason::Rejected,
    }
}

fn key_effect(reason: Reason, facts: &messages::Facts<'_>, retry_after: Option<&str>, now: Timestamp) -> KeyEffect {
    match facts.reply.status {
        429 => KeyEffect::Throttled(window(retry_after, facts.text(), now)),
        ..500 if facts.is_token_refused() => KeyEffect::TokenRefused,
        200..=299 if reason == Reason::Delivered => KeyEffect::Good,
        _ if facts.is_from_service() => KeyEffect::Good,
        401 if !facts.is_gateways_own() => KeyEffect::Neutral,
        401 if reason == Reason::ClockSkew => KeyEffect::ClockSkew,
        401 if facts.is_locked() => KeyEffect::LockedByGateway,
        401 => KeyEffect::RejectedByGateway,
        // A load balancer's 502, a gateway's 404, a page with a 200: they prove nothing about the key.
        _ => KeyEffect::Neutral,
    }
}

/// An id, so that no text can pose as one; `None` if nothing is left of it or it echoes one of `secrets`.
fn identifier(text: &str, limit: usize, secrets: &[&str]) -> Option<String> {
    let kept = keep(text, ".-_", secrets).filter(|kept| !kept.is_empty());
    kept.map(|kept| truncate(&kept, limit))
}

/// The letters, digits and `others` of a text; `None` if they echo one of `secrets`.
fn keep(text: &str, others: &str, secrets: &[&str]) -> Option<String> {
    let is_kept = |character: &char| character.is_ascii_alphanumeric() || others.contains(*character);
    let keep = |text: &str| text.chars().filter(is_kept).collect::<String>();
    let kept = keep(text);
    let echoes = secrets.iter().map(|secret| keep(secret)).any(|secret| !secret.is_empty() && kept.contains(&secret));
    (!echoes).then_some(kept)
}

/// How long a 429 asks to wait: the header, else the time in the gateway's text, else a minute.
pub(super) fn window(retry_after: Option<&str>, text: &str, now: Timestamp) -> Duration {
    let by_header = retry_after.and_then(|value| {
        let seconds = value.trim().parse().ok();
        let until = || Some(u64::try_from(http_date(value)?.as_second().saturating_sub(now.as_second())).unwrap_or(0));
        seconds.or_else(until).map(Duration::from_secs)
    });
    let by_text = || {
        let mut words = text.split_once("time:")?.1.split_whitespace();
        let (number, unit) = (words.next()?, words.next()?.split(|c: char| !c.is_ascii_alphabetic()).next()?);
        humantime::parse_duration(&format!("{number} {unit}")).ok()
    };
    by_header.or_else(by_text).unwrap_or(DEFAULT_WINDOW).clamp(MIN_WINDOW, MAX_WINDOW)
}

/// How far this host's clock is from the gateway's, if that is more than the gateway tolerates.
fn skew(date: Option<&str>, now: Timestamp) -> Option<Duration> {
    let server = http_date(date?)?;
    let off = Duration::from_secs(now.as_second().abs_diff(server.as_second()));
    (off > CLOCK_WINDOW).then_some(off)
}

pub(super) fn http_date(value: &str) -> Option<Timestamp> {
    // HTTP's own format ends in GMT, which RFC 2822 still allows.
    rfc2822::parse(value.trim()).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests;
