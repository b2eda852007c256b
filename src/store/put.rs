//! One read, one write: the compare-and-swap itself, and what an answer of the API server proves about it. It neither
//! retries nor decides.

use std::time::Duration;

use kube::{
    Api, Resource,
    api::{ObjectMeta, PostParams, Request},
};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::StatusStore;
use crate::{
    api::{ClusterRedistribution, ClusterRedistributionStatus, ObjectKey},
    store::object::StoredObject,
};

/// Longest wait for one answer of the API server; the client itself has no limit.
pub const API_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a status was not written, as far as the next step depends on it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The object was changed or replaced (409). Nothing was written.
    #[error("the object has changed since it was read")]
    Conflict,
    /// The object is gone (the API server's own 404 for it, or another uid under its name).
    #[error("the object is gone")]
    Gone,
    /// The API server does not accept this status (422). Nothing was written.
    #[error("the API server refused the status as invalid: {0}")]
    Invalid(String),
    /// The API server refused for another reason, which a retry does not change by itself. Nothing was written.
    #[error(
        "the API server refused the write: {0}. The controller's role needs get, list and watch on clusterredistributions, and get and update on clusterredistributions/status"
    )]
    Refused(String),
    /// Nothing was written: the operating system provided no random id for an attempt.
    #[error("the operating system provided no random id for the attempt: {0}")]
    NoIdentity(String),
    /// Nothing was written: the request could not be encoded.
    #[error("the write could not be encoded as a request: {0}")]
    Encode(String),
    /// The API server's answer does not fit this version's types: a newer CRD, or a value that it allows. It is not known
    /// whether anything was written.
    #[error("the object does not match the types of this controller's version: {0}")]
    Undecodable(String),
    /// A 404 that is not the API server's answer about this object: a load balancer's page, or an API server that does not
    /// serve the kind, yet or any more. If it counted as the object's deletion, a known outcome would be dropped.
    #[error("the API server does not serve the kind; the object may still exist: {0}")]
    KindNotServed(String),
    /// It is not known whether the status was written.
    #[error("the API server did not confirm whether the status was written: {0}")]
    Indeterminate(String),
}

impl StoreError {
    /// Short name for logs and metrics, from a closed set.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Gone => "gone",
            Self::Invalid(_) => "invalid",
            Self::Refused(_) => "refused",
            Self::NoIdentity(_) => "no_id",
            Self::Encode(_) => "encode",
            Self::Undecodable(_) => "undecodable",
            Self::KindNotServed(_) => "not_served",
            Self::Indeterminate(_) => "indeterminate",
        }
    }
}

impl StatusStore {
    /// The object as the API server has it now.
    pub async fn get(&self, object: &ObjectKey) -> Result<ClusterRedistribution, StoreError> {
        let _one = self.limit.acquire().await;
        self.read(object, API_TIMEOUT).await
    }

    /// The same for a claim or an outcome, which no other request may keep waiting; waits at most `within`.
    pub(super) async fn read(&self, object: &ObjectKey, within: Duration) -> Result<ClusterRedistribution, StoreError> {
        let api = Api::<StoredObject>::namespaced(self.client.clone(), &object.namespace);
        let latest = parsed(answer(timeout(within, api.get(&object.name)).await)?)?;
        if latest.metadata.uid.as_deref() == Some(object.uid.as_str()) { Ok(latest) } else { Err(StoreError::Gone) }
    }

    /// Writes the status, and parses the object that the API server returns.
    pub(super) async fn put(
        &self,
        object: &ClusterRedistribution,
        status: ClusterRedistributionStatus,
        within: Duration,
        dry_run: bool,
    ) -> Result<ClusterRedistribution, StoreError> {
        parsed(self.replace(object, status, within, dry_run).await?)
    }

    /// Writes the status. With `IgnoredAny` as `Reply` the returned object is not parsed.
    pub(super) async fn replace<Reply: DeserializeOwned>(
        &self,
        object: &ClusterRedistribution,
        status: ClusterRedistributionStatus,
        within: Duration,
        dry_run: bool,
    ) -> Result<Reply, StoreError> {
        let metadata = ObjectMeta {
            name: object.metadata.name.clone(),
            namespace: object.metadata.namespace.clone(),
            // The compare-and-swap needs both of these.
            uid: object.metadata.uid.clone(),
            resource_version: object.metadata.resource_version.clone(),
            ..ObjectMeta::default()
        };
        let body = ClusterRedistribution { metadata, spec: object.spec.clone(), status: Some(status) };
        let body = serde_json::to_vec(&body).map_err(|error| StoreError::Encode(error.to_string()))?;
        let (namespace, name) = name_of(object);
        let parameters = PostParams { dry_run, field_manager: None };
        let request = Request::new(ClusterRedistribution::url_path(&(), Some(namespace)))
            .replace_subresource("status", name, &parameters, body)
            .map_err(|error| StoreError::Encode(error.to_string()))?;
        answer(timeout(within, self.client.request(request)).await)
    }
}

fn name_of(object: &ClusterRedistribution) -> (&str, &str) {
    let metadata = &object.metadata;
    (metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default())
}

fn parsed(reply: StoredObject) -> Result<ClusterRedistribution, StoreError> {
    reply.object.map_err(|invalid| StoreError::Undecodable(invalid.error))
}

/// What an answer proves. Only a refusal of the API server itself proves that nothing was written.
pub(super) fn answer<T>(result: Result<Result<T, kube::Error>, tokio::time::error::Elapsed>) -> Result<T, StoreError> {
    match result {
        Ok(Ok(value)) => Ok(value),
        Err(_) => Err(StoreError::Indeterminate("no answer in time".to_owned())),
        Ok(Err(kube::Error::Api(status))) => Err(match status.code {
            404 if status.reason == "NotFound" => StoreError::Gone,
            404 | 410 => StoreError::KindNotServed(status.message),
            409 => StoreError::Conflict,
            422 => StoreError::Invalid(status.message),
            // Throttled or timed out: a proxy may answer so for a request that was carried out.
            408 | 429 => StoreError::Indeterminate(status.message),
            400..=499 => StoreError::Refused(status.message),
            _ => StoreError::Indeterminate(status.message),
        }),
        Ok(Err(kube::Error::SerdeError(error))) => Err(StoreError::Undecodable(error.to_string())),
        Ok(Err(error)) => Err(StoreError::Indeterminate(error.to_string())),
    }
}
