//! The HTTP client with everything off that could send a second time, and one that only connects.

use std::{error::Error, sync::Arc, time::Duration};

use reqwest::{ClientBuilder, redirect::Policy};
use rustls::ClientConfig;
use tower::{BoxError, util::MapResultLayer};

use super::ClientError;
use crate::dws::{cause::innermost, names::Names, proxy::Proxy};

/// What such a client is made from.
pub struct Strict {
    pub tls: ClientConfig,
    pub proxy: Option<Proxy>,
    pub names: Names,
    pub connect_timeout: Duration,
    pub request_timeout: Duration,
}

/// A connection stands, TLS included, and no more was wanted.
#[derive(Debug, thiserror::Error)]
#[error("the connection stands")]
struct Stands;

impl Strict {
    /// For requests that may be made at any time.
    pub fn client(&self) -> Result<reqwest::Client, ClientError> {
        built(self.builder()?)
    }

    /// Connects as the others do, in all particulars, and gives the connection up before anything is sent.
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
    builder.build().map_err(|error| ClientError::Setup(innermost(&error)))
}

/// Whether a connection only failed since it was given up when it stood.
pub fn stands(error: &reqwest::Error) -> bool {
    std::iter::successors(error.source(), |&error| error.source()).any(<dyn Error>::is::<Stands>)
}
