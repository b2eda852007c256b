//! The resource that users apply: its types, its reasons and its CRD. It knows neither Kubernetes clients nor the cloud.

mod reason;
mod redistribution;
mod schema;
mod spec;
mod status;

pub use reason::{Reason, ReasonClass};
pub use redistribution::{Baseline, NONE, Phase, Redistribution};
pub use schema::{SchemaError, crd_json, crd_yaml};
pub use spec::{ClusterRedistribution, ClusterRedistributionSpec, RedisMode};
pub use status::{Attempt, AttemptState, ClusterRedistributionStatus, MAX_RETRY_AFTER, PastAttempt};

pub mod text {
    //! Truncation of texts to the limits of CRD fields.

    /// The first `limit` characters: the CRD would reject a longer text, and with it the whole record.
    pub fn truncate(text: &str, limit: usize) -> String {
        text.chars().take(limit).collect()
    }
}

/// Namespace and name of an object.
pub type ObjectName = (String, String);

/// One object, also across its deletion and the creation of another one under the same name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ObjectKey {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Uid; empty if the API server gave none.
    pub uid: String,
}

impl ObjectKey {
    /// Namespace and name.
    pub fn object_name(&self) -> ObjectName {
        (self.namespace.clone(), self.name.clone())
    }
}

impl ClusterRedistribution {
    /// Which object this is.
    pub fn key(&self) -> ObjectKey {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let metadata = &self.metadata;
        ObjectKey { namespace: text(&metadata.namespace), name: text(&metadata.name), uid: text(&metadata.uid) }
    }

    /// The journal of the last attempt.
    pub fn attempt(&self) -> Option<&Attempt> {
        self.status.as_ref()?.attempt.as_deref()
    }
}
