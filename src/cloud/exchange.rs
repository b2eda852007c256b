//! Builds and authenticates requests, and reads answers from the wire. Sends nothing.

use http::{HeaderMap, HeaderValue, Method, header};
use k8s_openapi::jiff::Timestamp;
use secrecy::ExposeSecret;

use super::{
    Client,
    outcome::{Answer, Body, Reply, RequestKind, classify_as, scrub},
    signing,
};
use crate::{
    api::ClusterRedistributionSpec as Spec,
    cloud::auth::Key,
    protocol::regions::{Endpoint, host_of, is_loopback},
};

/// Maximum size of the body that is read after a call.
pub const CALL_LIMIT: usize = 64 * 1024;
/// The same for a read or a login: a cluster with many nodes, or a token with many roles, takes hundreds of kilobytes.
pub const READ_LIMIT: usize = 1024 * 1024;
/// Reported for an answer larger than [`READ_LIMIT`].
pub const TOO_LARGE: &str = "the answer is larger than 1 MiB";

/// A request about a cluster.
#[derive(Clone, Copy)]
pub enum Operation {
    /// The one call that is not idempotent.
    Redistribute,
    ReadRedistribution,
    ReadCluster,
}

impl Operation {
    /// `None` if an id holds a character that could lead elsewhere. The CRD refuses such ids, but an administrator may have
    /// loosened it.
    pub fn path(self, spec: &Spec) -> Option<String> {
        let (project, cluster) = (&spec.project_id, &spec.cluster_id);
        let is_safe = |id: &str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (is_safe(project) && is_safe(cluster)).then(|| match self {
            Self::Redistribute | Self::ReadRedistribution => {
                format!("/v2/{project}/clusters/{cluster}/redistribution")
            }
            Self::ReadCluster => format!("/v1.0/{project}/clusters/{cluster}"),
        })
    }
}

impl Client {
    /// Signs a request, or adds the token, and builds it. Valid for a short time only, since the signature holds `now`.
    pub(super) fn signed(
        &self,
        operation: Operation,
        spec: &Spec,
        key: &Key,
        endpoint: &Endpoint,
        now: Timestamp,
    ) -> Result<reqwest::Request, String> {
        leaves_in_tls(endpoint)?;
        let path = operation.path(spec).ok_or("projectID or clusterID holds a character that no id has")?;
        let (method, body) = match operation {
            Operation::Redistribute => {
                let (mode, jobs) = (spec.redis_mode, spec.parallel_jobs);
                // The fields are in the order of the API page.
                (Method::POST, format!(r#"{{"redis_mode":"{mode}","parallel_jobs":{jobs}}}"#))
            }
            Operation::ReadRedistribution | Operation::ReadCluster => (Method::GET, String::new()),
        };
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, plain(&endpoint.host)?);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF-8"));
        headers.insert("x-language", HeaderValue::from_static("en_us"));
        headers.insert("x-project-id", plain(&spec.project_id)?);
        match key {
            Key::AccessKey(key) => {
                let date = signing::sdk_date(now);
                let signed =
                    [("host", endpoint.host.as_str()), ("x-project-id", &spec.project_id), ("x-sdk-date", &date)];
                let (method, body) = (method.as_str(), body.as_bytes());
                let to_sign = signing::Request { method, path: &path, query: &[], headers: &signed, body };
                let authorization = signing::authorization(&key.access, key.secret.expose_secret(), &date, &to_sign);
                headers.insert("x-sdk-date", plain(&date)?);
                headers.insert(header::AUTHORIZATION, secret(&authorization)?);
                if let Some(token) = &key.token {
                    // Not signed, as in the cloud's own tools: the gateway echoes the signed headers in its refusals.
                    headers.insert("x-security-token", secret(token.expose_secret())?);
                }
            }
            Key::Token(token) => drop(headers.insert("x-auth-token", secret(token.text())?)),
        }
        let url = endpoint.url.join(&path).map_err(|error| error.to_string())?;
        self.http.request(method, url).headers(headers).body(body).build().map_err(|error| root_cause(&error))
    }
}

/// A request with a key leaves the host inside TLS or not at all: checked again just before the key is used.
pub fn leaves_in_tls(endpoint: &Endpoint) -> Result<(), String> {
    if endpoint.url.scheme() == "https" || is_loopback(&endpoint.url) {
        Ok(())
    } else {
        Err("plain http is for loopback addresses only".to_owned())
    }
}

/// A header value that `Debug` output does not show.
fn secret(text: &str) -> Result<HeaderValue, String> {
    let mut value =
        HeaderValue::from_str(text).map_err(|_| "the key holds a character that no header may hold".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

fn plain(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(text).map_err(|_| "a header value holds a character that it may not".to_owned())
}

/// Reads an answer: its head has arrived; the body is read up to `limit` bytes and may be incomplete.
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
                let remaining = limit - bytes.len();
                bytes.extend_from_slice(chunk.get(..remaining).unwrap_or(&chunk));
                if chunk.len() > remaining {
                    break Body::TooLarge(bytes);
                }
            }
            Ok(None) => break Body::Complete(bytes),
            Err(_) => break Body::Broken(bytes),
        }
    };
    reply
}

/// Classifies an answer, and records it at the token. Nothing of the key appears in the result.
pub fn classified(reply: &Reply, key: &Key, only_read: bool, now: Timestamp) -> Answer {
    match key {
        Key::AccessKey(key) => {
            let token = key.token.as_ref().map_or("", |token| token.expose_secret());
            let secrets = [&key.access, key.secret.expose_secret(), token];
            classify_as(RequestKind { with_token: false, only_read }, reply, &secrets, now)
        }
        Key::Token(token) => {
            let request = RequestKind { with_token: true, only_read };
            token.record(classify_as(request, reply, &[token.text()], now))
        }
    }
}

/// The causes of an error, as text that may be shown: errors of names, sockets and certificates hold no secret.
pub fn root_cause(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    let mut causes: Vec<_> = causes.map(ToString::to_string).collect();
    causes.dedup();
    // The outermost error reports only that something failed; its causes report why.
    let start = usize::from(causes.len() > 1);
    scrub(&causes.get(start..).unwrap_or_default().join(": "), &[], 200)
}
