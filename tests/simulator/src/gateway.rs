//! The gateway in front of the cloud: addresses, signatures, tokens, locks and limits, in its own terms. It must not
//! know the clusters behind it.

mod meter;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use k8s_openapi::jiff::{Timestamp, civil::DateTime, tz::TimeZone};

use super::{
    answer::{Answer, Shape},
    iam::Iam,
    signature::{self, Arrived},
};
pub use meter::{Meter, Throttle};

/// Wrong signatures in a row that lock a key.
const FAILURES: usize = 5;
/// Permitted difference of a signature's date.
const WINDOW_SECONDS: u64 = 15 * 60;

/// A key the gateway knows. Its secret is in no Debug output.
pub struct Key {
    pub secret: String,
    pub token: Option<String>,
    pub failures: usize,
    pub locked_until: Option<Instant>,
}

impl Key {
    pub fn new(secret: String, token: Option<String>) -> Self {
        Self { secret, token, failures: 0, locked_until: None }
    }
}

/// Everything the gateway needs to judge a request.
pub struct Gateway {
    pub keys: HashMap<String, Key>,
    pub iam: Iam,
    pub calls: Meter,
    pub lock: Duration,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Caller {
    Key(String),
    User(String),
}

impl Gateway {
    /// Accepts the request, or answers it.
    pub fn judge(
        &mut self,
        arrived: &Arrived<'_>,
        project: &str,
        server_time: Timestamp,
        now: Instant,
    ) -> Result<Caller, Answer> {
        let header = |name: &str| {
            arrived.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
        };
        let caller = match (header("authorization"), header("x-auth-token")) {
            (None, Some(token)) => Caller::User(self.judge_token(token, project, server_time)?),
            _ => Caller::Key(self.judge_signature(arrived, server_time, now)?),
        };
        let (Caller::Key(name) | Caller::User(name)) = &caller;
        if arrived.method != "GET" {
            self.calls.pass(name, now)?;
        }
        Ok(caller)
    }

    fn judge_token(&self, token: &str, project: &str, server_time: Timestamp) -> Result<String, Answer> {
        let Some(token) = self.iam.tokens.get(token) else {
            return Err(refuse(401, "0301", "Incorrect IAM authentication information: decrypt token fail"));
        };
        if token.revoked || server_time >= token.expires {
            return Err(refuse(401, "0307", "The token must be updated"));
        }
        if !token.project.as_deref().is_some_and(|scope| scope.eq_ignore_ascii_case(project)) {
            return Err(refuse(403, "0306", "API access denied"));
        }
        Ok(token.user.clone())
    }

    fn judge_signature(
        &mut self,
        arrived: &Arrived<'_>,
        server_time: Timestamp,
        now: Instant,
    ) -> Result<String, Answer> {
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
            // The real gateway repeats the text that it computed from, including the signed headers.
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
        Ok(claimed.access)
    }
}

/// How a read without the right to it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// By the gateway: `APIGW.0302`.
    Gateway,
    /// By the service: `DWS.5036`.
    Service,
    /// By the new IAM's policies, with an encoded message.
    Policy,
}

impl Denial {
    /// Its message, always with status 403.
    pub fn answer(self) -> Answer {
        match self {
            Self::Gateway => refuse(403, "0302", "The IAM user is not allowed to access the API"),
            Self::Service => Answer::error(Shape::Plain, 403, "DWS.5036", "No permission."),
            Self::Policy => Answer::error(Shape::IamPolicy, 403, "DWS.5036", "The policy does not allow this action."),
        }
    }
}

/// The address does not belong to the cloud.
pub fn unknown_address() -> Answer {
    refuse(404, "0101", "The API does not exist or has not been published in the environment")
}

fn refuse(status: u16, number: &str, text: &str) -> Answer {
    Answer::error(Shape::WithRequestId, status, &format!("APIGW.{number}"), text)
}

fn parse_date(date: &str) -> Option<Timestamp> {
    let date_time = DateTime::strptime("%Y%m%dT%H%M%SZ", date).ok()?;
    Some(date_time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}
