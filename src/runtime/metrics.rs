//! What can be counted, under the names that controller-runtime and Prometheus clients use, where there are such.
//! `docs/metrics.md` lists all of it. Labels come from closed sets: no ids and no messages; names of objects only of the
//! few that a person has to look at. It decides nothing.

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
        ApiLabels, CLUSTER_RESULTS, ControllerLabels, DETAILS_RESULTS, LeaderLabels, LookLabels, ReasonLabels,
        ReconcileLabels, RequestLabels,
    },
    objects::Objects,
};
use crate::{runtime::watchdog::Watchdog, store::object::StoredObject};

/// The controller's name in the metrics that every controller has.
const CONTROLLER: &str = "clusterredistribution";
/// How long a reconciliation takes, the call of the cloud within it.
const RECONCILE_BUCKETS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];
const REQUEST_BUCKETS: [f64; 12] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

/// All metrics of the process.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Histogram,
    looks: Family<LookLabels, Counter>,
    observations: Family<LookLabels, Counter>,
    reconciles: Family<ReconcileLabels, Counter>,
    reconcile_errors: Family<ControllerLabels, Counter>,
    reconcile_seconds: Family<ControllerLabels, Histogram>,
    active_workers: Family<ControllerLabels, Gauge>,
    most_workers: Family<ControllerLabels, Gauge>,
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
    /// All at their beginning, so that a rate over them has something to begin from.
    pub fn new(watchdog: &Watchdog) -> Self {
        let metrics = Self {
            registry: Arc::default(),
            requests: Family::default(),
            request_seconds: Histogram::new(REQUEST_BUCKETS),
            looks: Family::default(),
            observations: Family::default(),
            reconciles: Family::default(),
            reconcile_errors: Family::default(),
            reconcile_seconds: Family::new_with_constructor(|| Histogram::new(RECONCILE_BUCKETS)),
            active_workers: Family::default(),
            most_workers: Family::default(),
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
            metrics.looks.get_or_create(&LookLabels { result }).inc_by(0);
        }
        for result in DETAILS_RESULTS {
            metrics.observations.get_or_create(&LookLabels { result }).inc_by(0);
        }
        for result in ["success", "requeue_after", "error"] {
            metrics.reconciles.get_or_create(&ReconcileLabels { controller: CONTROLLER, result }).inc_by(0);
        }
        Self { registry: Arc::new(metrics.registry(watchdog)), ..metrics }
    }

    /// An attempt is over.
    pub fn request(&self, outcome: &'static str, status_code: Option<u16>, took: Duration) {
        let code = status_code.map(|code| code.to_string()).unwrap_or_default();
        self.requests.get_or_create(&RequestLabels { outcome, code }).inc();
        self.request_seconds.observe(took.as_secs_f64());
    }

    /// A cluster was looked at.
    pub fn look(&self, result: &'static str) {
        self.looks.get_or_create(&LookLabels { result }).inc();
    }

    /// A redistribution was looked at.
    pub fn observation(&self, result: &'static str) {
        self.observations.get_or_create(&LookLabels { result }).inc();
    }

    /// Most reconciliations at once.
    pub fn workers(&self, most: u16) {
        self.most_workers.get_or_create(&ControllerLabels { controller: CONTROLLER }).set(i64::from(most));
    }

    /// A reconciliation begins; it lasts until what this returns is given to [`Self::reconciled`] or dropped.
    pub fn reconciling(&self, object: &StoredObject) -> Reconciling {
        self.objects.begun(object);
        let active = self.active_workers.get_or_create(&ControllerLabels { controller: CONTROLLER }).clone();
        active.inc();
        Reconciling { active, begin: Instant::now() }
    }

    /// A reconciliation is over: success, requeue_after or error.
    pub fn reconciled(&self, reconciling: &Reconciling, result: &'static str) {
        let controller = ControllerLabels { controller: CONTROLLER };
        self.reconciles.get_or_create(&ReconcileLabels { controller: CONTROLLER, result }).inc();
        self.reconcile_seconds.get_or_create(&controller).observe(reconciling.begin.elapsed().as_secs_f64());
        if result == "error" {
            self.reconcile_errors.get_or_create(&controller).inc();
        }
    }

    /// A request to the API server was answered, or failed.
    pub fn api_request(&self, code: &str, method: &str, host: &str) {
        let labels = ApiLabels { code: code.to_owned(), method: method.to_owned(), host: host.to_owned() };
        self.api_requests.get_or_create(&labels).inc();
    }

    /// An object began to be held.
    pub fn hold(&self, reason: crate::api::Reason) {
        self.holds.get_or_create(&ReasonLabels { reason: reason.as_str() }).inc();
    }

    /// Calls in flight now.
    pub fn in_flight(&self, calls: usize) {
        self.in_flight.set(i64::try_from(calls).unwrap_or(i64::MAX));
    }

    /// Objects whose status is not whole now.
    pub fn hidden(&self, objects: usize) {
        self.hidden.set(i64::try_from(objects).unwrap_or(i64::MAX));
    }

    /// The watch met an error.
    pub fn watch_error(&self) {
        self.watch_errors.inc();
    }

    /// There were too many events at once.
    pub fn event_dropped(&self) {
        self.events_dropped.inc();
    }

    /// Whether this process leads, by the Lease of this name.
    pub fn leading(&self, lease: &str, leads: bool) {
        self.leading.get_or_create(&LeaderLabels { name: lease.to_owned() }).set(i64::from(leads));
        self.objects.show(leads);
    }

    /// There is no election: this process always leads.
    pub fn alone(&self) {
        self.objects.show(true);
    }

    /// For the watch, which tells it of every object.
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// The text that `/metrics` answers with.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail; a half text is better than none all the same.
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

/// A reconciliation under way.
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
