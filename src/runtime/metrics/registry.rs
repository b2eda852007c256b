//! Under which names the metrics are told, and what a person reads beside them. It counts nothing.

use std::sync::Arc;

use prometheus_client::{metrics::info::Info, registry::Registry};

use super::{Metrics, process::ProcessMetrics};
use crate::runtime::watchdog::Watchdog;

impl Metrics {
    pub(super) fn registry(&self, watchdog: &Watchdog) -> Registry {
        let mut registry = Registry::default();
        registry.register(
            "dws_redistribution_requests",
            "Attempts to call the cloud, by what became of them",
            self.requests.clone(),
        );
        registry.register(
            "dws_redistribution_request_duration_seconds",
            "Time from sending a request to its outcome",
            self.request_seconds.clone(),
        );
        registry.register("dws_redistribution_looks", "Looks at a cluster, by what they showed", self.looks.clone());
        registry.register(
            "dws_redistribution_observations",
            "Looks at a redistribution, by what they showed",
            self.observations.clone(),
        );
        registry.register("dws_redistribution_requests_in_flight", "Calls in flight", self.in_flight.clone());
        registry.register(
            "dws_redistribution_hidden_objects",
            "Objects whose status lacks something that was written: an older CRD hides it, or it was lost",
            self.hidden.clone(),
        );
        registry.register(
            "dws_redistribution_holds",
            "Times an object began to be held, by reason",
            self.holds.clone(),
        );
        registry.register(
            "dws_redistribution_watch_errors",
            "Errors of the watch on the API server",
            self.watch_errors.clone(),
        );
        registry.register(
            "dws_redistribution_events_dropped",
            "Events that were not written, since there were too many at once",
            self.events_dropped.clone(),
        );
        registry.register_collector(Box::new(watchdog.clone()));
        registry.register_collector(Box::new(Arc::clone(&self.objects)));
        registry.register(
            "dws_redistribution_build",
            "Version of this binary",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        registry.register("controller_runtime_reconcile", "Reconciliations by result", self.reconciles.clone());
        registry.register(
            "controller_runtime_reconcile_errors",
            "Reconciliations that failed and are tried again",
            self.reconcile_errors.clone(),
        );
        registry.register(
            "controller_runtime_reconcile_time_seconds",
            "Time of a reconciliation, the call of the cloud included",
            self.reconcile_seconds.clone(),
        );
        registry.register(
            "controller_runtime_active_workers",
            "Reconciliations under way",
            self.active_workers.clone(),
        );
        registry.register(
            "controller_runtime_max_concurrent_reconciles",
            "Most reconciliations at once",
            self.most_workers.clone(),
        );
        registry.register(
            "rest_client_requests",
            "Requests to the API server by status code and method",
            self.api_requests.clone(),
        );
        registry.register("leader_election_master_status", "1 while this process leads", self.leading.clone());
        registry.register_collector(Box::new(ProcessMetrics));
        registry
    }
}
