//! The spec of a `ClusterRedistribution`: exactly the request, nothing else. A field whose edit must not send a request
//! does not belong here.

use std::fmt;

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::ClusterRedistributionStatus;

/// Redistribution mode, as the cloud names it (`redis_mode` of the API; unrelated to Redis).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RedisMode {
    /// Tables stay writable while they are moved; their structure and indexes cannot be changed.
    Online,
    /// The table being moved cannot be written.
    Offline,
}

impl RedisMode {
    /// The value that the API accepts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Offline => "offline",
        }
    }
}

impl fmt::Display for RedisMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The request. Every change of it is a new spec generation, and a new request is sent.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "dws.huaweicloud.com",
    version = "v1alpha1",
    kind = "ClusterRedistribution",
    plural = "clusterredistributions",
    namespaced,
    status = "ClusterRedistributionStatus",
    derive = "PartialEq",
    shortname = "dwsredist",
    category = "dws",
    selectable = ".spec.clusterID",
    selectable = ".status.observedGeneration",
    doc = "Namespaced; Cluster means the DWS cluster. Requests that the GaussDB(DWS) cloud redistribute the data of one DWS cluster after a scale-out: one request for each spec generation of this object, never repeated, never undone. Deleting the object sends nothing and stops nothing."
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterRedistributionSpec {
    /// Project of the cluster: 32 letters and digits, as the cloud's console shows it under API credentials. Example:
    /// 89cd04f168b84af6be287f71730fdb4b. If it is changed, a new request is sent.
    #[serde(rename = "projectID")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9a-zA-Z]{32}$')").message("projectID must be the project's id: exactly 32 letters and digits, for example 89cd04f168b84af6be287f71730fdb4b"))]
    pub project_id: String,

    /// DWS cluster to redistribute: its UUID of 36 characters, in upper or lower case. Example:
    /// e59d6b86-9072-46eb-a996-13f8b44994c1. If it is changed, a new request is sent.
    #[serde(rename = "clusterID")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$')").message("clusterID must be the cluster's UUID of 36 characters, for example e59d6b86-9072-46eb-a996-13f8b44994c1"))]
    pub cluster_id: String,

    /// Redistribution mode (the cloud's redis_mode; unrelated to Redis). online keeps tables writable while they are
    /// moved, but blocks changes of their structure and indexes; most older cluster versions do not support it. offline
    /// blocks writes to the table that is being moved, and can fail because of a query that runs for longer than 20
    /// minutes. Use the mode of the scale-out; once the redistribution runs, its mode cannot be changed. Example: online.
    /// If it is changed, a new request is sent.
    pub redis_mode: RedisMode,

    /// Concurrency of the redistribution, in jobs, 1 to 32 (the range of the API page this resource follows; newer
    /// clouds document 4 to 200 and may refuse 1 to 3). Example: 3. If it is changed, a new request is sent.
    #[schemars(range(min = 1, max = 32))]
    pub parallel_jobs: i32,

    /// Region of the cluster; the administrator must allow it. The controller's default region if absent. Never a host
    /// name. Example: cn-north-4. If it is changed, a new request is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]+(-[a-z0-9]+)*$')").message("region must be a region's name such as cn-north-4: lower-case letters, digits and single hyphens, never a host name"))]
    pub region: Option<String>,

    /// Free text of at most 253 characters without a meaning of its own. A new value asks again with the same parameters.
    /// Example: scale-out-2026-11. If it is changed, a new request is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub trigger: Option<String>,
}
