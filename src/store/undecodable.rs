//! The report of an object that does not fit this version's types.

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::ObjectMeta, jiff::Timestamp};
use serde::de::IgnoredAny;

use super::{API_TIMEOUT, StatusStore, StoreError};
use crate::{
    api::{ClusterRedistribution, ObjectKey, Reason, text::truncate},
    protocol::{
        journal::{self, ATTEMPT_LOST, Journal},
        transitions::held,
    },
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    Written,
    Known,
    /// The object fits now, or is gone or being deleted.
    NoLongerApplies,
    /// Status may be the only proof that this generation or an older one was called.
    LeftAlone,
}

impl StatusStore {
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
