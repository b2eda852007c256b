//! Registers the metrics with their names and help texts. Counts nothing.

use std::sync::Arc;

use prometheus_client::{metrics::info::Info, registry::Registry};

use super::{Metrics, process::ProcessMetrics};
use crate::runtime::watchdog::Watchdog;

impl Metrics {
    pub(super) fn registry(&self, watchdog: &Watchdog) -> Registry {
        let mut registry = Registry::default();
        registry.register(
            "dws_redistribution_requests",
            "Attempts to call the cloud, by outcome",
            self.requests.clone(),
        );
        registry.register(
            "dws_redistribution_request_duration_seconds",
            "Time from sending a request to its outcome",
            self.request_seconds.clone(),
        );
        registry.register("dws_redistribution_reads", "Reads of a cluster, by result", self.cluster_reads.clone());
        registry.register(
            "dws_redistribution_observations",
            "Reads of a redistribution, by result",
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
            "Number of times an object began to be held, by reason",
            self.holds.clone(),
        );
        registry.register(
            "dws_redistribution_watch_errors",
            "Errors of the watch on the API server",
            self.watch_errors.clone(),
        );
        registry.register(
            "dws_redistribution_events_dropped",
            "Kubernetes Events that were dropped because there were too many at once",
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
            "Reconciliations that failed and are retried",
            self.reconcile_errors.clone(),
        );
        registry.register(
            "controller_runtime_reconcile_time_seconds",
            "Time of a reconciliation; calls and polls have tasks of their own",
            self.reconcile_seconds.clone(),
        );
        registry.register(
            "controller_runtime_active_workers",
            "Reconciliations in progress",
            self.active_workers.clone(),
        );
        registry.register(
            "controller_runtime_max_concurrent_reconciles",
            "Maximum number of concurrent reconciliations",
            self.max_workers.clone(),
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
