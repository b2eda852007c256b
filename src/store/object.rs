//! PURE: an object as the API server returns it, parsed from its bytes. Only the fields that this product uses are kept:
//! managed fields are half of an object's bytes and are kept only if they prove that something is hidden. kube's
//! `DeserializeGuard` would parse every object twice, managed fields included.

use std::{borrow::Cow, collections::BTreeMap};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta, Time};
use kube::Resource;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Value, json, value::RawValue};

use crate::{
    api::{ClusterRedistribution, ClusterRedistributionSpec, ClusterRedistributionStatus},
    protocol::{annotations::PREFIX, journal},
};

/// An object as it was read. One that does not fit this version's types is an error of this object, not of the whole watch,
/// and still gets the outcome of its call.
#[derive(Clone, Debug)]
pub struct StoredObject {
    pub object: Result<ClusterRedistribution, Undecodable>,
}

/// An object whose spec does not fit, and perhaps its status.
#[derive(Clone, Debug)]
pub struct Undecodable {
    pub metadata: ObjectMeta,
    pub error: String,
    pub(super) spec: Value,
    status: Value,
}

impl StoredObject {
    /// As the cache keeps it: of an object that does not fit, metadata and error are enough, since its outcome is written on
    /// a fresh read. After a roll-back under a newer CRD no object may fit.
    #[must_use]
    pub fn for_cache(mut self) -> Self {
        if let Err(invalid) = &mut self.object {
            (invalid.spec, invalid.status) = (Value::Null, Value::Null);
        }
        self
    }

    pub fn decoded(&self) -> Result<&ClusterRedistribution, &ObjectMeta> {
        self.object.as_ref().map_err(|invalid| &invalid.metadata)
    }

    /// The status; only its attempt if the status does not fit.
    pub(super) fn status(&self) -> ClusterRedistributionStatus {
        match &self.object {
            Ok(object) => object.status.clone().unwrap_or_default(),
            Err(object) => object.status().unwrap_or_else(|| ClusterRedistributionStatus {
                attempt: object.status.get("attempt").and_then(fit),
                ..ClusterRedistributionStatus::default()
            }),
        }
    }

    pub(super) fn is_hidden(&self) -> bool {
        match &self.object {
            Ok(object) => journal::hidden(object).is_some(),
            Err(object) => object.without_spec().is_none_or(|object| journal::hidden(&object).is_some()),
        }
    }
}

impl Undecodable {
    /// Metadata and status with a placeholder spec: for reading the journal only. None if status does not fit either.
    pub(super) fn without_spec(&self) -> Option<ClusterRedistribution> {
        let spec = json!({"projectID": "", "clusterID": "", "redisMode": "online", "parallelJobs": 1});
        let status = if self.status.is_null() { None } else { Some(self.status()?) };
        Some(ClusterRedistribution { metadata: self.metadata.clone(), spec: fit(&spec)?, status })
    }

    /// This status in place of its own; if its own does not fit, only the attempt is replaced.
    pub(super) fn replaced_status(&self, status: &ClusterRedistributionStatus) -> Value {
        if self.status().is_some() {
            return json!(status);
        }
        let mut next = self.status.clone();
        if let Some(attempt) = next.get_mut("attempt") {
            *attempt = json!(status.attempt);
        }
        next
    }

    fn status(&self) -> Option<ClusterRedistributionStatus> {
        fit(&self.status)
    }
}

fn fit<T: serde::de::DeserializeOwned>(value: &Value) -> Option<T> {
    T::deserialize(value).ok()
}

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
struct Fields<Spec, Status> {
    #[serde(default)]
    metadata: Metadata,
    spec: Spec,
    status: Option<Status>,
}

type Complete = Fields<ClusterRedistributionSpec, ClusterRedistributionStatus>;
/// Whatever spec and status are.
type Lenient = Fields<Option<Value>, Value>;

impl<'de> Deserialize<'de> for StoredObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let error = match serde_json::from_str::<Complete>(raw.get()) {
            Ok(Fields { metadata, spec, status }) => {
                let mut object = ClusterRedistribution { metadata: metadata.into(), spec, status };
                if journal::hidden(&object).is_none() {
                    object.metadata.managed_fields = None;
                }
                return Ok(Self { object: Ok(object) });
            }
            Err(error) => error,
        };
        // The same error without line and column: they refer to bytes that users never see and that change at each write.
        let value = serde_json::from_str::<Value>(raw.get()).map_err(D::Error::custom)?;
        let error = Complete::deserialize(&value).err().unwrap_or(error).to_string();
        let Fields { metadata, spec, status }: Lenient = serde_json::from_value(value).map_err(D::Error::custom)?;
        let (spec, status) = (spec.unwrap_or_default(), status.unwrap_or_default());
        Ok(Self { object: Err(Undecodable { metadata: metadata.into(), error, spec, status }) })
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
    fn from(mut metadata: Metadata) -> Self {
        if let Some(annotations) = &mut metadata.annotations {
            annotations.retain(|key, _| key.starts_with(PREFIX));
        }
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
