//! Builds the three HTTP clients, with everything off that could send twice: one for reads and logins; one for the call,
//! which checks the clock once the connection is established, before a byte of the request is written; and one for
//! probes, which only connects.

use std::{error::Error, sync::Arc, time::Duration};

use reqwest::{ClientBuilder, redirect::Policy};
use rustls::ClientConfig;
use tower::{BoxError, util::MapResultLayer};

use super::ClientError;
use crate::{
    cloud::{cause::root_cause, names::DnsCache, proxy::Proxy},
    runtime::clock::Deadline,
};

/// The parts that every such client is built from.
pub struct Strict {
    pub tls: ClientConfig,
    pub proxy: Option<Proxy>,
    pub dns: DnsCache,
    pub connect_timeout: Duration,
    pub request_timeout: Duration,
}

/// The connection was established after the deadline.
#[derive(Debug, thiserror::Error)]
#[error("the time for the call was over before the connection was established")]
struct TooLate;

/// The connection was established, TLS included, and closed, since the probe needs no more.
#[derive(Debug, thiserror::Error)]
#[error("the connection is established")]
struct Connected;

impl Strict {
    /// For requests that may be made at any time.
    pub fn client(&self) -> Result<reqwest::Client, ClientError> {
        built(self.builder()?)
    }

    /// For one request that must not leave after the deadline. A separate client, so that its connector knows which
    /// request it connects for. Connections are not kept, so the TLS configuration is all there is to share, and it is
    /// shared.
    pub fn client_until(&self, deadline: &Deadline) -> Result<reqwest::Client, ClientError> {
        let deadline = deadline.clone();
        built(self.builder()?.connector_layer(MapResultLayer::new(move |connected: Result<_, BoxError>| {
            connected.and_then(|connection| if deadline.is_over() { Err(TooLate.into()) } else { Ok(connection) })
        })))
    }

    /// Connects exactly as the other clients do, and closes the connection before anything is sent.
    pub fn prober(&self) -> Result<reqwest::Client, ClientError> {
        built(self.builder()?.connector_layer(MapResultLayer::new(|connected: Result<_, BoxError>| {
            connected.and_then(|connection| {
                drop(connection);
                Err(Connected.into())
            })
        })))
    }

    fn builder(&self) -> Result<ClientBuilder, ClientError> {
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
            .tcp_user_timeout(self.request_timeout)
            .connect_timeout(self.connect_timeout)
            .timeout(self.request_timeout)
            .user_agent(concat!("redistribution-operator/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(self.dns.clone()))
            .tls_backend_preconfigured(self.tls.clone());
        if let Some(proxy) = &self.proxy {
            builder = builder.proxy(proxy.for_calls()?);
        }
        Ok(builder)
    }
}

fn built(builder: ClientBuilder) -> Result<reqwest::Client, ClientError> {
    builder.build().map_err(|error| ClientError::Setup(root_cause(&error)))
}

/// Whether a connection failed only because it was established after the deadline.
pub fn is_too_late(error: &reqwest::Error) -> bool {
    is_caused_by::<TooLate>(error)
}

/// Whether the prober's connection succeeded: its only error is the deliberate close.
pub fn is_connected(error: &reqwest::Error) -> bool {
    is_caused_by::<Connected>(error)
}

fn is_caused_by<Cause: Error + 'static>(error: &reqwest::Error) -> bool {
    std::iter::successors(error.source(), |&error| error.source()).any(<dyn Error>::is::<Cause>)
}
