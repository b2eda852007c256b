//! The gateway in front of the cloud: addresses, signatures, locks and limits, in its own words. It must not know the
//! clusters behind it.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use k8s_openapi::jiff::{Timestamp, civil::DateTime, tz::TimeZone};

use super::{
    answer::{Answer, Shape},
    cloud::Throttle,
    signature::{self, Arrived},
};

/// Wrong signatures in a row that lock a key.
const FAILURES: usize = 5;
/// How far a signature's date may be off.
const WINDOW_SECONDS: u64 = 15 * 60;

/// A key the gateway knows. Its secret is in no Debug output.
pub struct Key {
    pub secret: String,
    pub token: Option<String>,
    pub failures: usize,
    pub locked_until: Option<Instant>,
    pub calls: VecDeque<Instant>,
}

impl Key {
    pub fn new(secret: String, token: Option<String>) -> Self {
        Self { secret, token, failures: 0, locked_until: None, calls: VecDeque::new() }
    }
}

/// Everything the gateway needs to judge a request.
pub struct Gateway {
    pub keys: HashMap<String, Key>,
    pub throttle: Option<Throttle>,
    pub lock: Duration,
}

impl Gateway {
    /// Lets the request through, or answers it.
    pub fn judge(&mut self, arrived: &Arrived<'_>, server_time: Timestamp, now: Instant) -> Result<(), Answer> {
        let header = |name: &str| {
            arrived.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
        };
        let claimed = header("authorization").and_then(signature::parse);
        let Some(claimed) = claimed else {
            return Err(refuse(401, "0301", "Incorrect IAM authentication information: decrypt token fail"));
        };
        let Some(key) = self.keys.get_mut(&claimed.access) else {
            return Err(refuse(
                401,
                "0301",
                &format!(
                    "Incorrect IAM authentication information: Get secretKey failed,ak {} not exist",
                    claimed.access
                ),
            ));
        };
        if key.locked_until.is_some_and(|until| now < until) {
            return Err(refuse(
                401,
                "0301",
                "Incorrect IAM authentication information: AK access failed to reach the limit,forbidden",
            ));
        }
        let date = header("x-sdk-date").unwrap_or_default();
        let signed_date = claimed.signed_headers.iter().any(|name| name == "x-sdk-date");
        let off = parse_date(date).map(|at| at.as_second().abs_diff(server_time.as_second()));
        if !signed_date || off.is_none_or(|off| off > WINDOW_SECONDS) {
            let server = server_time.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string();
            return Err(refuse(
                401,
                "0301",
                &format!(
                    "Incorrect IAM authentication information: calc aksk signature fail:signature expired, signature time:{date}, server time:{server}"
                ),
            ));
        }
        let canonical = signature::canonical(arrived, &claimed.signed_headers);
        let token_fits = header("x-security-token") == key.token.as_deref();
        if signature::expected(&key.secret, date, &canonical) != claimed.signature || !token_fits {
            key.failures += 1;
            if key.failures >= FAILURES {
                key.failures = 0;
                key.locked_until = Some(now + self.lock);
            }
            // The real one repeats what it computed from, signed headers and all.
            let echo = canonical.replace('\n', "|");
            return Err(refuse(
                401,
                "0301",
                &format!(
                    "Incorrect IAM authentication information: verify aksk signature fail, canonicalRequest:{echo}, Access={}",
                    claimed.access
                ),
            ));
        }
        key.failures = 0;
        match self.throttle {
            Some(throttle) => throttled(key, throttle, now),
            None => Ok(()),
        }
    }
}

fn throttled(key: &mut Key, throttle: Throttle, now: Instant) -> Result<(), Answer> {
    let window = Duration::from_secs(throttle.seconds);
    key.calls.retain(|at| now.saturating_duration_since(*at) < window);
    if key.calls.len() < throttle.limit {
        key.calls.push_back(now);
        return Ok(());
    }
    let text = format!(
        "The throttling threshold has been reached: policy user over ratelimit,limit:{},time:{} second",
        throttle.limit, throttle.seconds
    );
    let answer = refuse(429, "0308", &text);
    let oldest = key.calls.front().map_or(window, |at| window.saturating_sub(now.saturating_duration_since(*at)));
    Err(if throttle.retry_after { answer.header("Retry-After", &(oldest.as_secs() + 1).to_string()) } else { answer })
}

/// The address is none of the cloud's.
pub fn unknown_address() -> Answer {
    refuse(404, "0101", "The API does not exist or has not been published in the environment")
}

fn refuse(status: u16, number: &str, text: &str) -> Answer {
    Answer::error(Shape::D, status, &format!("APIGW.{number}"), text)
}

fn parse_date(date: &str) -> Option<Timestamp> {
    let date_time = DateTime::strptime("%Y%m%dT%H%M%SZ", date).ok()?;
    Some(date_time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests;
