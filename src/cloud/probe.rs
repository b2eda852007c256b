//! Does an endpoint answer? Tries it by the very connector of the calls (names, addresses, proxy, TLS, times) and sends no
//! request. Where a call could not connect, this fails, and where one could, it does not.

use url::Host;

use super::{Client, cause::root_cause, client::stands, names::NameError};
use crate::protocol::regions::Endpoint;

/// An endpoint did not answer the probe. For the log; status says less.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Its name has no address.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No connection, or no TLS.
    #[error("{0}")]
    Connection(String),
}

impl Client {
    /// Connects and does the TLS handshake, and sends no request: where a call could not connect, this fails.
    pub async fn probe(&self, endpoint: &Endpoint) -> Result<(), ProbeError> {
        self.resolve(endpoint).await?;
        match self.prober.get(endpoint.url.clone()).send().await {
            Err(error) if !stands(&error) => {
                if let Some(name) = self.name_of(endpoint) {
                    self.names.forget(name);
                }
                Err(ProbeError::Connection(root_cause(&error)))
            }
            _ => Ok(()),
        }
    }

    /// Has the addresses of an endpoint ready for the next connection, which then need not wait for DNS.
    pub async fn resolve(&self, endpoint: &Endpoint) -> Result<(), NameError> {
        match self.name_of(endpoint) {
            Some(name) => self.names.resolve(name).await.map(drop),
            None => Ok(()),
        }
    }

    /// The name that DNS did not resolve when it was last asked for this endpoint.
    pub fn unresolved<'a>(&'a self, endpoint: &'a Endpoint) -> Option<&'a str> {
        self.name_of(endpoint).filter(|name| self.names.is_failing(name))
    }

    /// The name that has to be resolved: a proxy resolves the endpoint's itself. None if there is an address.
    fn name_of<'a>(&'a self, endpoint: &'a Endpoint) -> Option<&'a str> {
        // As for the call: plain http goes past the proxy.
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
