//! Does an endpoint answer? Connects and does the TLS handshake, through the proxy if there is one, and sends no
//! request. Where a call could not connect, this fails.

use std::{sync::Arc, time::Duration};

use http::Uri;
use hyper_util::{
    client::legacy::connect::{HttpConnector, proxy::Tunnel},
    rt::TokioIo,
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;
use tower::Service;

use super::{cause::innermost, endpoint::Endpoint, proxy::Proxy};

/// An endpoint did not answer the probe. For the log; status says less.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ProbeError(String);

/// See the module.
pub struct Prober {
    tls: TlsConnector,
    proxy: Option<Proxy>,
    within: Duration,
}

impl Prober {
    /// With the TLS configuration, proxy and connect timeout of the calls.
    pub fn new(tls: ClientConfig, proxy: Option<Proxy>, within: Duration) -> Self {
        Self { tls: TlsConnector::from(Arc::new(tls)), proxy, within }
    }

    /// Probes.
    pub async fn probe(&self, endpoint: &Endpoint) -> Result<(), ProbeError> {
        match timeout(self.within, self.connect(endpoint)).await {
            Ok(result) => result,
            Err(_) => Err(ProbeError("no connection in time".to_owned())),
        }
    }

    async fn connect(&self, endpoint: &Endpoint) -> Result<(), ProbeError> {
        let failed = |error: &dyn std::error::Error| ProbeError(innermost(error));
        let host = endpoint.url.host_str().unwrap_or_default();
        let bare = host.trim_matches(['[', ']']);
        let port = endpoint.url.port_or_known_default().unwrap_or(443);
        let name = ServerName::try_from(bare.to_owned()).map_err(|error| failed(&error))?;
        // Plain http is for loopback alone: there, connecting is all there is.
        let secure = endpoint.url.scheme() == "https";
        if let Some(proxy) = self.proxy.as_ref().filter(|_| secure) {
            let target: Uri = format!("https://{host}:{port}").parse().map_err(|error| failed(&error))?;
            let mut tunnel = Tunnel::new(proxy.address.clone(), HttpConnector::new());
            if let Some(login) = &proxy.login {
                tunnel = tunnel.with_auth(login.clone());
            }
            let stream = tunnel.call(target).await.map_err(|error| failed(&error))?;
            self.tls.connect(name, TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
        } else {
            let stream = TcpStream::connect((bare, port)).await.map_err(|error| failed(&error))?;
            if secure {
                self.tls.connect(name, stream).await.map_err(|error| failed(&error))?;
            }
        }
        Ok(())
    }
}
