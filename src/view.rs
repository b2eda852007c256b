//! PURE: an object as the API server shows it, read from its bytes. Only what this product uses is read: managed fields are
//! half of an object's bytes, and of labels nobody here knows anything. It decides nothing.
//!
//! Own code instead of kube's `DeserializeGuard`, which reads every object twice, managed fields included.

use std::{borrow::Cow, collections::BTreeMap, time::Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::{Resource, core::error_boundary::InvalidObject};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Value, value::RawValue};

use crate::resource::{ClusterRedistribution, ClusterRedistributionSpec, ClusterRedistributionStatus};

/// An object of the watch: one that does not fit this version's types is an error of its own, not of the whole watch.
#[derive(Clone, Debug)]
pub struct Guarded {
    /// When the watch brought it.
    pub seen: Option<Instant>,
    /// The object, or why it cannot be read, with its metadata.
    pub object: Result<ClusterRedistribution, InvalidObject>,
    /// Nobody has ever written its status, for two reasons that a watch which was opened under an older CRD, and hides the
    /// journal, cannot both fake: `observedGeneration` shows the CRD's default, while everything this product writes sets it,
    /// so a schema that knows the field shows what was written and one that does not know it has no default; and managed
    /// fields, which no schema prunes, name no writer of status. False where it cannot be known.
    pub is_untouched: bool,
}

/// Of metadata, what is used.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    annotations: Option<BTreeMap<String, String>>,
    managed_fields: Vec<Writer>,
}

/// Who wrote, and what of the object.
#[derive(Deserialize)]
struct Writer {
    subresource: Option<String>,
}

#[derive(Deserialize)]
struct Whole {
    #[serde(default)]
    metadata: Metadata,
    spec: ClusterRedistributionSpec,
    status: Option<ClusterRedistributionStatus>,
}

#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    metadata: Metadata,
}

impl<'de> Deserialize<'de> for Guarded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let error = match serde_json::from_str::<Whole>(raw.get()) {
            Ok(Whole { metadata, spec, status }) => {
                let is_untouched = metadata.shows_no_writer_of_status() && status.as_ref().is_some_and(is_default);
                let object = ClusterRedistribution { metadata: metadata.into(), spec, status };
                return Ok(Self { seen: None, object: Ok(object), is_untouched });
            }
            Err(error) => error,
        };
        let Part { metadata } = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
        // The same error without line and column, which are those of bytes that nobody sees and that change with each write.
        let value = serde_json::from_str::<Value>(raw.get()).map_err(D::Error::custom)?;
        let error = serde_json::from_value::<Whole>(value).err().unwrap_or(error).to_string();
        let object = Err(InvalidObject { error, metadata: metadata.into() });
        Ok(Self { seen: None, object, is_untouched: false })
    }
}

impl Metadata {
    /// Every write is tracked there, unless somebody has emptied the list, and then it shows no writer at all.
    fn shows_no_writer_of_status(&self) -> bool {
        !self.managed_fields.is_empty()
            && self.managed_fields.iter().all(|writer| writer.subresource.as_deref() != Some("status"))
    }
}

/// What the CRD's default makes of an absent status.
fn is_default(status: &ClusterRedistributionStatus) -> bool {
    *status == ClusterRedistributionStatus { observed_generation: Some(-1), ..ClusterRedistributionStatus::default() }
}

impl From<Metadata> for ObjectMeta {
    fn from(metadata: Metadata) -> Self {
        Self {
            name: metadata.name,
            namespace: metadata.namespace,
            uid: metadata.uid,
            resource_version: metadata.resource_version,
            generation: metadata.generation,
            creation_timestamp: metadata.creation_timestamp,
            deletion_timestamp: metadata.deletion_timestamp,
            annotations: metadata.annotations,
            ..Self::default()
        }
    }
}

impl Resource for Guarded {
    type DynamicType = <ClusterRedistribution as Resource>::DynamicType;
    type Scope = <ClusterRedistribution as Resource>::Scope;

    fn kind(kind: &Self::DynamicType) -> Cow<'_, str> {
        ClusterRedistribution::kind(kind)
    }

    fn group(kind: &Self::DynamicType) -> Cow<'_, str> {
        ClusterRedistribution::group(kind)
    }

    fn version(kind: &Self::DynamicType) -> Cow<'_, str> {
        ClusterRedistribution::version(kind)
    }

    fn plural(kind: &Self::DynamicType) -> Cow<'_, str> {
        ClusterRedistribution::plural(kind)
    }

    fn meta(&self) -> &ObjectMeta {
        self.object.as_ref().map_or_else(|invalid| &invalid.metadata, |object| &object.metadata)
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.object.as_mut().map_or_else(|invalid| &mut invalid.metadata, |object| &mut object.metadata)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests;
