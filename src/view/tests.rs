use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::{ResourceExt, core::WatchEvent};
use serde_json::json;

use super::*;
use crate::{
    resource::AttemptState,
    sample::{attempt, attempted, fresh},
};

fn answered() -> ClusterRedistribution {
    attempted(1, attempt("id", 1, AttemptState::Answered))
}

/// As the API server sends it: written by these managers, each with its subresource.
fn seen(object: &ClusterRedistribution, writers: &[Option<&str>]) -> Guarded {
    let mut object = object.clone();
    let entry = |subresource: Option<&str>| ManagedFieldsEntry {
        manager: Some("somebody".to_owned()),
        subresource: subresource.map(str::to_owned),
        ..ManagedFieldsEntry::default()
    };
    object.metadata.managed_fields = Some(writers.iter().copied().map(entry).collect());
    serde_json::from_str(&serde_json::to_string(&object).unwrap()).unwrap()
}

#[test]
fn an_object_whose_status_nobody_has_written_is_untouched() {
    assert!(seen(&fresh(1), &[None]).is_untouched);
    assert!(seen(&fresh(1), &[None, None]).is_untouched);
}

#[test]
fn a_status_without_the_default_of_the_crd_is_that_of_an_older_schema_and_proves_nothing() {
    let mut hidden = fresh(1);
    hidden.status = Some(ClusterRedistributionStatus::default());
    assert!(!seen(&hidden, &[None]).is_untouched);
    hidden.status = None;
    assert!(!seen(&hidden, &[None]).is_untouched);
}

#[test]
fn a_journal_that_an_old_schema_hides_shows_in_the_managed_fields() {
    assert!(!seen(&fresh(1), &[None, Some("status")]).is_untouched);
    assert!(!seen(&fresh(1), &[Some("status")]).is_untouched);
}

#[test]
fn where_nobody_tracks_writers_nothing_counts_as_untouched() {
    assert!(!seen(&fresh(1), &[]).is_untouched);
    let without = serde_json::to_string(&fresh(1)).unwrap();
    assert!(!serde_json::from_str::<Guarded>(&without).unwrap().is_untouched);
}

#[test]
fn any_status_makes_an_object_touched_whoever_its_writers_are() {
    assert!(!seen(&answered(), &[None]).is_untouched);
    let mut observed = fresh(1);
    observed.status = Some(ClusterRedistributionStatus { observed_generation: Some(0), ..Default::default() });
    assert!(!seen(&observed, &[None]).is_untouched);
}

#[test]
fn what_decisions_rest_on_is_read_and_managed_fields_and_labels_are_not_kept() {
    let mut object = answered();
    object.metadata.labels = Some([("team".to_owned(), "data".to_owned())].into());
    let read = seen(&object, &[None]).object.unwrap();
    object.metadata.labels = None;
    object.metadata.managed_fields = None;
    assert_eq!(serde_json::to_value(read).unwrap(), serde_json::to_value(object).unwrap());
}

#[test]
fn an_object_that_does_not_fit_is_an_error_of_its_own_with_its_metadata_and_the_same_words_wherever_it_lies() {
    let mut value = serde_json::to_value(fresh(1)).unwrap();
    value["spec"]["redisMode"] = json!("fast");
    let guarded = |text: &str| serde_json::from_str::<Guarded>(text).unwrap();
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
    let WatchEvent::Added(added) = serde_json::from_str::<WatchEvent<Guarded>>(&in_order).unwrap() else {
        panic!("not what was sent");
    };
    assert_eq!(added.uid(), fresh(1).uid());
    let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": [object]}).to_string();
    let list: kube::core::ObjectList<Guarded> = serde_json::from_str(&list).unwrap();
    assert_eq!(list.items[0].uid(), fresh(1).uid());
}
