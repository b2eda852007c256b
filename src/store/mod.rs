//! The only writer of status. Every write is a PUT of the whole status with the object's uid and resourceVersion: the API
//! server's compare-and-swap, on which alone the guarantee depends.

mod claim;
pub mod object;
mod record;

use std::{borrow::Cow, sync::Arc, time::Duration};

use k8s_openapi::jiff::Timestamp;
use kube::{
    Api, Client, Resource,
    api::{ObjectMeta, PostParams, Request},
};
use serde::{
    Serialize,
    de::{DeserializeOwned, IgnoredAny},
};
use tokio::{
    sync::{Mutex, Semaphore},
    time::timeout,
};

use self::object::StoredObject;
pub use self::{
    claim::{ReadBack, check_claim},
    record::Recorded,
};
use crate::{
    api::{ClusterRedistribution, ClusterRedistributionStatus, ObjectKey, Reason, text::truncate},
    protocol::{
        journal::{self, ATTEMPT_LOST, Journal},
        transitions::{self, held},
    },
};

/// Requests at the API server at once, claims and outcomes aside: more would be throttled there.
const MAX_REQUESTS: usize = 32;

/// Longest wait for one answer of the API server; the client itself has no limit.
pub const API_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a status was not written, as far as the next step depends on it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// 409. Nothing was written.
    #[error("the object has changed since it was read")]
    Conflict,
    /// The API server's own 404 for the object, or another uid under its name.
    #[error("the object is gone")]
    Gone,
    /// 422. Nothing was written.
    #[error("the API server refused the status as invalid: {0}")]
    Invalid(String),
    /// Another refusal of the API server, which a retry does not change. Nothing was written.
    #[error(
        "the API server refused the write: {0}. The controller's role needs get, list and watch on clusterredistributions, and get and update on clusterredistributions/status"
    )]
    Refused(String),
    /// Nothing was written.
    #[error("the write could not be prepared: {0}")]
    NotPrepared(String),
    /// The answer does not fit this version's types, as under a newer CRD. It is not known whether anything was written.
    #[error("the object does not match the types of this controller's version: {0}")]
    Undecodable(String),
    /// A 404 that is not the API server's answer about this object: a load balancer's page, or an API server that does not
    /// serve the kind, yet or any more. If it counted as the object's deletion, a known outcome would be dropped.
    #[error("the API server does not serve the kind; the object may still exist: {0}")]
    KindNotServed(String),
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
            Self::NotPrepared(_) => "not_prepared",
            Self::Undecodable(_) => "undecodable",
            Self::KindNotServed(_) => "not_served",
            Self::Indeterminate(_) => "indeterminate",
        }
    }
}

/// The result of the report of an object that does not fit this version's types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    Written,
    Known,
    /// The object fits now, or is gone or being deleted.
    NoLongerApplies,
    /// Status may be the only proof that this generation or an older one was called.
    LeftAlone,
}

#[derive(Clone)]
pub struct StatusStore {
    client: Client,
    limit: Arc<Semaphore>,
    /// Shared by the outcomes that could not be written.
    turn: Arc<Mutex<record::RetryTurn>>,
}

impl StatusStore {
    /// `client` should not retry writes by itself: the second PUT conflicts with the first, which costs a read.
    pub fn new(client: Client) -> Self {
        Self { client, limit: Arc::new(Semaphore::new(MAX_REQUESTS)), turn: Arc::default() }
    }

    pub const fn limit(&self) -> &Arc<Semaphore> {
        &self.limit
    }

    pub async fn get(&self, object: &ObjectKey) -> Result<ClusterRedistribution, StoreError> {
        let _one = self.limit.acquire().await;
        self.read(object, API_TIMEOUT).await
    }

    /// For a claim or an outcome, which no other request may keep waiting.
    async fn read(&self, object: &ObjectKey, within: Duration) -> Result<ClusterRedistribution, StoreError> {
        parsed(self.read_leniently(object, within).await?)
    }

    async fn read_leniently(&self, object: &ObjectKey, within: Duration) -> Result<StoredObject, StoreError> {
        let api = Api::<StoredObject>::namespaced(self.client.clone(), &object.namespace);
        let latest = answer(timeout(within, api.get(&object.name)).await)?;
        if latest.meta().uid.as_deref() == Some(object.uid.as_str()) { Ok(latest) } else { Err(StoreError::Gone) }
    }

    /// Writes a status that claims no right and records no outcome.
    pub async fn write(
        &self,
        object: &ClusterRedistribution,
        next: ClusterRedistributionStatus,
    ) -> Result<(), StoreError> {
        let _one = self.limit.acquire().await;
        self.send::<IgnoredAny>(&object.metadata, (&object.spec, &next), API_TIMEOUT, false).await.map(|_| ())
    }

