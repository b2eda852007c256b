//! Probes an endpoint through the connector of the calls (names, addresses, proxy, TLS, timeouts) without sending a
//! request. The probe fails if and only if a call could not connect.

use url::Host;

use super::{Client, cause::root_cause, client::is_connected, names::NameError};
use crate::protocol::regions::Endpoint;

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
    pub fn unresolved<'a>(&'a self, endpoint: &'a Endpoint) -> Option<&'a str> {
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
