//! The labels of metrics. Each value comes from a closed set or is a name that the administrator chose.

use prometheus_client::encoding::EncodeLabelSet;

/// Labels of the request counter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// answered, not_sent or unknown.
    pub outcome: &'static str,
    /// HTTP status code, empty without an answer.
    pub code: String,
}

/// Labels of the reads of clusters and redistributions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReadLabels {
    /// waiting, not_waiting, seen, none, refused, unreachable or unreadable.
    pub result: &'static str,
}

/// Labels of the metrics about the controller, as controller-runtime names them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ControllerLabels {
    /// Always clusterredistribution.
    pub controller: &'static str,
}

/// Labels of the reconcile counter, as controller-runtime names them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReconcileLabels {
    /// Always clusterredistribution.
    pub controller: &'static str,
    /// success, requeue_after or error.
    pub result: &'static str,
}

/// Labels of the requests to the API server, as client-go names them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ApiLabels {
    /// HTTP status code, or `<error>` without an answer.
    pub code: String,
    /// HTTP method.
    pub method: String,
    /// Host and port of the API server.
    pub host: String,
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

/// All values of the label `result` for a cluster.
pub const CLUSTER_RESULTS: [&str; 5] = ["waiting", "not_waiting", "refused", "unreachable", "unreadable"];
/// All values of the label `result` for the details of a redistribution.
pub const DETAILS_RESULTS: [&str; 5] = ["seen", "none", "refused", "unreachable", "unreadable"];
