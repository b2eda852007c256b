//! The strict client. Every convenience of an HTTP client that can send the one call a second time is off: redirects (307
//! repeats a POST), retries, reused connections, HTTP/2 streams.

use std::{error::Error, path::PathBuf, sync::Arc, time::Duration, time::Instant};

use k8s_openapi::jiff::Timestamp;
use reqwest::{Certificate, redirect::Policy};
use tower::{BoxError, util::MapResultLayer};
use url::Url;

use super::{
    SendPermit,
    exchange::{CALL_LIMIT, Operation, classified, reply, root_cause},
    names::DnsCache,
    outcome::Outcome,
    reach::EndpointHealth,
};
use crate::{
    api::{ClusterRedistributionSpec as Spec, Reason, text::truncate},
    cloud::auth::Key,
    protocol::regions::Endpoint,
    runtime::clock::Deadline,
};

/// Timeout of a read or a login. Shorter than that of a call, since a failed read loses nothing.
const READ_TIMEOUT: Duration = Duration::from_secs(20);

tokio::task_local! {
    /// What the request of this task needs its connection for. Without it, no connection is used.
    static PURPOSE: Purpose;
}

/// What a connection is for once it is established, TLS included, and before a byte of the request is written.
#[derive(Clone)]
enum Purpose {
    /// A request that may be made at any time.
    Read,
    /// A request that must not leave after this deadline.
    Call(Deadline),
    Probe,
}

/// Why a connection is closed once it is established.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Closed {
    #[error("the time for the call was over before the connection was established")]
    TooLate,
    #[error("the probe needs no more than the connection")]
    Probed,
}

/// Why a request has no answer.
pub(super) enum NoAnswer {
    /// The connection was established after the deadline, and not used.
    TooLate,
    /// The connection or TLS failed, so that no byte of the request was sent. With the cause.
    NotSent(String),
    Silent,
    Unreadable(&'static str),
}

/// A setting of the client is invalid. Reported to the administrator at startup.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("--ca-bundle {0}. It must be a PEM file with certificates of authorities")]
    CaBundle(String),
    #[error(
        "--proxy must be http://host:port or http://user:password@host:port; TLS to the cloud goes through it unopened. In user and password, write / as %2F, # as %23, ? as %3F and @ as %40"
    )]
    Proxy,
    #[error(
        "the HTTP client cannot be set up: {0}. If certificates are missing, install the system's CA certificates, or name a file with --ca-bundle"
    )]
    Setup(String),
}

/// Without `Debug`, since the proxy's URL may hold a password.
#[derive(Clone)]
pub struct ClientSettings {
    pub ca_bundle: Option<PathBuf>,
    /// Explicit proxy; proxy settings of the environment are ignored.
    pub proxy: Option<Url>,
    /// Timeout of connection and TLS handshake; DNS has its own. Well below `request_timeout`, since only a failure to
    /// connect proves that nothing was sent.
    pub connect_timeout: Duration,
    pub request_timeout: Duration,
}

pub struct Client {
    pub(super) http: reqwest::Client,
    pub(super) dns: DnsCache,
    /// Without its credentials.
    pub(super) proxy: Option<Url>,
    pub(super) request_timeout: Duration,
    pub(super) health: EndpointHealth,
}

impl Client {
    pub fn new(settings: &ClientSettings) -> Result<Self, ClientError> {
        Self::with(settings, DnsCache::system())
    }

    pub(super) fn with(settings: &ClientSettings, dns: DnsCache) -> Result<Self, ClientError> {
        let mut builder = reqwest::Client::builder()
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(0)
            .http1_only()
            // A control character in one header must not discard the answer: its HTTP status is needed for the outcome.
            .http1_ignore_invalid_headers_in_responses(true)
            .no_proxy()
            .referer(false)
            .tcp_nodelay(true)
            // Otherwise the kernel could deliver the request minutes after the client has timed out.
            .tcp_user_timeout(settings.request_timeout)
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.request_timeout)
            .user_agent(concat!("redistribution-operator/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(dns.clone()))
            .connector_layer(MapResultLayer::new(|connected: Result<_, BoxError>| {
                connected.and_then(|connection| may_use_connection().map(|()| connection))
            }));
        if let Some(file) = &settings.ca_bundle {
            let invalid = |why: String| ClientError::CaBundle(format!("{}: {why}", file.display()));
            let bytes = std::fs::read(file).map_err(|error| invalid(error.to_string()))?;
            let authorities = Certificate::from_pem_bundle(&bytes).map_err(|error| invalid(root_cause(&error)))?;
            if authorities.is_empty() {
                return Err(invalid("it holds no PEM certificate".to_owned()));
            }
            builder = builder.tls_certs_merge(authorities);
        }
        let mut proxy = settings.proxy.clone();
        if let Some(url) = &mut proxy {
            // Credentials with a / that is not written as %2F would parse as a host and a path.
            let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
            // The HTTP library would ignore a proxy that it cannot parse, and connect directly.
            let is_parsed = url.as_str().parse::<http::Uri>().is_ok_and(|uri| uri.host().is_some());
            if url.scheme() != "http" || !is_bare || !is_parsed {
                return Err(ClientError::Proxy);
            }
            // For https only: a proxy would see a plain http request whole, with its signature, and its own answer could be
            // taken for the cloud's. Plain http is for loopback, which needs no proxy.
            builder = builder.proxy(reqwest::Proxy::https(url.clone()).map_err(|_| ClientError::Proxy)?);
            url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| ClientError::Proxy)?;
        }
        let http = builder.build().map_err(|error| ClientError::Setup(root_cause(&error)))?;
        Ok(Self { http, dns, proxy, request_timeout: settings.request_timeout, health: EndpointHealth::default() })
    }

