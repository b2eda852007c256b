//! The HTTP client with everything off that could send a second time: one with a last look at the clock once the connection
//! stands, before a byte of the request is written, and one that only connects.

use std::{error::Error, sync::Arc, time::Duration};

use reqwest::{ClientBuilder, redirect::Policy};
use rustls::ClientConfig;
use tower::{BoxError, util::MapResultLayer};

use super::ClientError;
use crate::{
    cloud::{cause::root_cause, names::Names, proxy::Proxy},
    runtime::clock::Deadline,
};

/// What such a client is made from.
pub struct Strict {
    pub tls: ClientConfig,
    pub proxy: Option<Proxy>,
    pub names: Names,
    pub connect_timeout: Duration,
    pub request_timeout: Duration,
}

/// A connection came to stand when the deadline had passed.
#[derive(Debug, thiserror::Error)]
#[error("the time for the call was over when the connection stood")]
struct TooLate;

/// A connection stands, TLS included, and no more was wanted.
#[derive(Debug, thiserror::Error)]
#[error("the connection stands")]
struct Stands;

impl Strict {
    /// For requests that may be made at any time.
    pub fn client(&self) -> Result<reqwest::Client, ClientError> {
        built(self.builder()?)
    }

    /// For one request that must not leave after the deadline. It is a client of its own so that its connector can know
    /// which request it connects for; connections are not kept, so nothing else would be shared but the TLS configuration,
    /// which is.
    pub fn client_until(&self, deadline: &Deadline) -> Result<reqwest::Client, ClientError> {
        let deadline = deadline.clone();
        built(self.builder()?.connector_layer(MapResultLayer::new(move |connected: Result<_, BoxError>| {
            connected.and_then(|connection| if deadline.is_over() { Err(TooLate.into()) } else { Ok(connection) })
        })))
    }

    /// Connects as the others do, in all particulars, and closes the connection before anything is sent.
    pub fn prober(&self) -> Result<reqwest::Client, ClientError> {
        built(self.builder()?.connector_layer(MapResultLayer::new(|connected: Result<_, BoxError>| {
            connected.and_then(|connection| {
                drop(connection);
                Err(Stands.into())
            })
        })))
    }

    fn builder(&self) -> Result<ClientBuilder, ClientError> {
        let mut builder = reqwest::Client::builder()
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(0)
            .http1_only()
            // A control character in one header must not cost the answer: its status is what status must say.
            .http1_ignore_invalid_headers_in_responses(true)
            .no_proxy()
            .referer(false)
            .tcp_nodelay(true)
            // Else the kernel could deliver the request minutes after we have given it up.
            .tcp_user_timeout(self.request_timeout)
            .connect_timeout(self.connect_timeout)
            .timeout(self.request_timeout)
            .user_agent(concat!("redistribution-operator/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(self.names.clone()))
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

/// Whether a connection failed only because it came too late.
pub fn is_too_late(error: &reqwest::Error) -> bool {
    is_caused_by::<TooLate>(error)
}

/// Whether a connection failed only since it was closed when it stood.
pub fn stands(error: &reqwest::Error) -> bool {
    is_caused_by::<Stands>(error)
}

fn is_caused_by<Cause: Error + 'static>(error: &reqwest::Error) -> bool {
    std::iter::successors(error.source(), |&error| error.source()).any(<dyn Error>::is::<Cause>)
}
