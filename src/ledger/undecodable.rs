//! Status of an object that does not fit this version's types: conditions only, on the object as it lies in the API
//! server, everything else untouched. Never a claim, never an outcome.

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Condition, jiff::Timestamp};
use kube::{
    Api,
    api::{ApiResource, DynamicObject, ObjectMeta, PostParams},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{API_TIMEOUT, Ledger, WriteError, swap::answer};
use crate::{
    conditions::set_at,
    journal::speak_of_a_call,
    resource::{ClusterRedistribution, Reason},
    status::cut,
};

impl Ledger {
    /// Says on the object itself why it cannot be read. Returns whether it had to be written. An object that shows in any
    /// way that this generation was called, or may have been, is left alone: whatever it says about that is truer than
    /// this, and may be the only proof left that forbids a call.
    pub async fn report_undecodable(
        &self,
        metadata: &ObjectMeta,
        error: &str,
        now: Timestamp,
    ) -> Result<bool, WriteError> {
        let (namespace, name) =
            (metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default());
        let api = self.untyped(namespace);
        let mut object = answer(timeout(API_TIMEOUT, api.get(name)).await)?;
        let generation = object.metadata.generation.unwrap_or_default();
        if object.metadata.uid != metadata.uid
            || object.metadata.deletion_timestamp.is_some()
            || may_have_been_called(&object.data, generation)
        {
            return Ok(false);
        }
        let message = format!(
            "This object does not fit the schema of this controller's version: {}. Nothing is called. Correct the spec (kubectl explain clusterredistribution.spec), or delete the object and apply a correct one",
            cut(error, 256)
        );
        let status = object.data.pointer("/status").cloned().unwrap_or_else(|| json!({}));
        let mut conditions: Vec<Condition> = status
            .get("conditions")
            .cloned()
            .and_then(|conditions| serde_json::from_value(conditions).ok())
            .unwrap_or_default();
        let changed = set_at(&mut conditions, generation, Reason::ObjectInvalid, &message, now);
        if !changed && status.get("observedGeneration") == Some(&json!(generation)) {
            return Ok(false);
        }
        let (Value::Object(mut status), Value::Object(data)) = (status, &mut object.data) else { return Ok(false) };
        status.insert("observedGeneration".to_owned(), json!(generation));
        status.insert("conditions".to_owned(), json!(conditions));
        data.insert("status".to_owned(), Value::Object(status));
        object.metadata.managed_fields = None;
        answer(timeout(API_TIMEOUT, api.replace_status(name, &PostParams::default(), &object)).await).map(|_| true)
    }

    /// The same objects without this version's types.
    pub(super) fn untyped(&self, namespace: &str) -> Api<DynamicObject> {
        let resource = ApiResource::erase::<ClusterRedistribution>(&());
        Api::namespaced_with(self.client.clone(), namespace, &resource)
    }
}

/// What cannot be read counts as a trace.
fn may_have_been_called(data: &Value, generation: i64) -> bool {
    let Some(status) = data.get("status") else { return false };
    let is = |path: &str| status.pointer(path) == Some(&json!(generation));
    let past = status.get("history").and_then(Value::as_array).into_iter().flatten();
    let in_history =
        past.map(|past| past.get("generation").and_then(Value::as_i64)).any(|of| of.is_none_or(|of| of >= generation));
    let said = status.get("conditions").is_some_and(|conditions| {
        serde_json::from_value::<Vec<Condition>>(conditions.clone())
            .map_or(true, |conditions| speak_of_a_call(&conditions, generation))
    });
    let answered = is("/observedGeneration") && status.get("statusCode").is_some_and(|code| !code.is_null());
    is("/attempt/generation") || in_history || said || answered
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;
