//! The objects that the tour applies, and the simulated cloud's answer to each.

use std::time::Duration;

use serde_json::{Value, json};
use testbed::{
    simulator::{Act, Answer, Script, Shape, Simulator},
    try_eventually,
};

use crate::{Failure, cluster::Cluster};

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
    cluster: &'static str,
    annotation: Option<(&'static str, &'static str)>,
    script: Option<Script>,
}

/// All but the example.
pub fn all() -> Vec<Request> {
    let dws = |status, code, text| Some(Script::error(Shape::Plain, status, code, text));
    let request = |name, story, reason, cluster, script| Request {
        name,
        story,
        reason,
        calls: 1,
        cluster,
        annotation: None,
        script,
    };
    vec![
        request(
            "bad-request",
            "400: the cloud finds a value out of range",
            "BadRequest",
            "10000000-0000-4000-8000-000000000400",
            dws(400, "DWS.5038", "The value of parallel_jobs is out of range."),
        ),
        Request {
            annotation: Some(("dws.huaweicloud.com/credentials-secret", "wrong-key")),
            ..request(
                "wrong-key",
                "401: a Secret of its own with a wrong secret key",
                "AuthenticationFailed",
                "10000000-0000-4000-8000-000000000401",
                None,
            )
        },
        request(
            "forbidden",
            "403: the account may not do this",
            "PermissionDenied",
            "10000000-0000-4000-8000-000000000403",
            dws(403, "DWS.5036", "No permission."),
        ),
        request(
            "not-found",
            "404: nothing under this address",
            "NotFound",
            "10000000-0000-4000-8000-000000000404",
            Some(Script::new(Act::Answer(Answer::empty(404)))),
        ),
        request(
            "server-error",
            "500: the cloud failed, and may have accepted",
            "ServerError",
            "10000000-0000-4000-8000-000000000500",
            dws(500, "DWS.0005", "Server failure."),
        ),
        request(
            "unavailable",
            "503: the same",
            "ServerError",
            "10000000-0000-4000-8000-000000000503",
            Some(Script::new(Act::Answer(Answer::empty(503)))),
        ),
        request(
            "cut-connection",
            "the connection is cut after the request was read",
            "OutcomeUnknown",
            "10000000-0000-4000-8000-000000000000",
            Some(Script::lost_reply()),
        ),
        Request {
            calls: 0,
            annotation: Some(("dws.huaweicloud.com/suspend", "true")),
            ..request(
                "suspended",
                "suspended: prepared, and not called",
                "Suspended",
                "10000000-0000-4000-8000-000000000001",
                None,
            )
        },
    ]
}

impl Request {
    pub fn prepare(&self, cloud: &Simulator, cluster: &Cluster) -> Result<(), Failure> {
        cloud.add_cluster(PROJECT, self.cluster);
        cloud.script(self.cluster, self.script.clone());
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
            "spec": {"projectID": PROJECT, "clusterID": self.cluster, "redisMode": "online", "parallelJobs": 3}
        });
        object.to_string()
    }
}

/// Waits until every object has its expected reason.
pub async fn settle(cluster: &Cluster) -> Result<(), Failure> {
    let settled = try_eventually(Duration::from_secs(120), "every object has its expected reason", async || {
        let objects = cluster.objects().map_err(|error| error.to_string())?;
        let waiting: Vec<_> = all()
            .into_iter()
            .filter(|request| {
                !objects
                    .iter()
                    .any(|object| object["metadata"]["name"] == request.name && reason(object) == request.reason)
            })
            .map(|request| request.name)
            .collect();
        if waiting.is_empty() { Ok(()) } else { Err(format!("waiting for {}", waiting.join(", "))) }
    });
    Ok(settled.await?)
}

/// Reason of `Ready`.
pub fn reason(object: &Value) -> &str {
    ready(object)["reason"].as_str().unwrap_or_default()
}

/// The condition `Ready`.
pub fn ready(object: &Value) -> &Value {
    let conditions = object["status"]["conditions"].as_array();
    conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready").unwrap_or(&Value::Null)
}
