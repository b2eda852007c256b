//! The strict client. Everything an HTTP client does out of kindness is off, since each of it can send the one call a
//! second time: redirects (307 repeats a POST), retries, reused connections, HTTP/2 streams.

mod strict;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use http::Method;
use k8s_openapi::jiff::Timestamp;
use url::Url;

pub(super) use self::strict::stands;
use self::strict::{Strict, is_too_late};
use super::{
    RedistributionRequest, SendPermit,
    cause::root_cause,
    exchange::{CALL_LIMIT, NO_ID, Unsigned, classified, reply, signed},
    names::Names,
    outcome::{NotSent, Outcome, Unknown},
    proxy::Proxy,
    tls,
};
use crate::{
    api::{Reason, text::truncate},
    cloud::auth::Key,
    protocol::regions::Endpoint,
};

/// A setting of the client is wrong. For the administrator, at the start.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The file of `--ca-bundle`.
    #[error("--ca-bundle {file}: {why}. It must be a PEM file with certificates of authorities", file = file.display())]
    CaBundle {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// No usable authorities.
    #[error(
        "no certificate authority can be used ({count} from --ca-bundle): {why}. Install the system's CA certificates, or name a file with --ca-bundle"
    )]
    Roots {
        /// Certificates in the bundle.
        count: usize,
        /// What is wrong.
        why: String,
    },
    /// The URL of `--proxy`.
    #[error(
        "--proxy must be http://host:port or http://user:password@host:port; TLS to the cloud goes through it unopened. In a login, write / as %2F, # as %23, ? as %3F and @ as %40"
    )]
    Proxy,
    /// Anything else.
    #[error("the HTTP client cannot be set up: {0}")]
    Setup(String),
}

/// Settings of the client.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// Further authorities.
    pub ca_bundle: Option<PathBuf>,
    /// Explicit proxy; those of the environment are not used.
    pub proxy: Option<Url>,
    /// Connection and TLS; DNS has its own time. Well below the whole, since only a failure to connect proves that nothing was
    /// sent.
    pub connect_timeout: Duration,
    /// The whole call.
    pub request_timeout: Duration,
}

/// See the module.
pub struct Client {
    /// For reads and logins.
    pub(super) http: reqwest::Client,
    /// For calls.
    pub(super) strict: Strict,
    pub(super) prober: reqwest::Client,
    pub(super) names: Names,
    pub(super) proxy: Option<Proxy>,
    pub(super) request_timeout: Duration,
}

impl Client {
    /// Makes the client; nothing is connected yet.
    pub fn new(settings: &ClientSettings) -> Result<Self, ClientError> {
        Self::with(settings, Names::of_system())
    }

    /// The same with another DNS.
    pub(super) fn with(settings: &ClientSettings, names: Names) -> Result<Self, ClientError> {
        let strict = Strict {
            tls: tls::config(settings.ca_bundle.as_deref())?,
            proxy: settings.proxy.as_ref().map(Proxy::read).transpose()?,
            names: names.clone(),
            connect_timeout: settings.connect_timeout,
            request_timeout: settings.request_timeout,
        };
        Ok(Self {
            http: strict.client()?,
            prober: strict.prober()?,
            names,
            proxy: strict.proxy.clone(),
            strict,
            request_timeout: settings.request_timeout,
        })
    }

    /// Sends the one request of an attempt. The permit is used up, whatever happens.
    pub async fn send(
        &self,
        permit: SendPermit,
        request: &RedistributionRequest,
        key: &Key,
        endpoint: &Endpoint,
        now: Timestamp,
    ) -> Outcome {
        let request = match self.request(request, key, endpoint, now) {
            Ok(request) => request,
            Err(why) => {
                return not_sent(
                    Reason::EndpointUnreachable,
                    format!("The request for {} could not be made: {why}. Nothing was sent", endpoint.host),
                );
            }
        };
        // Beyond its budget a claim may be given up by others, and the next generation's call must not meet this one.
        if permit.has_expired() {
            return too_late("before it was begun");
        }
        let http = match self.strict.client_until(&permit.deadline) {
            Ok(http) => http,
            Err(error) => return not_sent(Reason::EndpointUnreachable, format!("{error}. Nothing was sent")),
        };
        tracing::debug!(attempt = permit.attempt_id, endpoint = endpoint.host, "sending");
        match http.execute(request).await {
            // 101 comes through the HTTP library as if it were an answer. Nobody asked to switch protocols: whoever says
            // so has not told what became of the request.
            Ok(response) if response.status().is_informational() => {
                unknown(endpoint, "the peer tried to switch protocols instead of answering")
            }
            Ok(response) => {
                let answer = classified(&reply(response, CALL_LIMIT).await, key, now);
                if let Key::Token(token) = key {
                    token.heard_of_rights(&answer, Instant::now());
                }
                Outcome::Answered(answer)
            }
            Err(error) if error.is_connect() && is_too_late(&error) => too_late("when the connection stood"),
            // The one predicate that proves it: no connection, or no TLS, so not a byte of the request.
            Err(error) if error.is_connect() => not_sent(
                Reason::EndpointUnreachable,
                format!("No connection to {}: {}. Nothing was sent", endpoint.host, truncate(&root_cause(&error), 120)),
            ),
            Err(error) => {
                let what =
                    if error.is_timeout() { "no answer came in time" } else { "the connection broke before an answer" };
                tracing::debug!(error = root_cause(&error), "no readable answer");
                unknown(endpoint, what)
            }
        }
    }

    /// Built and signed for this attempt alone: a signature is good for 15 minutes.
    fn request(
        &self,
        request: &RedistributionRequest,
        key: &Key,
        endpoint: &Endpoint,
        now: Timestamp,
    ) -> Result<reqwest::Request, String> {
        let path = request.path().ok_or(NO_ID)?;
        let unsigned =
            Unsigned { method: Method::POST, path: &path, project: &request.project_id, body: request.body() };
        signed(&self.http, unsigned, key, endpoint, now)
    }
}

fn not_sent(reason: Reason, message: String) -> Outcome {
    Outcome::NotSent(NotSent { reason, message })
}

fn too_late(when: &str) -> Outcome {
    not_sent(
        Reason::ClaimTooSlow,
        format!(
            "The time for the call (--send-budget) was over {when}: the API server or the connection was slow, or the machine stood still. Nothing was sent"
        ),
    )
}

fn unknown(endpoint: &Endpoint, what: &str) -> Outcome {
    Outcome::Unknown(Unknown {
        message: format!(
            "{}: {what}. The cloud may have accepted: look at the cluster in its console. It is never sent again by itself; if it did not accept, set spec.trigger to a new value",
            endpoint.host
        ),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
