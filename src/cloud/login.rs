//! Fetches a token of IAM for a user by one request, which changes nothing and is never repeated here, since a wrong
//! password counts towards a lock-out. This module must not decide which user may log in, or when.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use k8s_openapi::jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{
    Client,
    client::NoAnswer,
    exchange::{READ_LIMIT, TOO_LARGE, leaves_in_tls, reply, root_cause},
    outcome::{Body, Reply},
};
use crate::{
    cloud::{
        auth::User,
        outcome::{body, http_date, window},
    },
    protocol::regions::Endpoint,
};

/// Without the catalog of all services, which is large.
const PATH: &str = "/v3/auth/tokens?nocatalog=true";
/// Maximum length of a token that the gateway accepts in a header, in bytes.
const MAX_TOKEN: usize = 32 * 1024;
/// Maximum lifetime that is accepted: the cloud's own is a day.
const MAX_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// A token, and its lifetime from the time of the request; or why there is none.
pub type Login = Result<(SecretString, Duration), LoginFailure>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginFailure {
    /// User name, password or domain are wrong: five of these lock the user.
    Wrong,
    /// The user is locked for some minutes.
    Locked,
    /// The user was authenticated, but has no role in this project, or no project has this id.
    Project(u16),
    /// 403: the user may not log in, or not from here.
    Forbidden,
    /// 429: no login as this user for this time.
    Throttled(Duration),
    /// Any other refusal; numbers are the HTTP status.
    Refused(u16),
    /// The token's lifetime is too short for a call.
    ShortLived,
    /// 5xx.
    Failed(u16),
    Unreachable,
    Silent,
    Unreadable(&'static str),
}

impl Client {
    pub async fn login(&self, user: &User, project: &str, iam: &Endpoint) -> Login {
        let now = Timestamp::now();
        let request = leaves_in_tls(iam).and_then(|()| {
            let url = iam.url.join(PATH).map_err(|error| error.to_string())?;
            let json = HeaderValue::from_static("application/json;charset=utf8");
            let request = self.http.post(url).header(header::CONTENT_TYPE, json).body(login_body(user, project));
            request.build().map_err(|error| root_cause(&error))
        });
        match self.ask(iam, request).await {
            Ok(response) => {
                let token = token(response.headers());
                read(&reply(response, READ_LIMIT).await, token, user, now)
            }
            Err(NoAnswer::NotSent(_) | NoAnswer::TooLate) => Err(LoginFailure::Unreachable),
            Err(NoAnswer::Silent) => Err(LoginFailure::Silent),
            Err(NoAnswer::Unreadable(why)) => Err(LoginFailure::Unreadable(why)),
        }
    }
}

fn login_body(user: &User, project: &str) -> String {
    let user = json!({"name": user.name, "password": user.password.expose_secret(), "domain": {"name": user.domain}});
    let identity = json!({"methods": ["password"], "password": {"user": user}});
    json!({"auth": {"identity": identity, "scope": {"project": {"id": project}}}}).to_string()
}

fn token(headers: &HeaderMap) -> Option<SecretString> {
    let text = headers.get("x-subject-token")?.to_str().ok()?.trim();
    let fits = !text.is_empty() && text.len() <= MAX_TOKEN && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| text.to_owned().into())
}

/// PURE: interprets an answer. Its text is recognized, never quoted.
fn read(reply: &Reply, token: Option<SecretString>, user: &User, now: Timestamp) -> Login {
    let contents = body::read(reply.body.bytes());
    let text = contents.text().unwrap_or_default();
    // A user or domain may have any of these words as its name.
    let text_without_names = without(&without(text, &user.name), &user.domain).to_lowercase();
    let mentions =
        |sought: &[&str]| text_without_names.split(|c: char| !c.is_alphanumeric()).any(|word| sought.contains(&word));
    let is_about_project = mentions(&["project", "projects", "projectid", "scope", "scopes", "scoped"]);
    Err(match (reply.status, token, life(reply, now)) {
        (201, Some(token), Some(life)) => return Ok((token, life)),
        (201, ..) if matches!(reply.body, Body::TooLarge(_)) => LoginFailure::Unreadable(TOO_LARGE),
        (201, None, _) => LoginFailure::Unreadable("the answer holds no token"),
        (201, ..) => LoginFailure::Unreadable("the answer does not hold the token's expiry"),
        (401, ..) if mentions(&["lock", "locked", "lockout"]) => LoginFailure::Locked,
        (status @ (400 | 401 | 404), ..) if is_about_project => LoginFailure::Project(status),
        (401, ..) => LoginFailure::Wrong,
        (403, ..) => LoginFailure::Forbidden,
        (429, ..) => LoginFailure::Throttled(window(reply.retry_after.as_deref(), text, now)),
        (status @ 500.., ..) => LoginFailure::Failed(status),
        (status @ 400..=499, ..) => LoginFailure::Refused(status),
        _ => LoginFailure::Unreadable("the answer is not a login response"),
    })
}

/// The text without a name, where the name is a word by itself.
fn without(text: &str, name: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(name).filter(|_| !name.is_empty()) {
        let is_alone = !before.ends_with(char::is_alphanumeric) && !after.starts_with(char::is_alphanumeric);
        kept.push_str(before);
        kept.push_str(if is_alone { " " } else { name });
        rest = after;
    }
    kept + rest
}

/// The lifetime of the token. All times are IAM's, since this host's clock may be off. Of the two possible start times the
/// later one is used.
fn life(reply: &Reply, now: Timestamp) -> Option<Duration> {
    let Body::Complete(bytes) = &reply.body else { return None };
    let body: Value = serde_json::from_slice(bytes).ok()?;
    let time = |name: &str| body.get("token")?.get(name)?.as_str()?.parse::<Timestamp>().ok();
    let since = time("issued_at").max(reply.date.as_deref().and_then(http_date)).unwrap_or(now);
    let seconds = time("expires_at")?.as_second().saturating_sub(since.as_second());
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()).min(MAX_LIFE))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
