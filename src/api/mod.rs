//! The resource that users apply: its types, its reasons and its CRD. It knows neither Kubernetes clients nor the cloud.

mod reason;
mod redistribution;
mod schema;
mod spec;
mod status;
pub mod text;

pub use reason::{Reason, ReasonClass};
pub use redistribution::{Baseline, NONE, Phase, Redistribution};
pub use schema::{SchemaError, crd_json, crd_yaml};
pub use spec::{ClusterRedistribution, ClusterRedistributionSpec, RedisMode};
pub use status::{Attempt, AttemptState, ClusterRedistributionStatus, MAX_RETRY_AFTER, PastAttempt};

impl ClusterRedistribution {
    /// The journal of the last attempt.
    pub fn attempt(&self) -> Option<&Attempt> {
        self.status.as_ref()?.attempt.as_ref()
    }
}