    /// Sends the one request of an attempt. Consumes the permit, whatever the outcome.
    pub async fn send(&self, permit: SendPermit, spec: &Spec, key: &Key, endpoint: &Endpoint) -> Outcome {
        let now = Timestamp::now();
        // For this attempt only: a signature is valid for 15 minutes.
        let request = match self.signed(Operation::Redistribute, spec, key, endpoint, now) {
            Ok(request) => request,
            Err(why) => {
                let message = format!("The request for {} could not be built: {why}. Nothing was sent", endpoint.host);
                return Outcome::NotSent { reason: Reason::EndpointUnreachable, message };
            }
        };
        // After the send budget other replicas may expire the claim, and this call must not overlap the next generation's.
        if permit.has_expired() {
            return too_late("before it was begun");
        }
        tracing::debug!(attempt = permit.attempt_id, endpoint = endpoint.host, "sending");
        let why = match self.execute(request, Purpose::Call(permit.deadline)).await {
            Ok(response) => {
                let answer = classified(&reply(response, CALL_LIMIT).await, key, false, now);
                if let Key::Token(token) = key {
                    token.record_denial(&answer, Instant::now());
                }
                return Outcome::Answered(answer);
            }
            Err(NoAnswer::TooLate) => return too_late("before the connection was established"),
            Err(NoAnswer::NotSent(why)) => {
                let message = format!("No connection to {}: {}. Nothing was sent", endpoint.host, truncate(&why, 120));
                return Outcome::NotSent { reason: Reason::EndpointUnreachable, message };
            }
            Err(NoAnswer::Silent) => "no answer came in time",
            Err(NoAnswer::Unreadable(why)) => why,
        };
        Outcome::Unknown {
            message: format!(
                "{}: {why}. The cloud may have accepted: check its console; only if no redistribution began there, set spec.trigger to a new value. The operator never sends the request again by itself",
                endpoint.host
            ),
        }
    }

    /// Sends a read or a login, and waits for the head of its answer.
    pub(super) async fn ask(
        &self,
        endpoint: &Endpoint,
        request: Result<reqwest::Request, String>,
    ) -> Result<reqwest::Response, NoAnswer> {
        let mut request = request.map_err(|why| {
            tracing::debug!(why, endpoint = endpoint.host, "the request could not be built");
            NoAnswer::Unreadable("the request could not be built")
        })?;
        *request.timeout_mut() = Some(READ_TIMEOUT.min(self.request_timeout));
        self.resolve(endpoint).await.map_err(|error| {
            tracing::info!(endpoint = endpoint.host, error, "DNS gives no address");
            NoAnswer::NotSent(error)
        })?;
        self.execute(request, Purpose::Read).await
    }

    /// Connects, completes the TLS handshake and sends no request: fails where a call could not connect.
    pub(super) async fn connect(&self, endpoint: &Endpoint) -> Result<(), String> {
        match PURPOSE.scope(Purpose::Probe, self.http.get(endpoint.url.clone()).send()).await {
            Err(error) if closed(&error) != Some(&Closed::Probed) => Err(root_cause(&error)),
            _ => Ok(()),
        }
    }

    async fn execute(&self, request: reqwest::Request, purpose: Purpose) -> Result<reqwest::Response, NoAnswer> {
        let error = match PURPOSE.scope(purpose, self.http.execute(request)).await {
            // The HTTP library returns a 101 like an answer. The request did not ask to switch protocols, so a 101 does not
            // report its outcome.
            Ok(response) if response.status().is_informational() => {
                return Err(NoAnswer::Unreadable("the peer tried to switch protocols instead of answering"));
            }
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        let why = root_cause(&error);
        tracing::debug!(error = why, "no answer");
        Err(match error {
            error if error.is_connect() && closed(&error) == Some(&Closed::TooLate) => NoAnswer::TooLate,
            // The one predicate that proves it.
            error if error.is_connect() => NoAnswer::NotSent(why),
            error if error.is_timeout() => NoAnswer::Silent,
            _ => NoAnswer::Unreadable("the connection broke before an answer"),
        })
    }
}

/// The outcome of a request whose time was over before it could leave.
pub fn too_late(when: &str) -> Outcome {
    let message = format!(
        "The time for the call (--send-budget) was over {when}: the API server or the connection was slow, or the machine stood still. Nothing was sent"
    );
    Outcome::NotSent { reason: Reason::ClaimTooSlow, message }
}

/// Asked once the connection is established.
fn may_use_connection() -> Result<(), BoxError> {
    match PURPOSE.try_with(Clone::clone)? {
        Purpose::Call(deadline) if deadline.is_over() => Err(Closed::TooLate.into()),
        Purpose::Probe => Err(Closed::Probed.into()),
        Purpose::Read | Purpose::Call(_) => Ok(()),
    }
}

fn closed(error: &reqwest::Error) -> Option<&Closed> {
    std::iter::successors(error.source(), |&error| error.source()).find_map(<dyn Error>::downcast_ref)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