    /// Reports in the object's status, on a fresh read, why it cannot be read. A status that is incomplete, or is evidence
    /// that this generation was or may have been called, is left alone.
    pub async fn report_undecodable(
        &self,
        metadata: &ObjectMeta,
        error: &str,
        now: Timestamp,
    ) -> Result<Reported, StoreError> {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let key =
            ObjectKey { namespace: text(&metadata.namespace), name: text(&metadata.name), uid: text(&metadata.uid) };
        let object = match self.read_leniently(&key, API_TIMEOUT).await?.object {
            Err(object) if object.metadata.deletion_timestamp.is_none() => object,
            _ => return Ok(Reported::NoLongerApplies),
        };
        let Some(before) = object.without_spec().filter(may_be_written) else { return Ok(Reported::LeftAlone) };
        let message = format!(
            "This object does not match the schema of this controller's version: {}. No request is sent. Correct the spec (kubectl explain clusterredistribution.spec), or delete the object and apply a correct one",
            truncate(error, 256)
        );
        let generation = object.metadata.generation.unwrap_or_default();
        let Some(next) = held(before.status.as_ref(), generation, Reason::ObjectInvalid, &message, now) else {
            return Ok(Reported::Known);
        };
        self.send::<IgnoredAny>(&object.metadata, (&object.spec, &next), API_TIMEOUT, false).await?;
        Ok(Reported::Written)
    }

    /// Whether the installed CRD would keep every field that is evidence of a call, by a dry run.
    pub async fn keeps_status(&self, object: &ClusterRedistribution, now: Timestamp) -> Result<bool, StoreError> {
        let next = transitions::full_status(object, now);
        let _one = self.limit.acquire().await;
        let echo = self.put(object, next.clone(), API_TIMEOUT, true).await?;
        let Some(kept) = echo.status else { return Ok(false) };
        Ok(kept.attempt == next.attempt
            && kept.conditions == next.conditions
            && kept.status_code == next.status_code
            && kept.history == next.history
            && kept.observed_generation == next.observed_generation)
    }

    async fn put(
        &self,
        object: &ClusterRedistribution,
        status: ClusterRedistributionStatus,
        within: Duration,
        dry_run: bool,
    ) -> Result<ClusterRedistribution, StoreError> {
        parsed(self.send(&object.metadata, (&object.spec, &status), within, dry_run).await?)
    }

    /// Writes a status onto the object as it was read, whether it fits this version's types or not.
    async fn put_leniently(
        &self,
        object: &StoredObject,
        status: ClusterRedistributionStatus,
    ) -> Result<(), StoreError> {
        let written = match &object.object {
            Ok(object) => self.send(&object.metadata, (&object.spec, &status), API_TIMEOUT, false).await,
            Err(object) => {
                let status = object.replaced_status(&status);
                self.send(&object.metadata, (&object.spec, &status), API_TIMEOUT, false).await
            }
        };
        written.map(|_: IgnoredAny| ())
    }

    /// Sends the PUT, at the uid and resourceVersion of `read`.
    async fn send<Reply: DeserializeOwned>(
        &self,
        read: &ObjectMeta,
        (spec, status): (&impl Serialize, &impl Serialize),
        within: Duration,
        dry_run: bool,
    ) -> Result<Reply, StoreError> {
        let (name, namespace) = (read.name.clone(), read.namespace.clone());
        // The compare-and-swap needs both of these.
        let (uid, resource_version) = (read.uid.clone(), read.resource_version.clone());
        let metadata = ObjectMeta { name, namespace, uid, resource_version, ..ObjectMeta::default() };
        let (api_version, kind) = (ClusterRedistribution::api_version(&()), ClusterRedistribution::kind(&()));
        let body = serde_json::to_vec(&Body { api_version, kind, metadata, spec, status })
            .map_err(|error| StoreError::NotPrepared(error.to_string()))?;
        let path = ClusterRedistribution::url_path(&(), Some(read.namespace.as_deref().unwrap_or_default()));
        let parameters = PostParams { dry_run, field_manager: None };
        let request = Request::new(path)
            .replace_subresource("status", read.name.as_deref().unwrap_or_default(), &parameters, body)
            .map_err(|error| StoreError::NotPrepared(error.to_string()))?;
        answer(timeout(within, self.client.request(request)).await)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a, Spec, Status> {
    api_version: Cow<'a, str>,
    kind: Cow<'a, str>,
    metadata: ObjectMeta,
    spec: &'a Spec,
    status: &'a Status,
}

fn parsed(reply: StoredObject) -> Result<ClusterRedistribution, StoreError> {
    reply.object.map_err(|invalid| StoreError::Undecodable(invalid.error))
}

/// What an answer proves. Only a refusal of the API server itself proves that nothing was written.
fn answer<T>(result: Result<Result<T, kube::Error>, tokio::time::error::Elapsed>) -> Result<T, StoreError> {
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

/// True if the report erases no evidence of a call. An existing attempt is kept.
fn may_be_written(object: &ClusterRedistribution) -> bool {
    match journal::read(object) {
        Journal::NoAttempt => true,
        Journal::InFlight(attempt) => Some(attempt.generation) < object.metadata.generation,
        Journal::CoolingDown { key, .. } => !key.starts_with(ATTEMPT_LOST),
        Journal::Missing(_) | Journal::Invalid(_) | Journal::Closed | Journal::NotSent => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;
