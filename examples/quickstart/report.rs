//! The results: as text for people, as JSON for machines, and checked against the guarantee.

use serde::Serialize;
use testbed::simulator::Simulator;

use crate::{Failure, cluster::Cluster, requests};

#[derive(Debug, Serialize)]
pub struct Report {
    kubernetes: String,
    resources: Vec<Resource>,
    seconds_to_delivered: f64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    name: String,
    status_code: Option<i64>,
    ready: String,
    reason: String,
    calls: usize,
}

impl Report {
    /// Reads every object's status, and the cloud's ledger.
    pub fn read(cluster: &Cluster, cloud: &Simulator, seconds_to_delivered: f64) -> Result<Self, Failure> {
        let objects = cluster.objects()?;
        let resources = objects.iter().map(|object| Resource {
            name: object["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
            status_code: object["status"]["statusCode"].as_i64(),
            ready: requests::ready(object)["status"].as_str().unwrap_or_default().to_owned(),
            reason: requests::reason(object).to_owned(),
            calls: cloud.calls(object["spec"]["clusterID"].as_str().unwrap_or_default()),
        });
        Ok(Self { kubernetes: cluster.version()?, resources: resources.collect(), seconds_to_delivered })
    }

    pub fn calls_in_words(&self) -> String {
        let line = |resource: &Resource| {
            let calls = if resource.calls == 1 { "call" } else { "calls" };
            format!("    {:<18} {} {calls}, {}", resource.name, resource.calls, resource.reason)
        };
        self.resources.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// Fails the tour if an object ended with another reason or another number of calls than expected.
    pub fn check(&self) -> Result<(), Failure> {
        let expected = requests::all()
            .into_iter()
            .map(|request| (request.name, request.reason, request.calls))
            .chain([("example", "Delivered", 1)]);
        for (name, reason, calls) in expected {
            let found = self.resources.iter().find(|resource| resource.name == name);
            if !found.is_some_and(|resource| resource.reason == reason && resource.calls == calls) {
                return Err(format!("{name} should have ended as {reason} with {calls} call(s), but: {found:?}").into());
            }
        }
        Ok(())
    }

    /// The results as JSON.
    pub fn json(&self) -> Result<String, Failure> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}
