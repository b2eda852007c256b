//! Tells a watch that is silent because nothing happens from one that is dead. kube-runtime does not surface bookmarks,
//! so the bytes themselves are what is watched: a quiet watch is ended by the API server and opened anew within a minute.

use std::{
    fmt,
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
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::gauge::ConstGauge,
};
use tokio::time::{Instant, interval, timeout};

/// Checks within the time after which silence counts as death: enough to tell a server that answers from one that is away.
const LOOKS: u32 = 15;
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// PURE core: how long the watch has been silent while the API server answered.
#[derive(Debug)]
pub struct IdleTime {
    stale_after: Duration,
    bytes_seen: u64,
    silent_for: Duration,
}

impl IdleTime {
    /// `stale_after`: silence after which the process is not alive any more, provided the API server answers all that
    /// time.
    pub fn new(stale_after: Duration) -> Self {
        Self { stale_after, bytes_seen: 0, silent_for: Duration::ZERO }
    }

    /// One look: the number of frames so far, whether a plain GET was answered, and the time since the last look.
    pub fn look(&mut self, bytes_seen: u64, server_answers: bool, since_last: Duration) {
        // An API server that is away is no fault of this process, and no reason to restart it while it may be holding
        // an outcome that is not written yet.
        if bytes_seen != self.bytes_seen || !server_answers {
            self.silent_for = Duration::ZERO;
        } else {
            self.silent_for += since_last;
        }
        self.bytes_seen = bytes_seen;
    }

    /// How long the silence has lasted.
    pub fn lasted(&self) -> Duration {
        self.silent_for
    }

    /// Alive: the silence has not lasted too long.
    pub fn is_alive(&self) -> bool {
        self.silent_for < self.stale_after
    }
}

/// Counts what arrives on the watch connections.
#[derive(Clone, Debug)]
pub struct Watchdog {
    arrivals: Arc<AtomicU64>,
    silence: Arc<Mutex<IdleTime>>,
    look_every: Duration,
}

impl Watchdog {
    /// See [`IdleTime::new`].
    pub fn new(stale_after: Duration) -> Self {
        Self {
            arrivals: Arc::default(),
            silence: Arc::new(Mutex::new(IdleTime::new(stale_after))),
            look_every: stale_after / LOOKS,
        }
    }

    /// Counts the head and every frame of an answer. For the client that watches, and only for that.
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

    /// Something was heard of the watch: also an error, since a watch that fails is opened again and is not dead.
    pub fn notice(&self) {
        self.arrivals.fetch_add(1, Ordering::Relaxed);
    }

    /// Checks now and then until the process ends. `client` must not be the counted one.
    pub async fn run(self, client: Client) {
        let mut ticks = interval(self.look_every);
        let (mut last, mut heard) = (Instant::now(), 0);
        loop {
            ticks.tick().await;
            let arrivals = self.arrivals.load(Ordering::Relaxed);
            // Only silence has to be told from an outage.
            let answers = std::mem::replace(&mut heard, arrivals) != arrivals
                || matches!(timeout(LOOK_TIMEOUT, client.apiserver_version()).await, Ok(Ok(_)));
            let now = Instant::now();
            let mut silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
            silence.look(self.arrivals.load(Ordering::Relaxed), answers, now - last);
            last = now;
        }
    }

    /// See [`IdleTime::is_alive`].
    pub fn is_alive(&self) -> bool {
        self.silence.lock().unwrap_or_else(PoisonError::into_inner).is_alive()
    }
}

impl Collector for Watchdog {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let lasted = self.silence.lock().unwrap_or_else(PoisonError::into_inner).lasted();
        let (name, help) = (
            "dws_redistribution_watch_silent_seconds",
            "How long the watch has been silent while the API server answered; at --stale-after the process is not alive",
        );
        let gauge = ConstGauge::new(lasted.as_secs_f64());
        gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_quiet_watch_whose_server_answers_is_dead_after_five_minutes_and_not_before() {
        let mut silence = IdleTime::new(5 * MINUTE);
        for minute in 1..=5 {
            silence.look(0, true, MINUTE);
            assert_eq!(silence.is_alive(), minute < 5);
        }
    }

    #[test]
    fn an_api_server_that_is_away_never_makes_the_process_dead() {
        let mut silence = IdleTime::new(5 * MINUTE);
        for _ in 0..100 {
            silence.look(7, false, MINUTE);
            assert!(silence.is_alive());
        }
    }

    #[test]
    fn any_byte_on_the_watch_starts_the_count_anew() {
        let mut silence = IdleTime::new(5 * MINUTE);
        for count in 0..100 {
            silence.look(count / 4, true, MINUTE);
            assert!(silence.is_alive());
        }
    }
}
