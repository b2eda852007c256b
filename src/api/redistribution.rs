//! What the cloud showed of a redistribution: before the call, so that a later one can be told apart, and after it. Data
//! only; `crate::observe` judges it.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Value of a baseline's field that was read and that the cloud did not set.
pub const NONE: &str = "none";

/// The state of a redistribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It makes progress.
    Running,
    /// It is paused, by a user or by the cloud.
    Paused,
    /// It failed; a user may retry it.
    Failed,
    /// It has ended.
    Finished,
}

impl Phase {
    /// The value of `status.redistribution.state` and of the condition's reason.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Paused => "Paused",
            Self::Failed => "Failed",
            Self::Finished => "Finished",
        }
    }
}

/// State of the cluster just before the claim.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Baseline {
    /// DWS cluster of the attempt. Example: e59d6b86-9072-46eb-a996-13f8b44994c1.
    #[serde(rename = "clusterID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub cluster_id: Option<String>,
    /// The cluster's task_status; none if the cluster had none, absent if it could not be read. Example:
    /// WAITING_REDISTRIBUTION.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub task_status: Option<String>,
    /// Id of the redistribution that the cloud showed; none if it showed none, absent if it could not be read. Example:
    /// 2a9c1f0e-7b54-4f0b-9c55-0f3a1b2c3d4e.
    #[serde(rename = "redistributionID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub redistribution_id: Option<String>,
    /// Start time of that redistribution, as the cloud shows it: without a time zone. Example: 2026-11-20 14:04.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub start_time: Option<String>,
    /// Fields of a newer version; they are kept unchanged.
    #[serde(flatten)]
    #[schemars(skip)]
    pub other: BTreeMap<String, Value>,
}

/// Progress of the observed generation's redistribution, as last read. Written when one of id, state, progressPercent,
/// tablesLeft, startTime, endTime, failCount, pausedByUser and retryable has changed; the other fields are written along.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Redistribution {
    /// The cloud's id of this redistribution; absent while only the cluster's state is known. Example:
    /// 2a9c1f0e-7b54-4f0b-9c55-0f3a1b2c3d4e.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub id: Option<String>,
    /// Running, Paused, Failed or Finished. Example: Running.
    #[schemars(length(max = 32))]
    pub state: String,
    /// Progress in whole percent, 0 to 100. Example: 45.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub progress_percent: Option<i32>,
    /// Number of tables that are done. Example: 45.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tables_done: Option<i64>,
    /// Number of tables that are left. Example: 55.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tables_left: Option<i64>,
    /// Number of bytes that are left. Example: 4279869440.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_left: Option<i64>,
    /// Speed, as the cloud reports it. Example: 21 MB/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub rate: Option<String>,
    /// Remaining time in seconds, as the cloud estimates it. Example: 726.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_seconds: Option<i64>,
    /// Start time, as the cloud shows it: without a time zone. Example: 2026-11-25 08:00.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub start_time: Option<String>,
    /// End time, as the cloud shows it: without a time zone. Example: 2026-11-25 09:12.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub end_time: Option<String>,
    /// Number of failures so far. Example: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail_count: Option<i64>,
    /// True if a user paused it, false if the cloud did. Example: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_by_user: Option<bool>,
    /// True if it can be retried in the cloud's console. Example: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
    /// Time of this reading, by the controller's clock. Example: 2026-11-25T08:01:00Z.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_time: Option<Time>,
    /// Fields of a newer version; they are kept unchanged.
    #[serde(flatten)]
    #[schemars(skip)]
    pub other: BTreeMap<String, Value>,
}

impl Redistribution {
    /// Only the fields whose change is reason enough for a write.
    #[must_use]
    pub fn shown(&self) -> Self {
        Self {
            tables_done: None,
            bytes_left: None,
            rate: None,
            estimated_seconds: None,
            observed_time: None,
            other: BTreeMap::new(),
            ..self.clone()
        }
    }
}
