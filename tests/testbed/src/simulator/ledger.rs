//! What arrived, in order, and what became of it. The ledger is the judge of every test: it is written when bytes
//! arrive, not when they are answered.

use std::collections::HashMap;

use serde::Serialize;

/// One request.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own about a request")]
#[derive(Clone, Debug, Default, Serialize)]
pub struct Entry {
    /// Count of arrivals, from 1.
    pub number: usize,
    /// Clock of this machine, in milliseconds since 1970.
    pub arrived_millis: i128,
    /// Method, empty if not even that arrived.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Project of the path.
    pub project: String,
    /// Cluster of the path, in lower case.
    pub cluster: String,
    /// Access key id of the signature.
    pub access_key: String,
    /// Digest of the signature, to tell calls apart.
    pub authorization_digest: String,
    /// `X-Sdk-Date`.
    pub date: String,
    /// The head arrived whole.
    pub whole_head: bool,
    /// The body arrived whole.
    pub whole_body: bool,
    /// The body, as text.
    pub body: String,
    /// The gateway let it through.
    pub verified: bool,
    /// The cluster carried a redistribution out because of it.
    pub executed: bool,
    /// Status of the answer, or the name of the fault; absent while nothing was done.
    pub outcome: Option<String>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: Vec<Entry>,
    in_flight: HashMap<String, usize>,
    total_in_flight: usize,
    max_per_cluster: usize,
    max_in_flight: usize,
    /// Connections that ended before a request began, such as probes.
    pub idle_connections: usize,
}

impl Ledger {
    /// A request has begun to arrive. Returns its number.
    pub fn arrive(&mut self, mut entry: Entry) -> usize {
        entry.number = self.entries.len() + 1;
        let count = self.in_flight.entry(entry.cluster.clone()).or_default();
        *count += 1;
        self.total_in_flight += 1;
        self.max_per_cluster = self.max_per_cluster.max(*count);
        self.max_in_flight = self.max_in_flight.max(self.total_in_flight);
        self.entries.push(entry);
        self.entries.len()
    }

    /// Something about a request is known.
    pub fn update(&mut self, number: usize, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.entries.get_mut(number - 1) {
            change(entry);
        }
    }

    /// Nothing more will happen to it.
    pub fn finish(&mut self, number: usize, outcome: &str) {
        let Some(entry) = self.entries.get_mut(number - 1).filter(|entry| entry.outcome.is_none()) else { return };
        entry.outcome = Some(outcome.to_owned());
        self.total_in_flight -= 1;
        if let Some(count) = self.in_flight.get_mut(&entry.cluster) {
            *count -= 1;
        }
    }

    /// All entries.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Requests that arrived for a cluster; half a request counts, for its bytes have left.
    pub fn calls(&self, cluster: &str) -> usize {
        self.entries.iter().filter(|entry| entry.cluster == cluster).count()
    }

    /// Most requests at once, for all clusters together and for any one of them.
    pub fn max_in_flight(&self) -> (usize, usize) {
        (self.max_in_flight, self.max_per_cluster)
    }
}
