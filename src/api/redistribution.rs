//! What was seen of a redistribution in the cloud: before the call, so that what came after can be told apart, and after
//! it. Data only; what follows from it is judged in `crate::observe`.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What stands in a baseline for what was read and is not there.
pub const NONE: &str = "none";

/// How far a redistribution is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It moves.
    Running,
    /// It stands still.
    Paused,
    /// It failed; somebody may try it again.
    Failed,
    /// It is over.
    Finished,
}

impl Phase {
    /// As `status.redistribution.state` and the condition's reason show it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Paused => "Paused",
            Self::Failed => "Failed",
            Self::Finished => "Finished",
        }
    }
}

/// What the cluster showed just before the claim.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Baseline {
    /// DWS cluster that the attempt is for. Example: e59d6b86-9072-46eb-a996-13f8b44994c1.
    #[serde(rename = "clusterID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub cluster_id: Option<String>,

    /// The cluster's task_status, none if it had none; absent if it could not be read. Example: WAITING_REDISTRIBUTION.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub task_status: Option<String>,

    /// Id of the redistribution that the cloud showed, none if it showed none; absent if that could not be read.
    /// Example: 2a9c1f0e-7b54-4f0b-9c55-0f3a1b2c3d4e.
    #[serde(rename = "redistributionID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub redistribution_id: Option<String>,

    /// Start of that redistribution, as the cloud shows it: without a time zone. Example: 2026-11-20 14:04.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub start_time: Option<String>,

    /// Fields of a newer version, kept as they are.
    #[serde(flatten)]
    #[schemars(skip)]
    pub other: BTreeMap<String, Value>,
}

/// How far the redistribution of the observed generation has come, as last seen. Written when one of id, state,
/// progressPercent, tablesLeft, startTime, endTime, failCount, pausedByUser and retryable has moved; the rest comes along.
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

    /// Share that is done, in whole percent, 0 to 100. Example: 45.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub progress_percent: Option<i32>,

    /// Tables that are done. Example: 45.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tables_done: Option<i64>,

    /// Tables that are left. Example: 55.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tables_left: Option<i64>,

    /// Bytes that are left. Example: 4279869440.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_left: Option<i64>,

    /// Speed, in the cloud's words. Example: 21 MB/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub rate: Option<String>,

    /// Seconds that are left, as the cloud estimates. Example: 726.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_seconds: Option<i64>,

    /// Start, as the cloud shows it: without a time zone. Example: 2026-11-25 08:00.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub start_time: Option<String>,

    /// End, as the cloud shows it: without a time zone. Example: 2026-11-25 09:12.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub end_time: Option<String>,

    /// Failures so far. Example: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail_count: Option<i64>,

    /// True if a user paused it, false if the cloud did. Example: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_by_user: Option<bool>,

    /// True if it can be tried again in the cloud's console. Example: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,

    /// When this was seen, by the controller's clock. Example: 2026-11-25T08:01:00Z.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_time: Option<Time>,

    /// Fields of a newer version, kept as they are.
    #[serde(flatten)]
    #[schemars(skip)]
    pub other: BTreeMap<String, Value>,
}

impl Redistribution {
    /// The same without what comes along when something else has moved.
    #[must_use]
    pub fn shown(&self) -> Self {
        let id = self.id.clone();
        let (start_time, end_time) = (self.start_time.clone(), self.end_time.clone());
        let (progress_percent, tables_left, fail_count) = (self.progress_percent, self.tables_left, self.fail_count);
        let (paused_by_user, retryable) = (self.paused_by_user, self.retryable);
        Self {
            id,
            state: self.state.clone(),
            progress_percent,
            tables_left,
            start_time,
            end_time,
            fail_count,
            paused_by_user,
            retryable,
            ..Self::default()
        }
    }
}
