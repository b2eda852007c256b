//! The status of a `ClusterRedistribution`: what users read, and the journal that the guarantee depends on. Data only; the
//! transitions are in `crate::protocol::transitions`, the writes in `crate::store`.
//!
//! Fields are only ever added. Unknown fields of a newer version are kept (`other`), so that a controller that was
//! rolled back does not erase what it does not know.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::redistribution::{Baseline, Redistribution};

/// Longest wait of a 429 that is recorded, in seconds.
pub const MAX_RETRY_AFTER: i64 = 600;

/// The state of an attempt. Stored as a string; a value that this version does not know makes the journal invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttemptState {
    /// The right to call is claimed; the call may be in flight.
    Claimed,
    /// It is not known whether the cloud received the request.
    Unknown,
    /// Proven: no byte of the request left the controller.
    NotSent,
    /// The head of an HTTP answer arrived.
    Answered,
}

impl AttemptState {
    /// The value of `attempt.state`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Claimed => "Claimed",
            Self::Unknown => "Unknown",
            Self::NotSent => "NotSent",
            Self::Answered => "Answered",
        }
    }

    /// The state with this name, if this version knows it.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Claimed, Self::Unknown, Self::NotSent, Self::Answered].into_iter().find(|state| state.as_str() == name)
    }

    /// Rank of the state: Claimed < Unknown < NotSent, Answered. A record only replaces a state of a lower rank.
    pub const fn knowledge(self) -> u8 {
        match self {
            Self::Claimed => 0,
            Self::Unknown => 1,
            Self::NotSent | Self::Answered => 2,
        }
    }
}

/// State of the request. Only the controller writes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterRedistributionStatus {
    /// State of the generation in observedGeneration: one entry for each of Delivered, Ready, Reconciling and Stalled,
    /// and with --observe Redistributed; Reconciling, Stalled and Redistributed are absent when they do not apply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Generation of the spec that the rest of status refers to; -1 until the controller has seen the object. Example: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// HTTP status code of the cloud's answer for the observed generation; absent until there is one. Example: 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_code: Option<i32>,
    /// Journal of the last attempt. Never edit it: the guarantee of at most one request depends on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Box<Attempt>>,
    /// The last 10 attempts that were replaced by a newer one and could have reached the cloud, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub history: Vec<PastAttempt>,
    /// With --observe: progress of the observed generation's redistribution, as last read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redistribution: Option<Box<Redistribution>>,
    /// Fields of a newer version; they are kept unchanged.
    #[serde(flatten)]
    #[schemars(skip)]
    pub other: BTreeMap<String, Value>,
}

/// One attempt to deliver the request: from the claim to the outcome.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Attempt {
    /// Random id of the attempt, 128 bits in hex. Example: 5f1c9a0e8d7b4c6fa1b2c3d4e5f60718.
    #[schemars(length(max = 64))]
    pub id: String,
    /// uid of the object that the attempt was claimed for; a different uid means that this journal was copied. Example:
    /// 0d0f4b6c-8f0e-4c57-9a55-2c1c7f0f7b11.
    #[schemars(length(max = 64))]
    pub uid: String,
    /// Generation of the spec that is sent. Example: 1.
    pub generation: i64,
    /// Claimed (the call may be in flight), NotSent (proven: nothing left the controller), Answered (an HTTP answer
    /// arrived) or Unknown (the outcome is not known). Example: Answered.
    #[schemars(length(max = 32))]
    pub state: String,
    /// True once the attempt was recorded as Unknown or the journal was reported invalid: this generation is never sent again, whatever is learned later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<bool>,
    /// Name of the pod that made the claim, for information only; no decision depends on it. Example:
    /// redistribution-operator-5d8c7b6f9-x2x7k.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub holder: Option<String>,
    /// Region of the request, fixed at the claim. Example: cn-north-4.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub region: Option<String>,
    /// Host of the request, with its port if it is not 443. Example: dws.cn-north-4.myhuaweicloud.com.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 300))]
    pub endpoint: Option<String>,
    /// Credential source: Controller, or Namespace/ and the name of a Secret in the object's namespace. Example:
    /// Namespace/dws-redistribution-credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 300))]
    pub credentials: Option<String>,
    /// Hash of the spec that is sent, trigger included. Example: 9b0f3c5a7d1e2f4860718293a4b5c6d7.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub spec_hash: Option<String>,
    /// Seconds after which a controller may record the attempt as Unknown, by its own clock, from the moment it first
    /// saw the claim. Example: 75.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_seconds: Option<i64>,
    /// Time of the claim, by the clock of the claimant. Example: 2026-11-25T08:00:00Z.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claimed_time: Option<Time>,
    /// Time at which the outcome was known, or recorded as Unknown. Example: 2026-11-25T08:00:01Z.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_time: Option<Time>,
    /// HTTP status code of the answer. Example: 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_code: Option<i32>,
    /// The cloud's error code, from the body of the answer. Example: DWS.7023.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub error_code: Option<String>,
    /// The cloud's id of the request (X-Request-Id), for its support. Example: 3f2b9c1e7a6d4f58.
    #[serde(rename = "requestID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub request_id: Option<String>,
    /// Wait that a 429 asked for, in seconds, at most 600. A controller that starts makes no call with these credentials at
    /// this endpoint until it has passed since finishedTime. Example: 60.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 600))]
    pub retry_after_seconds: Option<i64>,
    /// What happened, without any secret, at most 256 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub message: Option<String>,
    /// With --observe: state of the cluster just before the claim, to tell a redistribution that began later apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
    /// Fields of a newer version; they are kept unchanged.
    #[serde(flatten)]
    #[schemars(skip)]
    pub other: BTreeMap<String, Value>,
}

impl Attempt {
    /// The state, if this version knows it.
    pub fn known_state(&self) -> Option<AttemptState> {
        AttemptState::parse(&self.state)
    }

    /// True while the attempt is claimed and its outcome is not recorded.
    pub fn is_open(&self) -> bool {
        self.known_state() == Some(AttemptState::Claimed)
    }
}

/// An attempt that a newer one replaced and that could have reached the cloud.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PastAttempt {
    /// Id of the attempt. Example: 5f1c9a0e8d7b4c6fa1b2c3d4e5f60718.
    #[schemars(length(max = 64))]
    pub id: String,
    /// Generation of the spec that was sent. Example: 1.
    pub generation: i64,
    /// Hash of the spec that was sent, trigger included. Example: 9b0f3c5a7d1e2f4860718293a4b5c6d7.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub spec_hash: Option<String>,
    /// Answered or Unknown. Example: Answered.
    #[schemars(length(max = 32))]
    pub state: String,
    /// HTTP status code of the answer. Example: 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_code: Option<i32>,
    /// The cloud's error code. Example: DWS.7023.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub error_code: Option<String>,
    /// The cloud's id of the request. Example: 3f2b9c1e7a6d4f58.
    #[serde(rename = "requestID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub request_id: Option<String>,
    /// Time at which the outcome was known, or recorded as Unknown. Example: 2026-11-25T08:00:01Z.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_time: Option<Time>,
    /// With --observe: DWS cluster of the attempt. Example: e59d6b86-9072-46eb-a996-13f8b44994c1.
    #[serde(rename = "clusterID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub cluster_id: Option<String>,
    /// Fields of a newer version; they are kept unchanged.
    #[serde(flatten)]
    #[schemars(skip)]
    pub other: BTreeMap<String, Value>,
}
