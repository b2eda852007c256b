//! PURE: an object as the API server returns it, parsed from its bytes. Only the fields that this product uses are kept:
//! managed fields are half of an object's bytes and are kept only if they prove that something is hidden. It decides
//! nothing.
//!
//! Own code instead of kube's `DeserializeGuard`, which parses every object twice, managed fields included.

use std::{borrow::Cow, collections::BTreeMap};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta, Time};
use kube::{Resource, core::error_boundary::InvalidObject};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Value, value::RawValue};

use crate::{
    api::{ClusterRedistribution, ClusterRedistributionSpec, ClusterRedistributionStatus},
    protocol::journal,
};

/// An object of the watch. One that does not fit this version's types is an error of this object, not of the whole watch.
#[derive(Clone, Debug)]
pub struct StoredObject {
    /// The object, or why it cannot be read, with its metadata.
    pub object: Result<ClusterRedistribution, InvalidObject>,
}

impl StoredObject {
    /// The object, or the metadata of one that cannot be read.
    pub fn decoded(&self) -> Result<&ClusterRedistribution, &ObjectMeta> {
        self.object.as_ref().map_err(|invalid| &invalid.metadata)
    }
}

/// The fields of metadata that are used.
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

/// The fields that one manager has written, not parsed: only an entry that names status is used.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Writer {
    fields_v1: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Complete {
    #[serde(default)]
    metadata: Metadata,
    spec: ClusterRedistributionSpec,
    status: Option<ClusterRedistributionStatus>,
}

#[derive(Deserialize)]
struct MetadataOnly {
    #[serde(default)]
    metadata: Metadata,
}

impl<'de> Deserialize<'de> for StoredObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let error = match serde_json::from_str::<Complete>(raw.get()) {
            Ok(Complete { metadata, spec, status }) => {
                let mut object = ClusterRedistribution { metadata: metadata.into(), spec, status };
                if journal::hidden(&object).is_none() {
                    object.metadata.managed_fields = None;
                }
                return Ok(Self { object: Ok(object) });
            }
            Err(error) => error,
        };
        let MetadataOnly { metadata } = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
        // The same error without line and column: they refer to bytes that users never see and that change at each write.
        let value = serde_json::from_str::<Value>(raw.get()).map_err(D::Error::custom)?;
        let error = serde_json::from_value::<Complete>(value).err().unwrap_or(error).to_string();
        let object = Err(InvalidObject { error, metadata: metadata.into() });
        Ok(Self { object })
    }
}

impl Writer {
    /// The fields of status that it wrote, as the API server lists them.
    fn of_status(self) -> Option<ManagedFieldsEntry> {
        let fields = self.fields_v1.filter(|fields| fields.get().contains("\"f:status\""))?;
        let fields_v1 = Some(FieldsV1(serde_json::from_str(fields.get()).ok()?));
        Some(ManagedFieldsEntry { fields_v1, ..ManagedFieldsEntry::default() })
    }
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
            managed_fields: Some(metadata.managed_fields.into_iter().filter_map(Writer::of_status).collect()),
            ..Self::default()
        }
    }
}

impl Resource for StoredObject {
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
