//! The three pages for probes and monitoring. They change nothing.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::runtime::{metrics::Metrics, synced::Synced, watchdog::Watchdog};

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("--listen {address} is not possible: {source}. Choose another address or port (port 0 takes a free one)")]
pub struct ListenError {
    address: SocketAddr,
    source: std::io::Error,
}

/// The sources of the pages.
#[derive(Clone)]
pub struct Admin {
    /// For `/metrics`.
    pub metrics: Metrics,
    /// For `/livez`.
    pub watchdog: Watchdog,
    /// For `/readyz`: all first lists are complete.
    pub synced: Synced,
    /// For `/readyz`: not while shutting down.
    pub closing: CancellationToken,
}

/// Binds the address. The unspecified IPv6 address means IPv6 and IPv4, whatever the kernel's default is
/// (`net.ipv6.bindv6only`), and IPv4 alone on a kernel without IPv6.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let listener = if address.is_ipv6() && address.ip().is_unspecified() {
        match Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP)) {
            Ok(socket) => both_families(&socket, address).and_then(|()| TcpListener::from_std(socket.into())),
            Err(_) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await,
        }
    } else {
        TcpListener::bind(address).await
    };
    listener.map_err(|source| ListenError { address, source })
}

fn both_families(socket: &Socket, address: SocketAddr) -> std::io::Result<()> {
    socket.set_only_v6(false)?;
    // The rest is as in tokio.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)
}

/// Serves until the process ends: during the shutdown too, since a call in flight may take long.
pub async fn serve(listener: TcpListener, admin: Admin) {
    let router = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Arc::new(admin));
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "the server of /livez, /readyz and /metrics has failed");
    }
}

async fn livez(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    if admin.watchdog.is_alive() {
        (StatusCode::OK, "ok\n")
    } else {
        (
            StatusCode::INTERNAL_SERVER_ERROR,
            "the watch has been silent for longer than --stale-after although the API server answers\n",
        )
    }
}

async fn readyz(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    if admin.closing.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n")
    } else if admin.synced.are_all_complete() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the first list of objects is not complete\n")
    }
}

async fn metrics(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    ([("content-type", "application/openmetrics-text; version=1.0.0; charset=utf-8")], admin.metrics.text())
}
