//! Status of an object that does not fit this version's types: only its conditions are written, on the object as the API
//! server has it; everything else is left untouched. Never a claim, never an outcome.

use k8s_openapi::jiff::Timestamp;
use kube::{
    Api,
    api::{ApiResource, DynamicObject, ObjectMeta, PostParams},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{API_TIMEOUT, StatusStore, StoreError, latest::without_spec, put::answer};
use crate::{
    api::{ClusterRedistribution, ClusterRedistributionSpec, Reason, text::truncate},
    protocol::{
        journal::{self, ATTEMPT_LOST, Journal},
        transitions::held,
    },
};

/// The result of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// The report was written.
    Written,
    /// Status contains the report already.
    Known,
    /// The object fits now, or is gone or being deleted.
    NoLongerApplies,
    /// Status is not changed: it may be the only proof that this generation or an older one was called.
    LeftAlone,
}

impl StatusStore {
    /// Reports in the object's status why it cannot be read, based on a fresh read. A status that is incomplete, or that
    /// contains any evidence that this generation was called, or may have been, is not changed: it is more accurate than
    /// this report, and may be the only proof that prevents a call.
    pub async fn report_undecodable(
        &self,
        metadata: &ObjectMeta,
        error: &str,
        now: Timestamp,
    ) -> Result<Reported, StoreError> {
        let (namespace, name) =
            (metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default());
        let api = self.untyped(namespace);
        let mut object = answer(timeout(API_TIMEOUT, api.get(name)).await)?;
        let is_gone = object.metadata.uid != metadata.uid || object.metadata.deletion_timestamp.is_some();
        if is_gone {
            return Ok(Reported::NoLongerApplies);
        }
        let Some(before) = without_spec(&object) else { return Ok(Reported::LeftAlone) };
        let spec = object.data.get("spec").cloned().unwrap_or_default();
        if serde_json::from_value::<ClusterRedistributionSpec>(spec).is_ok() {
            return Ok(Reported::NoLongerApplies);
        }
        if !may_be_written(&before) {
            return Ok(Reported::LeftAlone);
        }
        let message = format!(
            "This object does not match the schema of this controller's version: {}. No request is sent. Correct the spec (kubectl explain clusterredistribution.spec), or delete the object and apply a correct one",
            truncate(error, 256)
        );
        let generation = object.metadata.generation.unwrap_or_default();
        let Some(next) = held(before.status.as_ref(), generation, Reason::ObjectInvalid, &message, now) else {
            return Ok(Reported::Known);
        };
        let Value::Object(data) = &mut object.data else { return Ok(Reported::LeftAlone) };
        data.insert("status".to_owned(), json!(next));
        object.metadata.managed_fields = None;
        let written = timeout(API_TIMEOUT, api.replace_status(name, &PostParams::default(), &object)).await;
        answer(written).map(|_| Reported::Written)
    }

    /// The API of the objects, without this version's types.
    pub(super) fn untyped(&self, namespace: &str) -> Api<DynamicObject> {
        let resource = ApiResource::erase::<ClusterRedistribution>(&());
        Api::namespaced_with(self.client.clone(), namespace, &resource)
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
