//! Probes an endpoint through the connector of the calls (names, addresses, proxy, TLS, timeouts) without sending a
//! request. The probe fails if and only if a call could not connect.

use url::Host;

use std::time::Duration;

use super::{Client, cause::root_cause, client::is_connected, health::EndpointHealth, names::NameError};
use crate::{
    api::Reason,
    protocol::{hold::Hold, regions::Endpoint},
    runtime::jitter::jittered_at_least,
};

/// Why an endpoint did not answer the probe. For the log; status holds less.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// DNS returned no address for its name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The connection or the TLS handshake failed.
    #[error("{0}")]
    Connection(String),
}

impl Client {
    /// Whether a request to this endpoint can connect, as far as that is known: an endpoint that failed before, or is
    /// `suspect`, is probed, one probe at a time; of any other only the name is resolved, since DNS may take longer than a
    /// claim may wait for its request. Returns whether the endpoint was unreachable before.
    pub async fn reach(&self, endpoint: &Endpoint, suspect: bool) -> Result<bool, Hold> {
        let probe = self
            .health()
            .enter(&endpoint.host)
            .await
            .map_err(|wait| self.unreachable(endpoint, jittered_at_least(wait)))?;
        let result = if probe.is_some() || suspect {
            self.probe(endpoint).await.map(|()| self.health.reached(&endpoint.host))
        } else {
            self.resolve(endpoint).await.map(|()| false).map_err(ProbeError::from)
        };
        result.map_err(|error| {
            let pause = self.health.failed(&endpoint.host);
            tracing::info!(endpoint = %endpoint.host, %error, "the endpoint cannot be reached");
            self.unreachable(endpoint, pause)
        })
    }

    /// What is known of the endpoints.
    pub const fn health(&self) -> &EndpointHealth {
        &self.health
    }

    /// The endpoint did not accept a connection, or DNS did not resolve its name, which has to come first.
    pub fn unreachable(&self, endpoint: &Endpoint, retry_after: Duration) -> Hold {
        let host = &endpoint.host;
        let message = match self.unresolved(endpoint) {
            Some(name) => format!(
                "{host} cannot be reached: DNS gives no address for {name}. Nothing was sent. The operator retries automatically; check the name, and the DNS of the controller's host or pod"
            ),
            None => format!(
                "{host} cannot be reached. Nothing was sent. The operator retries automatically; check the network, the proxy and --ca-bundle"
            ),
        };
        Hold { reason: Reason::EndpointUnreachable, message, retry_after }
    }

    /// Connects, completes the TLS handshake and sends no request: fails where a call could not connect.
    pub async fn probe(&self, endpoint: &Endpoint) -> Result<(), ProbeError> {
        self.resolve(endpoint).await?;
        match self.prober.get(endpoint.url.clone()).send().await {
            Err(error) if !is_connected(&error) => {
                if let Some(name) = self.name_of(endpoint) {
                    self.dns.forget(name);
                }
                Err(ProbeError::Connection(root_cause(&error)))
            }
            _ => Ok(()),
        }
    }

    /// Resolves the addresses of an endpoint in advance, so that the next connection need not wait for DNS.
    pub async fn resolve(&self, endpoint: &Endpoint) -> Result<(), NameError> {
        match self.name_of(endpoint) {
            Some(name) => self.dns.resolve(name).await.map(drop),
            None => Ok(()),
        }
    }

    /// The name of this endpoint that DNS did not resolve at the last query.
    fn unresolved<'a>(&'a self, endpoint: &'a Endpoint) -> Option<&'a str> {
        self.name_of(endpoint).filter(|name| self.dns.is_failing(name))
    }

    /// The name to resolve: the proxy's if there is a proxy, which resolves the endpoint's name itself. `None` for an IP
    /// address.
    fn name_of<'a>(&'a self, endpoint: &'a Endpoint) -> Option<&'a str> {
        // As for the call: plain http bypasses the proxy.
        match self.proxy.as_ref().filter(|_| endpoint.url.scheme() == "https") {
            Some(proxy) => proxy.name(),
            None => match endpoint.url.host() {
                Some(Host::Domain(name)) => Some(name),
                _ => None,
            },
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
