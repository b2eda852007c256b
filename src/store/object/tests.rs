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

/// As the API server sends it: with managed fields of which one entry names these fields of status.
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
fn managed_fields_are_kept_only_where_they_name_what_the_view_lacks() {
    let names = json!({"f:attempt": {"f:id": {}}, "f:conditions": {}});
    let whole = seen(&answered(), &names);
    assert_eq!((journal::hidden(&whole), whole.metadata.managed_fields), (None, None));
    let pruned = seen(&fresh(1), &names);
    assert_eq!(journal::hidden(&pruned), Some("status.conditions"));
    assert_eq!(pruned.metadata.managed_fields.unwrap().len(), 1, "only what names status");
}

#[test]
fn what_decisions_rest_on_is_read_and_managed_fields_and_labels_are_not_kept() {
    let mut object = answered();
    object.metadata.labels = Some([("team".to_owned(), "data".to_owned())].into());
    let read = seen(&object, &json!({"f:observedGeneration": {}}));
    object.metadata.labels = None;
    assert_eq!(serde_json::to_value(read).unwrap(), serde_json::to_value(object).unwrap());
}

#[test]
fn an_object_that_does_not_fit_is_an_error_of_its_own_with_its_metadata_and_the_same_words_wherever_it_lies() {
    let mut value = serde_json::to_value(fresh(1)).unwrap();
    value["spec"]["redisMode"] = json!("fast");
    let guarded = |text: &str| serde_json::from_str::<StoredObject>(text).unwrap();
    let (compact, pretty) = (guarded(&value.to_string()), guarded(&serde_json::to_string_pretty(&value).unwrap()));
    assert_eq!(compact.name_any(), fresh(1).name_any());
    assert_eq!(compact.uid(), fresh(1).uid());
    let (one, other) = (compact.object.unwrap_err().error, pretty.object.unwrap_err().error);
    assert_eq!(one, other);
    assert!(one.contains("fast") && !one.contains("at line"), "{one}");
}

#[test]
fn an_event_of_the_watch_and_a_list_hold_such_objects() {
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
