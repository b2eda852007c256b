//! Distinguishes a watch that is silent because nothing happens from a dead one. kube-runtime does not pass bookmarks
//! on, so the watchdog counts what arrives on the connection: the API server ends an idle watch, and it is opened
//! again, within a minute.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::Response;
use http_body::Body;
use http_body_util::BodyExt;
use kube::Client;
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::{Instant, interval, timeout};

/// Checks within the time after which a silent watch is dead: enough to distinguish a server that answers from an
/// unavailable one.
const CHECKS: u32 = 15;
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// PURE: how long the watch has been silent while the API server answered.
#[derive(Debug)]
pub struct IdleTime {
    stale_after: Duration,
    bytes_seen: u64,
    silent_for: Duration,
}

impl IdleTime {
    /// `stale_after`: the silence after which the process is no longer alive, provided the API server answers all that
    /// time.
    pub fn new(stale_after: Duration) -> Self {
        Self { stale_after, bytes_seen: 0, silent_for: Duration::ZERO }
    }

    /// One check: the number of frames so far, whether a plain GET was answered, and the time since the last check.
    pub fn check(&mut self, bytes_seen: u64, server_answers: bool, since_last: Duration) {
        // An unavailable API server is no fault of this process, and no reason to restart it: the process may hold an
        // outcome that is not written yet.
        if bytes_seen != self.bytes_seen || !server_answers {
            self.silent_for = Duration::ZERO;
        } else {
            self.silent_for += since_last;
        }
        self.bytes_seen = bytes_seen;
    }

    /// How long the watch has been silent.
    pub fn lasted(&self) -> Duration {
        self.silent_for
    }

    /// Whether the watch has been silent for less than `stale_after`.
    pub fn is_alive(&self) -> bool {
        self.silent_for < self.stale_after
    }
}

/// Counts what arrives on the watch connections.
#[derive(Clone, Debug)]
pub struct Watchdog {
    arrivals: Arc<AtomicU64>,
    idle: Arc<Mutex<IdleTime>>,
    silent: Gauge<f64, AtomicU64>,
    check_every: Duration,
}

impl Watchdog {
    /// See [`IdleTime::new`]. `silent`: the gauge of the idle time.
    pub fn new(stale_after: Duration, silent: Gauge<f64, AtomicU64>) -> Self {
        Self {
            arrivals: Arc::default(),
            silent,
            idle: Arc::new(Mutex::new(IdleTime::new(stale_after))),
            check_every: stale_after / CHECKS,
        }
    }

    /// Counts the head and every frame of a response. For the client that watches, and only for that client.
    pub fn count<B: Body>(
        &self,
        response: Response<B>,
    ) -> Response<impl Body<Data = B::Data, Error = B::Error> + use<B>> {
        self.arrivals.fetch_add(1, Ordering::Relaxed);
        let arrivals = Arc::clone(&self.arrivals);
        response.map(|body| {
            body.map_frame(move |frame| {
                arrivals.fetch_add(1, Ordering::Relaxed);
                frame
            })
        })
    }

    /// The watch delivered something: an error too, since a watch that fails is opened again and is not dead.
    pub fn record_arrival(&self) {
        self.arrivals.fetch_add(1, Ordering::Relaxed);
    }

    /// Checks at intervals until the process ends. `client` must not be the one whose responses are counted.
    pub async fn run(self, client: Client) {
        let mut ticks = interval(self.check_every);
        let (mut last, mut before) = (Instant::now(), 0);
        loop {
            ticks.tick().await;
            let arrivals = self.arrivals.load(Ordering::Relaxed);
            // The API server is asked only while the watch is silent: to distinguish a dead watch from an outage.
            let answers = std::mem::replace(&mut before, arrivals) != arrivals
                || matches!(timeout(CHECK_TIMEOUT, client.apiserver_version()).await, Ok(Ok(_)));
            let now = Instant::now();
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.check(self.arrivals.load(Ordering::Relaxed), answers, now - last);
            self.silent.set(idle.lasted().as_secs_f64());
            last = now;
        }
    }

    /// See [`IdleTime::is_alive`].
    pub fn is_alive(&self) -> bool {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).is_alive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_silent_watch_of_an_answering_server_is_dead_after_five_minutes() {
        let mut idle = IdleTime::new(5 * MINUTE);
        for minute in 1..=5 {
            idle.check(0, true, MINUTE);
            assert_eq!(idle.is_alive(), minute < 5);
        }
    }

    #[test]
    fn an_unavailable_api_server_never_makes_the_process_dead() {
        let mut idle = IdleTime::new(5 * MINUTE);
        for _ in 0..100 {
            idle.check(7, false, MINUTE);
            assert!(idle.is_alive());
        }
    }

    #[test]
    fn any_byte_on_the_watch_resets_the_idle_time() {
        let mut idle = IdleTime::new(5 * MINUTE);
        for count in 0..100 {
            idle.check(count / 4, true, MINUTE);
            assert!(idle.is_alive());
        }
    }
}
