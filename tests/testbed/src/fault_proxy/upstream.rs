//! The targets of the proxies, and the certificates that proxies present: created once, shared by all of them.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::sync::CancellationToken;

use super::kubernetes::BoxError;
use simulator::{Simulator, certificate};

use crate::{control_plane::ControlPlane, own_file::OwnFile};

const CONNECT: Duration = Duration::from_secs(20);

#[derive(Clone)]
pub struct Kubernetes {
    address: SocketAddr,
    tls: TlsConnector,
}

impl Kubernetes {
    /// A connection of its own.
    pub async fn connect(&self, stop: &CancellationToken) -> Result<http1::SendRequest<Full<Bytes>>, BoxError> {
        let stream = timeout(CONNECT, TcpStream::connect(self.address)).await??;
        stream.set_nodelay(true)?;
        let name = ServerName::IpAddress(self.address.ip().into());
        let stream = timeout(CONNECT, self.tls.connect(name, stream)).await??;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move { drop(connection.await) }));
        Ok(sender)
    }
}

pub struct Network {
    pub(super) acceptor: TlsAcceptor,
    pub(super) stranger: TlsAcceptor,
    pub(super) kubernetes: Kubernetes,
    pub(super) cloud: SocketAddr,
    pub(super) cloud_tls: TlsConnector,
    ca_pem: String,
    ca_file: OwnFile,
}

impl Network {
    /// Between operators, this control plane and this cloud.
    pub fn new(plane: &ControlPlane, cloud: &Simulator) -> io::Result<Self> {
        let other = io::Error::other;
        let own = certificate::make(&[]).map_err(other)?;
        let stranger = certificate::make(&[]).map_err(other)?;
        let ca_file = OwnFile::write("fault-proxy-ca.pem", &own.ca_pem)?;
        let address = plane.url().trim_start_matches("https://").parse().map_err(io::Error::other)?;
        Ok(Self {
            acceptor: TlsAcceptor::from(own.server),
            stranger: TlsAcceptor::from(stranger.server),
            kubernetes: Kubernetes { address, tls: trusting(plane.ca_pem())? },
            cloud: cloud.address(),
            cloud_tls: trusting(cloud.ca_pem())?,
            ca_pem: own.ca_pem,
            ca_file,
        })
    }

    /// Authority of the proxies, as PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The same in a file.
    pub fn ca_file(&self) -> &std::path::Path {
        self.ca_file.path()
    }
}

fn trusting(ca_pem: &str) -> io::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
