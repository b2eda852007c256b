use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::{ResourceExt, core::WatchEvent};
use serde_json::json;

use super::*;
use crate::{
    api::AttemptState,
    testing::sample::{attempt, attempted, fresh},
};

fn answered() -> ClusterRedistribution {
    attempted(1, attempt("id", 1, AttemptState::Answered))
}

/// As the API server sends it: one entry of managed fields names these fields of status.
fn seen(object: &ClusterRedistribution, names: &serde_json::Value) -> ClusterRedistribution {
    let mut object = object.clone();
    let entry = |fields: serde_json::Value, subresource: Option<&str>| ManagedFieldsEntry {
        manager: Some("somebody".to_owned()),
        fields_v1: Some(FieldsV1(fields)),
        subresource: subresource.map(str::to_owned),
        ..ManagedFieldsEntry::default()
    };
    let of_spec = entry(json!({"f:spec": {"f:clusterID": {}}}), None);
    object.metadata.managed_fields = Some(vec![of_spec, entry(json!({"f:status": names}), Some("status"))]);
    serde_json::from_str::<StoredObject>(&serde_json::to_string(&object).unwrap()).unwrap().object.unwrap()
}

#[test]
fn managed_fields_are_kept_only_if_they_name_a_missing_field() {
    let names = json!({"f:attempt": {"f:id": {}}, "f:conditions": {}});
    let whole = seen(&answered(), &names);
    assert_eq!((journal::hidden(&whole), whole.metadata.managed_fields), (None, None));
    let pruned = seen(&fresh(1), &names);
    assert_eq!(journal::hidden(&pruned), Some("status.conditions"));
    assert_eq!(pruned.metadata.managed_fields.unwrap().len(), 1, "only the entry that names status");
}

#[test]
fn used_fields_are_read_and_managed_fields_labels_and_foreign_annotations_are_dropped() {
    let mut object = answered();
    let own = [(format!("{PREFIX}suspend"), "true".to_owned())];
    object.metadata.labels = Some([("team".to_owned(), "data".to_owned())].into());
    object.metadata.annotations =
        Some(own.clone().into_iter().chain([("example.com/note".to_owned(), "x".to_owned())]).collect());
    let read = seen(&object, &json!({"f:observedGeneration": {}}));
    object.metadata.labels = None;
    object.metadata.annotations = Some(own.into());
    assert_eq!(serde_json::to_value(read).unwrap(), serde_json::to_value(object).unwrap());
}

#[test]
fn invalid_object_keeps_its_metadata_and_has_a_stable_error() {
    let mut value = serde_json::to_value(fresh(1)).unwrap();
    value["spec"]["redisMode"] = json!("fast");
    let parse = |text: &str| serde_json::from_str::<StoredObject>(text).unwrap();
    let (compact, pretty) = (parse(&value.to_string()), parse(&serde_json::to_string_pretty(&value).unwrap()));
    assert_eq!(compact.name_any(), fresh(1).name_any());
    assert_eq!(compact.uid(), fresh(1).uid());
    let (one, other) = (compact.object.unwrap_err().error, pretty.object.unwrap_err().error);
    assert_eq!(one, other);
    assert!(one.contains("fast") && !one.contains("at line"), "{one}");
}

#[test]
fn watch_events_and_lists_contain_stored_objects() {
    let object = serde_json::to_value(fresh(1)).unwrap();
    let in_order = format!("{{\"type\":\"ADDED\",\"object\":{object}}}");
    let WatchEvent::Added(added) = serde_json::from_str::<WatchEvent<StoredObject>>(&in_order).unwrap() else {
        panic!("not what was sent");
    };
    assert_eq!(added.uid(), fresh(1).uid());
    let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": [object]}).to_string();
    let list: kube::core::ObjectList<StoredObject> = serde_json::from_str(&list).unwrap();
    assert_eq!(list.items[0].uid(), fresh(1).uid());
}
