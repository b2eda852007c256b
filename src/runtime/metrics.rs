//! The metrics, named as in controller-runtime and Prometheus clients where those have them; `docs/metrics.md` lists
//! all. Labels come from closed sets: no ids and no messages; names of objects only for the few that need a person.
//! Decides nothing.

mod labels;
mod named;
pub mod objects;
mod process;
mod registry;
mod requests;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

pub use self::requests::CountRequests;
use self::{
    labels::{
        ApiLabels, CLUSTER_RESULTS, ControllerLabels, DETAILS_RESULTS, LeaderLabels, ReadLabels, ReasonLabels,
        ReconcileLabels, RequestLabels,
    },
    objects::Objects,
};
use crate::{runtime::watchdog::Watchdog, store::object::StoredObject};

/// The controller's name in the metrics that every controller exports.
const CONTROLLER: &str = "clusterredistribution";
/// Seconds of a reconciliation; calls and polls have tasks of their own.
const RECONCILE_BUCKETS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];
/// Seconds of a request to the cloud.
const REQUEST_BUCKETS: [f64; 12] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

/// All metrics of the process.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Histogram,
    cluster_reads: Family<ReadLabels, Counter>,
    observations: Family<ReadLabels, Counter>,
    reconciles: Family<ReconcileLabels, Counter>,
    reconcile_errors: Family<ControllerLabels, Counter>,
    reconcile_seconds: Family<ControllerLabels, Histogram>,
    active_workers: Family<ControllerLabels, Gauge>,
    max_workers: Family<ControllerLabels, Gauge>,
    api_requests: Family<ApiLabels, Counter>,
    holds: Family<ReasonLabels, Counter>,
    in_flight: Gauge,
    hidden: Gauge,
    watch_errors: Counter,
    events_dropped: Counter,
    leading: Family<LeaderLabels, Gauge>,
    objects: Arc<Objects>,
}

impl Metrics {
    /// All metrics at zero, so that a rate over them has a first value.
    pub fn new(watchdog: &Watchdog) -> Self {
        let metrics = Self {
            registry: Arc::default(),
            requests: Family::default(),
            request_seconds: Histogram::new(REQUEST_BUCKETS),
            cluster_reads: Family::default(),
            observations: Family::default(),
            reconciles: Family::default(),
            reconcile_errors: Family::default(),
            reconcile_seconds: Family::new_with_constructor(|| Histogram::new(RECONCILE_BUCKETS)),
            active_workers: Family::default(),
            max_workers: Family::default(),
            api_requests: Family::default(),
            holds: Family::default(),
            in_flight: Gauge::default(),
            hidden: Gauge::default(),
            watch_errors: Counter::default(),
            events_dropped: Counter::default(),
            leading: Family::default(),
            objects: Arc::default(),
        };
        let controller = ControllerLabels { controller: CONTROLLER };
        metrics.reconcile_errors.get_or_create(&controller).inc_by(0);
        drop(metrics.reconcile_seconds.get_or_create(&controller));
        metrics.active_workers.get_or_create(&controller).set(0);
        for result in CLUSTER_RESULTS {
            metrics.cluster_reads.get_or_create(&ReadLabels { result }).inc_by(0);
        }
        for result in DETAILS_RESULTS {
            metrics.observations.get_or_create(&ReadLabels { result }).inc_by(0);
        }
        for result in ["success", "requeue_after", "error"] {
            metrics.reconciles.get_or_create(&ReconcileLabels { controller: CONTROLLER, result }).inc_by(0);
        }
        Self { registry: Arc::new(metrics.registry(watchdog)), ..metrics }
    }

    /// An attempt has ended.
    pub fn request(&self, outcome: &'static str, status_code: Option<u16>, took: Duration) {
        let code = status_code.map(|code| code.to_string()).unwrap_or_default();
        self.requests.get_or_create(&RequestLabels { outcome, code }).inc();
        self.request_seconds.observe(took.as_secs_f64());
    }

    /// A cluster was read.
    pub fn cluster_read(&self, result: &'static str) {
        self.cluster_reads.get_or_create(&ReadLabels { result }).inc();
    }

    /// A redistribution was read.
    pub fn observation(&self, result: &'static str) {
        self.observations.get_or_create(&ReadLabels { result }).inc();
    }

    /// Maximum number of concurrent reconciliations.
    pub fn workers(&self, max: u16) {
        self.max_workers.get_or_create(&ControllerLabels { controller: CONTROLLER }).set(i64::from(max));
    }

    /// A reconciliation starts; it ends when the returned value is dropped, and is counted by [`Self::reconciled`].
    pub fn reconciling(&self, object: &StoredObject) -> Reconciling {
        self.objects.reconcile_started(object);
        let active = self.active_workers.get_or_create(&ControllerLabels { controller: CONTROLLER }).clone();
        active.inc();
        Reconciling { active, begin: Instant::now() }
    }

    /// A reconciliation has ended. `result`: success, requeue_after or error.
    pub fn reconciled(&self, reconciling: &Reconciling, result: &'static str) {
        let controller = ControllerLabels { controller: CONTROLLER };
        self.reconciles.get_or_create(&ReconcileLabels { controller: CONTROLLER, result }).inc();
        self.reconcile_seconds.get_or_create(&controller).observe(reconciling.begin.elapsed().as_secs_f64());
        if result == "error" {
            self.reconcile_errors.get_or_create(&controller).inc();
        }
    }

    /// A request to the API server was answered or failed.
    pub fn api_request(&self, code: &str, method: &str, host: &str) {
        let labels = ApiLabels { code: code.to_owned(), method: method.to_owned(), host: host.to_owned() };
        self.api_requests.get_or_create(&labels).inc();
    }

    /// An object began to be held.
    pub fn hold(&self, reason: crate::api::Reason) {
        self.holds.get_or_create(&ReasonLabels { reason: reason.as_str() }).inc();
    }

    /// A call is in flight until the returned value is dropped.
    pub fn call_begins(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// Objects whose status is incomplete now.
    pub fn hidden(&self, objects: usize) {
        self.hidden.set(i64::try_from(objects).unwrap_or(i64::MAX));
    }

    /// A watch failed.
    pub fn watch_error(&self) {
        self.watch_errors.inc();
    }

    /// A Kubernetes Event was dropped because there were too many at once.
    pub fn event_dropped(&self) {
        self.events_dropped.inc();
    }

    /// Whether this process leads by the Lease of this name.
    pub fn leading(&self, lease: &str, leads: bool) {
        self.leading.get_or_create(&LeaderLabels { name: lease.to_owned() }).set(i64::from(leads));
        self.objects.export(leads);
    }

    /// Without election: this process always leads.
    pub fn always_leading(&self) {
        self.objects.export(true);
    }

    /// The metrics of objects, which the watch updates.
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// The response of `/metrics`, in the OpenMetrics text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail; if it did, half a text would be better than none.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
impl Default for Metrics {
    fn default() -> Self {
        Self::new(&Watchdog::new(Duration::from_secs(300)))
    }
}

/// A call in flight.
pub struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A reconciliation in progress.
pub struct Reconciling {
    active: Gauge,
    begin: Instant,
}

impl Drop for Reconciling {
    fn drop(&mut self) {
        self.active.dec();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;
