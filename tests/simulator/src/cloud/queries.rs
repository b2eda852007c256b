//! Queries of the cloud: the requests that arrived, and their results.

use std::time::Duration;

use super::{
    super::{
        address::{Kind, Read},
        ledger::Entry,
    },
    Cloud,
};

/// Longest wait for a request to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(600);

impl Cloud {
    /// Redistributions the cluster carried out because of calls.
    pub fn executions(&self, cluster: &str) -> usize {
        self.state().clusters.get(&cluster.to_lowercase()).map_or(0, |cluster| cluster.executions)
    }

    /// Everything that arrived except reads and logins.
    pub fn entries(&self) -> Vec<Entry> {
        self.state().ledger.calls.entries().to_vec()
    }

    pub fn entries_of(&self, clusters: &[&str]) -> Vec<Entry> {
        let state = self.state();
        let of = |entry: &&Entry| clusters.iter().any(|cluster| cluster.eq_ignore_ascii_case(&entry.cluster));
        state.ledger.calls.entries().iter().filter(of).cloned().collect()
    }

    /// Calls that arrived for a cluster, including incomplete ones.
    pub fn calls(&self, cluster: &str) -> usize {
        self.state().ledger.calls.of(&cluster.to_lowercase()).count()
    }

    pub fn total_calls(&self) -> usize {
        self.state().ledger.calls.entries().len()
    }

    /// Most calls at once, for all clusters together and for any one of them.
    pub fn max_in_flight(&self) -> (usize, usize) {
        self.state().ledger.calls.max_in_flight()
    }

    /// Reads that arrived for a cluster, in order, including incomplete ones.
    pub fn reads(&self, cluster: &str) -> Vec<Entry> {
        self.state().ledger.reads.of(&cluster.to_lowercase()).cloned().collect()
    }

    pub fn reads_of(&self, cluster: &str, read: Read) -> usize {
        let is = |entry: &&Entry| entry.kind == Kind::Read(read);
        self.state().ledger.reads.of(&cluster.to_lowercase()).filter(is).count()
    }

    pub fn all_reads(&self) -> Vec<Entry> {
        self.state().ledger.reads.entries().to_vec()
    }

    /// Waits until this number of calls has arrived for a cluster.
    pub async fn arrived(&self, cluster: &str, calls: usize) {
        self.counted(&format!("calls for {cluster}"), calls, || self.calls(cluster)).await;
    }

    /// Waits until this number of calls has arrived for any cluster.
    pub async fn any_arrived(&self, calls: usize) {
        self.counted("calls", calls, || self.total_calls()).await;
    }

    pub(super) async fn counted(&self, what: &str, wanted: usize, count: impl Fn() -> usize) {
        let mut arrivals = self.arrivals.subscribe();
        let enough = async { while count() < wanted && arrivals.changed().await.is_ok() {} };
        let came = tokio::time::timeout(ARRIVES_WITHIN, enough).await.is_ok();
        assert!(came, "{} of {wanted} {what} arrived", count());
    }

    /// The clusters and their tasks, as JSON.
    pub fn clusters(&self) -> serde_json::Value {
        let state = self.state();
        let shown = state.clusters.iter().map(|(id, cluster)| {
            serde_json::json!({
                "project": cluster.project, "cluster": id, "task_status": cluster.state,
                "executions": cluster.executions, "run": cluster.run
            })
        });
        shown.collect()
    }
}
