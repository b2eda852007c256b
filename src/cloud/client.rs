//! The strict client. Every convenience of an HTTP client that can send the one call a second time is off: redirects (307
//! repeats a POST), retries, reused connections, HTTP/2 streams.

mod strict;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use http::Method;
use k8s_openapi::jiff::Timestamp;
use url::Url;

pub(super) use self::strict::is_connected;
use self::strict::{Strict, is_too_late};
use super::{
    RedistributionRequest, SendPermit,
    cause::root_cause,
    exchange::{CALL_LIMIT, NO_ID, Unsigned, classified, reply, signed},
    health::EndpointHealth,
    names::DnsCache,
    outcome::{NotSent, Outcome, Unknown},
    proxy::Proxy,
    tls,
};
use crate::{
    api::{Reason, text::truncate},
    cloud::auth::Key,
    protocol::regions::Endpoint,
};

/// A setting of the client is invalid. Reported to the administrator at startup.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The file of `--ca-bundle` cannot be used.
    #[error("--ca-bundle {file}: {why}. It must be a PEM file with certificates of authorities", file = file.display())]
    CaBundle {
        /// The file.
        file: PathBuf,
        /// The error.
        why: String,
    },
    /// There is no usable certificate authority.
    #[error(
        "no certificate authority can be used ({count} from --ca-bundle): {why}. Install the system's CA certificates, or name a file with --ca-bundle"
    )]
    Roots {
        /// Number of certificates in the bundle.
        count: usize,
        /// The error.
        why: String,
    },
    /// The URL of `--proxy` is invalid.
    #[error(
        "--proxy must be http://host:port or http://user:password@host:port; TLS to the cloud goes through it unopened. In user and password, write / as %2F, # as %23, ? as %3F and @ as %40"
    )]
    Proxy,
    /// Any other error of the HTTP or TLS library.
    #[error("the HTTP client cannot be set up: {0}")]
    Setup(String),
}

/// Settings of the client.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// PEM file of additional certificate authorities.
    pub ca_bundle: Option<PathBuf>,
    /// Explicit proxy; proxy settings of the environment are ignored.
    pub proxy: Option<Url>,
    /// Timeout of connection and TLS handshake; DNS has its own. Well below `request_timeout`, since only a failure to
    /// connect proves that nothing was sent.
    pub connect_timeout: Duration,
    /// Timeout of the whole call.
    pub request_timeout: Duration,
}

/// The client of the cloud, for calls, reads, logins and probes.
pub struct Client {
    /// For reads and logins, and to build requests.
    pub(super) http: reqwest::Client,
    /// For calls.
    pub(super) strict: Strict,
    pub(super) prober: reqwest::Client,
    pub(super) dns: DnsCache,
    pub(super) proxy: Option<Proxy>,
    pub(super) request_timeout: Duration,
    /// Which endpoints could not be reached.
    pub(super) health: EndpointHealth,
}

impl Client {
    /// Builds the client; connects to nothing yet.
    pub fn new(settings: &ClientSettings) -> Result<Self, ClientError> {
        Self::with(settings, DnsCache::system())
    }

    /// The same with another resolver.
    pub(super) fn with(settings: &ClientSettings, dns: DnsCache) -> Result<Self, ClientError> {
        let strict = Strict {
            tls: tls::config(settings.ca_bundle.as_deref())?,
            proxy: settings.proxy.as_ref().map(Proxy::read).transpose()?,
            dns: dns.clone(),
            connect_timeout: settings.connect_timeout,
            request_timeout: settings.request_timeout,
        };
        Ok(Self {
            http: strict.client()?,
            prober: strict.prober()?,
            dns,
            proxy: strict.proxy.clone(),
            strict,
            request_timeout: settings.request_timeout,
            health: EndpointHealth::default(),
        })
    }

    /// Sends the one request of an attempt. Consumes the permit, whatever the outcome.
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
                    format!("The request for {} could not be built: {why}. Nothing was sent", endpoint.host),
                );
            }
        };
        // After the send budget other replicas may expire the claim, and this call must not overlap the next generation's.
        if permit.has_expired() {
            return too_late("before it was begun");
        }
        let http = match self.strict.client_until(&permit.deadline) {
            Ok(http) => http,
            Err(error) => return not_sent(Reason::EndpointUnreachable, format!("{error}. Nothing was sent")),
        };
        tracing::debug!(attempt = permit.attempt_id, endpoint = endpoint.host, "sending");
        match http.execute(request).await {
            // The HTTP library returns a 101 like an answer. The request did not ask to switch protocols, so a 101 does not
            // report its outcome.
            Ok(response) if response.status().is_informational() => {
                unknown(endpoint, "the peer tried to switch protocols instead of answering")
            }
            Ok(response) => {
                let answer = classified(&reply(response, CALL_LIMIT).await, key, now);
                if let Key::Token(token) = key {
                    token.record_denial(&answer, Instant::now());
                }
                Outcome::Answered(answer)
            }
            Err(error) if error.is_connect() && is_too_late(&error) => {
                too_late("before the connection was established")
            }
            // The one predicate that proves it: the connection or TLS failed, so no byte of the request was sent.
            Err(error) if error.is_connect() => not_sent(
                Reason::EndpointUnreachable,
                format!("No connection to {}: {}. Nothing was sent", endpoint.host, truncate(&root_cause(&error), 120)),
            ),
            Err(error) => {
                let why =
                    if error.is_timeout() { "no answer came in time" } else { "the connection broke before an answer" };
                tracing::debug!(error = root_cause(&error), "no readable answer");
                unknown(endpoint, why)
            }
        }
    }

    /// Built and signed for this attempt only: a signature is valid for 15 minutes.
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

/// The outcome of a request whose time was over before it could leave.
pub fn too_late(when: &str) -> Outcome {
    not_sent(
        Reason::ClaimTooSlow,
        format!(
            "The time for the call (--send-budget) was over {when}: the API server or the connection was slow, or the machine stood still. Nothing was sent"
        ),
    )
}

fn unknown(endpoint: &Endpoint, why: &str) -> Outcome {
    Outcome::Unknown(Unknown {
        message: format!(
            "{}: {why}. The cloud may have accepted: check its console; only if no redistribution began there, set spec.trigger to a new value. The operator never sends the request again by itself",
            endpoint.host
        ),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
