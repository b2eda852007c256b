//! How a request is authenticated and built, and how an answer is read from the wire. It sends nothing.

use http::{HeaderMap, HeaderValue, Method, header};
use k8s_openapi::jiff::Timestamp;
use secrecy::ExposeSecret;

use super::{
    cause::root_cause,
    outcome::{Answer, Asked, Body, Reply, classify_as},
    signing,
};
use crate::{
    cloud::auth::{AccessKey, Key},
    protocol::regions::{Endpoint, is_loopback},
};

/// Bytes that are read of the body that answers a call.
pub const CALL_LIMIT: usize = 64 * 1024;
/// The same of a read or a login: a cluster with many nodes, or a token with many roles, takes hundreds of kilobytes.
pub const READ_LIMIT: usize = 1024 * 1024;
/// What is said of an answer beyond that.
pub const TOO_LARGE: &str = "the answer is larger than 1 MiB";
/// Why an address cannot be made.
pub const NO_ID: &str = "projectID or clusterID holds a character that no id has";

/// What a request is before it is authenticated.
pub struct Unsigned<'a> {
    pub method: Method,
    pub path: &'a str,
    pub project: &'a str,
    pub body: String,
}

/// Signs a request, or puts the token into it, and builds it, for this moment alone.
pub fn signed(
    http: &reqwest::Client,
    unsigned: Unsigned<'_>,
    key: &Key,
    endpoint: &Endpoint,
    now: Timestamp,
) -> Result<reqwest::Request, String> {
    leaves_in_tls(endpoint)?;
    let mut headers = HeaderMap::new();
    headers.insert(header::HOST, plain(&endpoint.host)?);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF-8"));
    headers.insert("x-language", HeaderValue::from_static("en_us"));
    headers.insert("x-project-id", plain(unsigned.project)?);
    match key {
        Key::AccessKey(pair) => sign(&mut headers, &unsigned, pair, endpoint, now)?,
        Key::Token(token) => drop(headers.insert("x-auth-token", secret(token.text())?)),
    }
    let Unsigned { method, path, body, .. } = unsigned;
    let url = endpoint.url.join(path).map_err(|error| error.to_string())?;
    http.request(method, url).headers(headers).body(body).build().map_err(|error| root_cause(&error))
}

/// Checked again where the key is at hand: what is sent with it leaves the host inside TLS or not at all.
pub fn leaves_in_tls(endpoint: &Endpoint) -> Result<(), String> {
    if endpoint.url.scheme() == "https" || is_loopback(&endpoint.url) {
        Ok(())
    } else {
        Err("plain http is for loopback addresses only".to_owned())
    }
}

fn sign(
    headers: &mut HeaderMap,
    unsigned: &Unsigned<'_>,
    pair: &AccessKey,
    endpoint: &Endpoint,
    now: Timestamp,
) -> Result<(), String> {
    let Unsigned { method, path, project, body } = unsigned;
    let date = signing::sdk_date(now);
    let signed = [("host", endpoint.host.as_str()), ("x-project-id", project), ("x-sdk-date", &date)];
    let to_sign =
        signing::Request { method: method.as_str(), path, query: &[], headers: &signed, body: body.as_bytes() };
    let authorization = signing::authorization(&pair.access, pair.secret.expose_secret(), &date, &to_sign);
    headers.insert("x-sdk-date", plain(&date)?);
    headers.insert(header::AUTHORIZATION, secret(&authorization)?);
    if let Some(token) = &pair.token {
        // Unsigned, as the cloud's own tools send it: the gateway echoes the signed headers in its refusals.
        headers.insert("x-security-token", secret(token.expose_secret())?);
    }
    Ok(())
}

/// A value that no Debug output shows.
fn secret(text: &str) -> Result<HeaderValue, String> {
    let mut value =
        HeaderValue::from_str(text).map_err(|_| "the key holds a character that no header may hold".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

fn plain(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(text).map_err(|_| "a header value holds a character that it may not".to_owned())
}

/// The head is the answer; the body is read afterwards, bounded, and may be missing.
pub async fn reply(mut response: reqwest::Response, limit: usize) -> Reply {
    let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut reply = Reply {
        status: response.status().as_u16(),
        date: text("date"),
        retry_after: text("retry-after"),
        request_id: text("x-request-id"),
        encoding: text("content-encoding"),
        redirect: text("location").and_then(|location| host_of(&response.url().join(&location).ok()?)),
        body: Body::Broken(Vec::new()),
    };
    let mut bytes = Vec::new();
    reply.body = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                let room = limit - bytes.len();
                bytes.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
                if chunk.len() > room {
                    break Body::TooLarge(bytes);
                }
            }
            Ok(None) => break Body::Complete(bytes),
            Err(_) => break Body::Broken(bytes),
        }
    };
    reply
}

fn host_of(url: &url::Url) -> Option<String> {
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

/// What the answer to a call says, without anything of the key in it. A token learns of it here, where every answer passes.
pub fn classified(reply: &Reply, key: &Key, now: Timestamp) -> Answer {
    told(reply, key, now, false)
}

/// The same of the answer to a read.
pub fn classified_read(reply: &Reply, key: &Key, now: Timestamp) -> Answer {
    told(reply, key, now, true)
}

fn told(reply: &Reply, key: &Key, now: Timestamp, only_read: bool) -> Answer {
    let asked = |with_token| Asked { with_token, only_read };
    match key {
        Key::AccessKey(pair) => {
            let token = pair.token.as_ref().map_or("", |token| token.expose_secret());
            classify_as(asked(false), reply, &[&pair.access, pair.secret.expose_secret(), token], now)
        }
        Key::Token(token) => token.heard(classify_as(asked(true), reply, &[token.text()], now)),
    }
}
