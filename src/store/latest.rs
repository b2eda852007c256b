//! An object as far as this version can parse it. An object whose spec no longer fits when its call ends still gets its
//! outcome, and nothing else of it is changed.

use std::time::Duration;

use kube::api::{DynamicObject, PostParams};
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{StatusStore, StoreError, put::answer};
use crate::{
    api::{ClusterRedistribution, ClusterRedistributionStatus},
    protocol::journal::hidden,
};

pub(super) enum Latest {
    Complete(Box<ClusterRedistribution>),
    /// The spec does not fit, and perhaps a part of status.
    Partial(Box<DynamicObject>),
}

impl Latest {
    /// The status; only its attempt if the status does not fit.
    pub fn status(&self) -> ClusterRedistributionStatus {
        match self {
            Self::Complete(object) => object.status.clone().unwrap_or_default(),
            Self::Partial(object) => status_of(object).unwrap_or_else(|| ClusterRedistributionStatus {
                attempt: object.data.pointer("/status/attempt").cloned().and_then(read),
                ..ClusterRedistributionStatus::default()
            }),
        }
    }

    /// True if this object lacks something that was written.
    pub fn is_hidden(&self) -> bool {
        match self {
            Self::Complete(object) => hidden(object).is_some(),
            Self::Partial(object) => without_spec(object).is_none_or(|object| hidden(&object).is_some()),
        }
    }

    pub fn version(&self) -> Option<&str> {
        match self {
            Self::Complete(object) => object.metadata.resource_version.as_deref(),
            Self::Partial(object) => object.metadata.resource_version.as_deref(),
        }
    }

    pub fn generation(&self) -> i64 {
        let metadata = match self {
            Self::Complete(object) => &object.metadata,
            Self::Partial(object) => &object.metadata,
        };
        metadata.generation.unwrap_or_default()
    }
}

impl StatusStore {
    /// `object` as it is now, parsed as far as possible.
    pub(super) async fn get_latest(
        &self,
        object: &ClusterRedistribution,
        within: Duration,
    ) -> Result<Latest, StoreError> {
        match self.read(&object.key(), within).await {
            Ok(latest) => Ok(Latest::Complete(Box::new(latest))),
            Err(StoreError::Undecodable(_)) => {
                let (namespace, name) = (object.metadata.namespace.as_deref(), object.metadata.name.as_deref());
                let api = self.untyped(namespace.unwrap_or_default());
                let latest = answer(timeout(within, api.get(name.unwrap_or_default())).await)?;
                let same = latest.metadata.uid == object.metadata.uid;
                if same { Ok(Latest::Partial(Box::new(latest))) } else { Err(StoreError::Gone) }
            }
            Err(error) => Err(error),
        }
    }

    /// Writes a status onto `latest`, at its uid and resourceVersion.
    pub(super) async fn put_latest(
        &self,
        latest: &Latest,
        status: ClusterRedistributionStatus,
        within: Duration,
    ) -> Result<(), StoreError> {
        let object = match latest {
            Latest::Complete(object) => {
                return self.replace::<IgnoredAny>(object, status, within, false).await.map(|_| ());
            }
            Latest::Partial(object) => object,
        };
        let mut next = DynamicObject::clone(object);
        next.metadata.managed_fields = None;
        if status_of(object).is_none() {
            if let Some(attempt) = next.data.pointer_mut("/status/attempt") {
                *attempt = json!(status.attempt);
            }
        } else if let Some(current) = next.data.get_mut("status") {
            *current = json!(status);
        }
        let api = self.untyped(next.metadata.namespace.as_deref().unwrap_or_default());
        let name = next.metadata.name.as_deref().unwrap_or_default();
        answer(timeout(within, api.replace_status(name, &PostParams::default(), &next)).await).map(|_| ())
    }
}

/// Metadata and status of an object whose spec does not fit, with a placeholder spec: for reading the journal only. None if
/// status does not fit either.
pub(super) fn without_spec(object: &DynamicObject) -> Option<ClusterRedistribution> {
    let spec = json!({"projectID": "", "clusterID": "", "redisMode": "online", "parallelJobs": 1});
    let mut typed = ClusterRedistribution::new("", read(spec)?);
    typed.metadata = object.metadata.clone();
    typed.status = match object.data.get("status") {
        Some(status) => Some(read(status.clone())?),
        None => None,
    };
    Some(typed)
}

fn status_of(object: &DynamicObject) -> Option<ClusterRedistributionStatus> {
    object.data.get("status").cloned().and_then(read)
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Option<T> {
    serde_json::from_value(value).ok()
}
