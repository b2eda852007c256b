//! The client of the cloud. [`Client::send`] is the only function of the whole program that sends the non-idempotent call;
//! [`Client::cluster`] and [`Client::details`] only read, and [`Client::login`] only fetches a token.

pub(crate) mod auth;
mod client;
pub(crate) mod cluster;
mod exchange;
pub(crate) mod login;
mod names;
pub mod outcome;
mod reach;
mod read;
pub mod signing;

pub use client::{Client, ClientError, ClientSettings, too_late};
pub(crate) use read::ReadResult;

use crate::{
    api::{ClusterRedistributionSpec, RedisMode},
    runtime::clock::Deadline,
};

/// The right to send once, minted with the claim and consumed by sending. It cannot be copied, so an attempt cannot be
/// sent twice; a permit that was not consumed proves that nothing was sent.
#[derive(Debug)]
pub struct SendPermit {
    attempt_id: String,
    deadline: Deadline,
}

impl SendPermit {
    /// `deadline`: the end of the send budget, which starts with the claim.
    pub const fn mint(attempt_id: String, deadline: Deadline) -> Self {
        Self { attempt_id, deadline }
    }

    /// It is too late to send: other replicas may already be waiting for the end of this attempt's grace period.
    pub fn has_expired(&self) -> bool {
        self.deadline.is_over()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedistributionRequest {
    pub project_id: String,
    pub cluster_id: String,
    pub redis_mode: RedisMode,
    pub parallel_jobs: i32,
}

impl From<&ClusterRedistributionSpec> for RedistributionRequest {
    fn from(spec: &ClusterRedistributionSpec) -> Self {
        Self {
            project_id: spec.project_id.clone(),
            cluster_id: spec.cluster_id.clone(),
            redis_mode: spec.redis_mode,
            parallel_jobs: spec.parallel_jobs,
        }
    }
}

impl RedistributionRequest {
    /// The body, with its fields in the order of the API page.
    pub fn body(&self) -> String {
        format!(r#"{{"redis_mode":"{}","parallel_jobs":{}}}"#, self.redis_mode, self.parallel_jobs)
    }

    /// The path of the cluster's details; `None` as for [`Self::path`].
    pub fn cluster_path(&self) -> Option<String> {
        self.path().map(|_| format!("/v1.0/{}/clusters/{}", self.project_id, self.cluster_id))
    }

    /// `None` if an id holds a character that could lead elsewhere. The CRD refuses such ids, but an administrator may have
    /// loosened it.
    pub fn path(&self) -> Option<String> {
        let is_safe = |id: &str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (is_safe(&self.project_id) && is_safe(&self.cluster_id))
            .then(|| format!("/v2/{}/clusters/{}/redistribution", self.project_id, self.cluster_id))
    }
}
