//! The three pages for probes and monitoring, and the watchdog behind `/livez`. They change nothing.
//!
//! Anybody in the cluster may reach the port, so connections, heads and times are bounded: neither memory nor file
//! descriptors nor probes suffer, whatever clients do.
//!
//! The watchdog distinguishes a watch that is silent because nothing happens from a dead one: the API server ends an idle
//! watch, and it is opened again, within a minute.

use std::{
    collections::VecDeque,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use kube::Client;
use prometheus_client::metrics::gauge::Gauge;
use rustix::process::{Resource, getrlimit};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, yield_now},
    time::{Instant, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::runtime::{metrics::Metrics, synced::Synced};

/// Checks within `stale_after`: enough to distinguish a server that answers from an unavailable one.
const CHECKS: u32 = 15;
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections at once, and at most a quarter of the file descriptors that the process may open: calls need them too.
const MAX_CONNECTIONS: usize = 64;
/// Bytes of a request's head.
const MAX_HEAD: usize = 16 * 1024;
/// From the start of a connection until its head is complete.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// From the start of a connection until its end.
const CONNECTION_TIME: Duration = Duration::from_secs(30);
/// Pause after a connection could not be accepted, such as without a free file descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[derive(Clone)]
pub struct Admin {
    pub metrics: Metrics,
    pub watchdog: Watchdog,
    pub synced: Synced,
    pub closing: CancellationToken,
}

/// Binds the address. The unspecified IPv6 address means IPv6 and IPv4, whatever the kernel's default is
/// (`net.ipv6.bindv6only`), and IPv4 alone on a kernel without IPv6.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, String> {
    let listener = if address.is_ipv6() && address.ip().is_unspecified() {
        match Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP)) {
            Ok(socket) => both_families(&socket, address).and_then(|()| TcpListener::from_std(socket.into())),
            Err(_) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await,
        }
    } else {
        TcpListener::bind(address).await
    };
    listener.map_err(|error| {
        format!("--listen {address} is not possible: {error}. Choose another address or port (port 0 takes a free one)")
    })
}

fn both_families(socket: &Socket, address: SocketAddr) -> std::io::Result<()> {
    socket.set_only_v6(false)?;
    // The rest is as in tokio.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)
}

/// Serves during the shutdown too, since a call in flight may take long.
pub async fn serve(listener: TcpListener, admin: Admin) {
    let router = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Arc::new(admin));
    let max_connections = max_connections(getrlimit(Resource::Nofile).current);
    let mut connections = VecDeque::<AbortHandle>::new();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                if let Some(oldest) = connections.pop_front() {
                    oldest.abort();
                }
                tracing::debug!(%error, "a connection for /livez, /readyz or /metrics could not be accepted");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        connections.retain(|connection| !connection.is_finished());
        // The oldest one is closed: it has had its time.
        if connections.len() >= max_connections
            && let Some(oldest) = connections.pop_front()
        {
            oldest.abort();
        }
        connections.push_back(tokio::spawn(answer(stream, router.clone())).abort_handle());
        // Before the next one is accepted, this one is answered and the evicted one closes its socket.
        yield_now().await;
    }
}

fn max_connections(file_descriptors: Option<u64>) -> usize {
    let quarter = file_descriptors.and_then(|limit| usize::try_from(limit / 4).ok());
    quarter.map_or(MAX_CONNECTIONS, |quarter| quarter.clamp(1, MAX_CONNECTIONS))
}

/// One request each: a client that sends many and reads no response would else keep as many responses in memory.
async fn answer(stream: TcpStream, router: Router) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(MAX_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Ok(Err(error)) = timeout(CONNECTION_TIME, served).await {
        tracing::debug!(%error, "a connection for /livez, /readyz or /metrics failed");
    }
}

async fn livez(State(admin): State<Arc<Admin>>) -> (StatusCode, &'static str) {
    if admin.watchdog.is_alive() {
        return (StatusCode::OK, "ok\n");
    }
    let why = "the watch has been silent for longer than --stale-after although the API server answers\n";
    (StatusCode::INTERNAL_SERVER_ERROR, why)
}

async fn readyz(State(admin): State<Arc<Admin>>) -> (StatusCode, &'static str) {
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

/// How long the watch has been silent while the API server answered; alive while that is less than `stale_after`.
#[derive(Clone, Debug)]
pub struct Watchdog {
    stale_after: Duration,
    arrivals: Arc<AtomicU64>,
    silent_seconds: Gauge<f64, AtomicU64>,
}

impl Watchdog {
    pub fn new(stale_after: Duration, silent_seconds: Gauge<f64, AtomicU64>) -> Self {
        Self { stale_after, arrivals: Arc::default(), silent_seconds }
    }

    /// The watch delivered something or was opened, or failed: a watch that fails is opened again and is not dead.
    pub fn record_arrival(&self) {
        self.arrivals.fetch_add(1, Ordering::Relaxed);
    }

    /// Checks at intervals until the process ends.
    pub async fn run(self, client: Client) {
        let mut ticks = interval(self.stale_after / CHECKS);
        let (mut last, mut seen) = (Instant::now(), 0);
        loop {
            ticks.tick().await;
            // Asked only while the watch is silent: to distinguish a dead watch from an outage.
            let answers = self.arrivals.load(Ordering::Relaxed) != seen
                || matches!(timeout(CHECK_TIMEOUT, client.apiserver_version()).await, Ok(Ok(_)));
            let now = Instant::now();
            seen = self.check(seen, answers, now - last);
            last = now;
        }
    }

    /// Returns the arrivals so far; `seen` were those at the last check.
    fn check(&self, seen: u64, server_answers: bool, since_last: Duration) -> u64 {
        let arrivals = self.arrivals.load(Ordering::Relaxed);
        // An unavailable API server is no reason to restart: the process may hold an outcome that is not written yet.
        let is_silent = arrivals == seen && server_answers;
        self.silent_seconds.set(if is_silent { self.silent_seconds.get() + since_last.as_secs_f64() } else { 0.0 });
        arrivals
    }

    pub fn is_alive(&self) -> bool {
        self.silent_seconds.get() < self.stale_after.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn connections_take_at_most_a_quarter_of_the_file_descriptors() {
        assert_eq!([Some(64), Some(2), Some(1 << 20), None].map(max_connections), [16, 1, 64, 64]);
    }

    fn watchdog() -> Watchdog {
        Watchdog::new(5 * MINUTE, Gauge::default())
    }

    #[test]
    fn a_silent_watch_of_an_answering_server_is_dead_after_five_minutes() {
        let watchdog = watchdog();
        for minute in 1..=5 {
            watchdog.check(0, true, MINUTE);
            assert_eq!(watchdog.is_alive(), minute < 5);
        }
    }

    #[test]
    fn an_unavailable_api_server_never_makes_the_process_dead() {
        let watchdog = watchdog();
        for _ in 0..100 {
            watchdog.check(0, false, MINUTE);
            assert!(watchdog.is_alive());
        }
    }

    #[test]
    fn anything_from_the_watch_resets_the_idle_time() {
        let (watchdog, mut seen) = (watchdog(), 0);
        for count in 0..100 {
            if count % 4 == 0 {
                watchdog.record_arrival();
            }
            seen = watchdog.check(seen, true, MINUTE);
            assert!(watchdog.is_alive());
        }
    }
}
