//! Requests by the API server's own count. Each reading makes one request itself, which none of the counts includes.

use std::ops::Sub;

use testbed::ControlPlane;

use crate::{Failure, process::as_float};

/// Requests that the API server has received so far, or between two readings. They exclude the runner's own creations,
/// deletions and watches, except where a field says otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// PUT and PATCH of the objects under measurement or their status.
    pub writes: f64,
    /// GET of such an object or of a Secret.
    pub reads: f64,
    /// LIST of such objects; the runner's watch makes one when it begins.
    pub lists: f64,
    /// All requests from a ServiceAccount, which only candidates use: Leases, Events and watches too.
    pub all: f64,
}

impl Counts {
    pub async fn now(plane: &ControlPlane) -> Result<Self, Failure> {
        let metrics = plane.api_server_metrics().await?;
        let mut counts = Self::default();
        for (name, labels, value) in metrics.lines().filter_map(sample) {
            let has = |label: &str, wanted: &str| labels.contains(&format!("{label}=\"{wanted}\""));
            let resource = has("resource", "clusterredistributions");
            match name {
                "apiserver_request_total" if resource && (has("verb", "PUT") || has("verb", "PATCH")) => {
                    counts.writes += value;
                }
                "apiserver_request_total" if (resource || has("resource", "secrets")) && has("verb", "GET") => {
                    counts.reads += value;
                }
                "apiserver_request_total" if resource && has("verb", "LIST") => counts.lists += value,
                "apiserver_flowcontrol_dispatched_requests_total" if has("flow_schema", "service-accounts") => {
                    counts.all += value;
                }
                _ => {}
            }
        }
        Ok(counts)
    }

    /// Writes per object, for this number of objects.
    pub fn writes_each(self, objects: usize) -> f64 {
        self.writes / as_float(objects as u64)
    }

    /// Reads per object, for this number of objects.
    pub fn reads_each(self, objects: usize) -> f64 {
        self.reads / as_float(objects as u64)
    }
}

impl Sub for Counts {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            writes: self.writes - before.writes,
            reads: self.reads - before.reads,
            lists: self.lists - before.lists,
            all: self.all - before.all,
        }
    }
}

fn sample(line: &str) -> Option<(&str, &str, f64)> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = series.split_once('{')?;
    Some((name, labels, value.parse().ok()?))
}
