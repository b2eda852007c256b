//! What can be counted. Labels come from closed sets: no ids, no names, no messages.

use std::{sync::Arc, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::Registry,
};

/// Labels of the request counter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// answered, not_sent or unknown.
    pub outcome: &'static str,
    /// HTTP status code, empty without an answer.
    pub code: String,
}

/// Labels of the reconcile counter, as controller-runtime names them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReconcileLabels {
    /// Always clusterredistribution.
    pub controller: &'static str,
    /// success or error.
    pub result: &'static str,
}

/// Labels of the hold counter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabels {
    /// Reason of the conditions.
    pub reason: &'static str,
}

/// Labels of the leadership gauge, as controller-runtime names them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LeaderLabels {
    /// Name of the Lease.
    pub name: String,
}

/// All metrics of the process.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Histogram,
    reconciles: Family<ReconcileLabels, Counter>,
    holds: Family<ReasonLabels, Counter>,
    in_flight: Gauge,
    watch_errors: Counter,
    leading: Family<LeaderLabels, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let requests = Family::default();
        let request_seconds = Histogram::new([0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0]);
        let (reconciles, holds, in_flight, watch_errors) =
            (Family::default(), Family::default(), Gauge::default(), Counter::default());
        registry.register(
            "dws_redistribution_requests",
            "Attempts to call the cloud, by what became of them",
            requests.clone(),
        );
        registry.register(
            "dws_redistribution_request_duration_seconds",
            "Time from sending a request to its outcome",
            request_seconds.clone(),
        );
        registry.register("dws_redistribution_holds", "Times an object began to be held, by reason", holds.clone());
        registry.register("dws_redistribution_requests_in_flight", "Calls in flight", in_flight.clone());
        registry.register(
            "dws_redistribution_watch_errors",
            "Errors of the watch on the API server",
            watch_errors.clone(),
        );
        let leading = Family::default();
        registry.register("leader_election_master_status", "1 while this process leads", leading.clone());
        registry.register("controller_runtime_reconcile", "Reconciliations by result", reconciles.clone());
        registry.register(
            "dws_redistribution_build",
            "Version of this binary",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        Self {
            registry: Arc::new(registry),
            requests,
            request_seconds,
            reconciles,
            holds,
            in_flight,
            watch_errors,
            leading,
        }
    }
}

impl Metrics {
    /// An attempt is over.
    pub fn request(&self, outcome: &'static str, status_code: Option<u16>, took: Duration) {
        let code = status_code.map(|code| code.to_string()).unwrap_or_default();
        self.requests.get_or_create(&RequestLabels { outcome, code }).inc();
        self.request_seconds.observe(took.as_secs_f64());
    }

    /// A reconciliation is over.
    pub fn reconcile(&self, result: &'static str) {
        self.reconciles.get_or_create(&ReconcileLabels { controller: "clusterredistribution", result }).inc();
    }

    /// An object began to be held.
    pub fn hold(&self, reason: crate::resource::Reason) {
        self.holds.get_or_create(&ReasonLabels { reason: reason.as_str() }).inc();
    }

    /// Calls in flight now.
    pub fn in_flight(&self, calls: usize) {
        self.in_flight.set(i64::try_from(calls).unwrap_or(i64::MAX));
    }

    /// The watch met an error.
    pub fn watch_error(&self) {
        self.watch_errors.inc();
    }

    /// Whether this process leads, by the Lease of this name.
    pub fn leading(&self, lease: &str, leads: bool) {
        self.leading.get_or_create(&LeaderLabels { name: lease.to_owned() }).set(i64::from(leads));
    }

    /// The text that `/metrics` answers with.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail; a half text is better than none all the same.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
