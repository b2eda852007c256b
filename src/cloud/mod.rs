//! The cloud. [`Client::send`] is the only place of the whole program from which the call that cannot be undone can leave;
//! [`Client::look`] and [`Client::details`] only read, and [`Client::login`] only fetches a token.

pub mod auth;
pub mod health;
pub mod identity;
mod read;

mod cause;
mod client;
pub mod cluster;
pub mod details;
mod exchange;
pub mod login;
mod names;
pub mod outcome;
mod probe;
mod proxy;
pub mod signing;
mod tls;
pub mod token;

pub use client::{Client, ClientError, ClientSettings};
pub use names::NameError;
pub use probe::ProbeError;
pub use read::ReadResult;

use crate::{
    api::{ClusterRedistributionSpec, RedisMode},
    runtime::clock::Deadline,
};

/// The right to send once, minted with the claim and used up by sending. It cannot be copied, so an attempt cannot be
/// sent twice; what is left unused proves that nothing was sent.
#[derive(Debug)]
pub struct SendPermit {
    attempt_id: String,
    deadline: Deadline,
}

impl SendPermit {
    /// `deadline`: the send budget, which runs from when the claim was begun.
    pub const fn mint(attempt_id: String, deadline: Deadline) -> Self {
        Self { attempt_id, deadline }
    }

    /// Others may already be waiting for the end of this attempt's grace: too late to send.
    pub fn has_expired(&self) -> bool {
        self.deadline.is_over()
    }
}

/// What is asked of the cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedistributionRequest {
    /// Path parameter.
    pub project_id: String,
    /// Path parameter.
    pub cluster_id: String,
    /// Body field.
    pub redis_mode: RedisMode,
    /// Body field.
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

    /// The path of the cluster's detail; `None` as below.
    pub fn cluster_path(&self) -> Option<String> {
        self.path().map(|_| format!("/v1.0/{}/clusters/{}", self.project_id, self.cluster_id))
    }

    /// The path; `None` if an id holds anything that could lead elsewhere. The CRD refuses such ids, but what is signed
    /// here must not rest on a schema that somebody may have loosened.
    pub fn path(&self) -> Option<String> {
        let harmless = |id: &str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (harmless(&self.project_id) && harmless(&self.cluster_id))
            .then(|| format!("/v2/{}/clusters/{}/redistribution", self.project_id, self.cluster_id))
    }
}
