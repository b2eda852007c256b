//! The objects that the tour applies, and the simulated cloud's answer to each.

use std::time::Duration;

use serde_json::{Value, json};
use testbed::{
    Failure,
    simulator::{Script, Shape, Simulator},
    try_eventually,
};

use crate::cluster::Cluster;

pub const PROJECT: &str = "89cd04f168b84af6be287f71730fdb4b";
pub const CLUSTER: &str = "e59d6b86-9072-46eb-a996-13f8b44994c1";

pub const EXAMPLE: &str = "apiVersion: dws.huaweicloud.com/v1alpha1
kind: ClusterRedistribution
metadata:
  name: example
spec:
  projectID: 89cd04f168b84af6be287f71730fdb4b
  clusterID: e59d6b86-9072-46eb-a996-13f8b44994c1
  redisMode: online
  parallelJobs: 3
";

/// Refused by the API server's validation.
pub const WRONG: &str = "apiVersion: dws.huaweicloud.com/v1alpha1
kind: ClusterRedistribution
metadata:
  name: wrong
spec:
  projectID: 89cd04f168b84af6be287f71730fdb4b
  clusterID: not-a-uuid
  redisMode: fast
  parallelJobs: 33
";

/// One object, and its expected result.
pub struct Request {
    pub name: &'static str,
    pub story: &'static str,
    /// The reason it ends with.
    pub reason: &'static str,
    pub calls: usize,
    /// The last three digits of its cluster.
    cluster: &'static str,
    annotation: Option<(&'static str, &'static str)>,
    script: Option<Script>,
}

/// All but the example.
pub fn all() -> Vec<Request> {
    let dws = |status, code, text| Some(Script::error(Shape::Plain, status, code, text));
    let request = |name, story, reason, cluster, script| {
        let (calls, annotation) = (1, None);
        Request { name, story, reason, calls, cluster, annotation, script }
    };
    let bad = dws(400, "DWS.5038", "The value of parallel_jobs is out of range.");
    let forbidden = dws(403, "DWS.5036", "No permission.");
    let failure = dws(500, "DWS.0005", "Server failure.");
    let (nothing, busy) = (Some(Script::status(404)), Some(Script::status(503)));
    let mut wrong =
        request("wrong-key", "401: a Secret of its own with a wrong secret key", "AuthenticationFailed", "401", None);
    wrong.annotation = Some(("dws.huaweicloud.com/credentials-secret", "wrong-key"));
    let mut held = request("suspended", "suspended: prepared, and not called", "Suspended", "001", None);
    (held.calls, held.annotation) = (0, Some(("dws.huaweicloud.com/suspend", "true")));
    let lost = Some(Script::lost_reply());
    vec![
        request("bad-request", "400: the cloud finds a value out of range", "BadRequest", "400", bad),
        wrong,
        request("forbidden", "403: the account may not do this", "PermissionDenied", "403", forbidden),
        request("not-found", "404: nothing under this address", "NotFound", "404", nothing),
        request("server-error", "500: the cloud failed, and may have accepted", "ServerError", "500", failure),
        request("unavailable", "503: the same", "ServerError", "503", busy),
        request("cut", "the connection is cut after the request was read", "OutcomeUnknown", "000", lost),
        held,
    ]
}

impl Request {
    fn cluster(&self) -> String {
        format!("10000000-0000-4000-8000-000000000{}", self.cluster)
    }

    pub fn prepare(&self, cloud: &Simulator, cluster: &Cluster) -> Result<(), Failure> {
        cloud.add_cluster(PROJECT, &self.cluster());
        cloud.script(&self.cluster(), self.script.clone());
        if self.name == "wrong-key" {
            // A key of its own: its refusal locks no other object out.
            cloud.add_key("ANOTHERACCESSKEY", "the-right-secret-key", None);
            cluster.secret(self.name, "ANOTHERACCESSKEY", "a-wrong-secret-key")?;
        }
        Ok(())
    }

    pub fn yaml(&self) -> String {
        let annotations: Value = self.annotation.map_or(json!({}), |(key, value)| json!({key: value}));
        let object = json!({
            "apiVersion": "dws.huaweicloud.com/v1alpha1",
            "kind": "ClusterRedistribution",
            "metadata": {"name": self.name, "annotations": annotations},
            "spec": {"projectID": PROJECT, "clusterID": self.cluster(), "redisMode": "online", "parallelJobs": 3}
        });
        object.to_string()
    }
}

/// Waits until every object has its expected reason.
pub async fn settle(cluster: &Cluster) -> Result<(), Failure> {
    let settled = try_eventually(Duration::from_secs(120), "every object has its expected reason", async || {
        let objects = cluster.objects().map_err(|error| error.to_string())?;
        let is_there = |request: &Request| {
            objects.iter().any(|object| object["metadata"]["name"] == request.name && reason(object) == request.reason)
        };
        let waiting: Vec<_> = all().iter().filter(|request| !is_there(request)).map(|request| request.name).collect();
        if waiting.is_empty() { Ok(()) } else { Err(format!("waiting for {}", waiting.join(", "))) }
    });
    Ok(settled.await?)
}

fn reason(object: &Value) -> &str {
    let conditions = object["status"]["conditions"].as_array();
    let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
    ready.and_then(|ready| ready["reason"].as_str()).unwrap_or_default()
}

/// Prints the cloud's count for each, and fails the tour if one is wrong.
pub fn check_calls(cloud: &Simulator) -> Result<(), Failure> {
    let example = ("example", CLUSTER.to_owned(), 1);
    let all = all().into_iter().map(|request| (request.name, request.cluster(), request.calls)).chain([example]);
    for (name, cluster, expected) in all {
        let calls = cloud.calls(&cluster);
        println!("    {name:<18} {calls}");
        if calls != expected {
            return Err(format!("{name} should have caused {expected} call(s), not {calls}").into());
        }
    }
    Ok(())
}
