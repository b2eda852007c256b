//! The gauges follow the watch, even where it has lost events.

use prometheus_client::{encoding::text::encode, registry::Registry};
use serde_json::{Value, json};

use super::objects::Objects;
use crate::api::ClusterRedistribution;

/// Of the first generation.
fn condition(type_: &str, status: &str, reason: &str) -> Value {
    json!({
        "type": type_, "status": status, "reason": reason, "message": "", "observedGeneration": 1,
        "lastTransitionTime": "2026-12-01T18:00:00Z",
    })
}

fn object(name: &str, reason: &str) -> ClusterRedistribution {
    object_with(name, 1, &[condition("Ready", "False", reason)])
}

/// An object whose call was delivered and whose redistribution has this condition.
fn redistributed(name: &str, status: &str, reason: &str) -> ClusterRedistribution {
    object_with(name, 1, &[condition("Ready", "True", "Delivered"), condition("Redistributed", status, reason)])
}

fn object_with(name: &str, generation: i64, conditions: &[Value]) -> ClusterRedistribution {
    let object = json!({
        "apiVersion": "dws.huaweicloud.com/v1alpha1",
        "kind": "ClusterRedistribution",
        "metadata": {"namespace": "team", "name": name, "uid": name, "generation": generation},
        "spec": {
            "projectID": "89cd04f168b84af6be287f71730fdb4b", "clusterID": "e59d6b86-9072-46eb-a996-13f8b44994c1",
            "redisMode": "online", "parallelJobs": 3,
        },
        "status": {"observedGeneration": 1, "conditions": conditions},
    });
    serde_json::from_value(object).unwrap()
}

/// The lines of the gauges of objects, in order.
fn exported(objects: Objects) -> Vec<String> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(objects));
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    let mut lines: Vec<_> = text.lines().filter(|line| line.starts_with("dws_")).map(str::to_owned).collect();
    lines.sort();
    lines
}

fn leading() -> Objects {
    let objects = Objects::default();
    objects.export(true);
    objects
}

#[test]
fn an_object_counts_once_by_its_latest_reason() {
    let objects = leading();
    for reason in ["RequestInFlight", "OutcomeUnknown", "Suspended"] {
        objects.seen(0, Ok(&object("one", reason)), (true, true));
    }
    let expected = [
        r#"dws_redistribution_held_objects{reason="Suspended"} 1"#,
        r#"dws_redistribution_objects{reason="Suspended"} 1"#,
    ];
    assert_eq!(exported(objects), expected);
}

#[test]
fn objects_missing_in_a_later_list_of_their_watch_are_not_counted() {
    let objects = leading();
    objects.listing(0);
    objects.seen(0, Ok(&object("gone", "Delivered")), (false, true));
    objects.seen(0, Ok(&object("kept", "Delivered")), (false, true));
    objects.listed(0);
    objects.seen(1, Ok(&object("elsewhere", "BadRequest")), (false, true));
    // The first of these lists broke off.
    objects.listing(0);
    objects.listing(0);
    objects.seen(0, Ok(&object("kept", "Delivered")), (false, true));
    objects.listed(0);
    let expected = [
        r#"dws_redistribution_objects{reason="BadRequest"} 1"#,
        r#"dws_redistribution_objects{reason="Delivered"} 1"#,
        r#"dws_redistribution_stalled{namespace="team",name="elsewhere",reason="BadRequest"} 1"#,
    ];
    assert_eq!(exported(objects), expected);
}

#[test]
fn stalled_objects_beyond_a_hundred_are_counted_without_names() {
    let objects = leading();
    for number in 0..1000 {
        objects.seen(0, Ok(&object(&number.to_string(), "OutcomeUnknown")), (false, true));
    }
    let lines = exported(objects);
    let stalled: Vec<_> = lines.iter().filter(|line| line.starts_with("dws_redistribution_stalled")).collect();
    assert_eq!(stalled.len(), 101);
    assert_eq!(stalled[0], r#"dws_redistribution_stalled{namespace="",name="",reason="OutcomeUnknown"} 900"#);
}

#[test]
fn namespaces_share_the_series_with_names() {
    let objects = leading();
    for (namespace, count) in [("many", 1000), ("few", 3)] {
        for number in 0..count {
            let mut object = object(&format!("{namespace}-{number}"), "OutcomeUnknown");
            object.metadata.namespace = Some(namespace.to_owned());
            objects.seen(0, Ok(&object), (false, false));
        }
    }
    let lines = exported(objects);
    let of = |namespace: &str| lines.iter().filter(|line| line.contains(&format!("namespace=\"{namespace}\""))).count();
    assert_eq!((of("many"), of("few")), (97, 3));
}

/// The series of stopped redistributions.
fn stopped(objects: Objects) -> Vec<String> {
    exported(objects).into_iter().filter(|line| line.starts_with("dws_redistribution_stopped")).collect()
}

#[test]
fn a_stopped_redistribution_is_shown_until_it_resumes_or_is_deleted() {
    let objects = leading();
    objects.listing(0);
    for name in ["paused", "failed", "resumed", "over", "unseen", "deleted", "edited", "unlisted"] {
        objects.seen(0, Ok(&redistributed(name, "False", "Paused")), (true, true));
    }
    objects.listed(0);
    objects.listing(0);
    objects.seen(0, Ok(&redistributed("paused", "False", "Paused")), (true, true));
    objects.seen(0, Ok(&redistributed("failed", "False", "Failed")), (true, true));
    objects.seen(0, Ok(&redistributed("resumed", "False", "Running")), (true, true));
    objects.seen(0, Ok(&redistributed("over", "True", "Finished")), (false, true));
    objects.seen(0, Ok(&redistributed("unseen", "Unknown", "EndNotSeen")), (false, true));
    objects.gone(&redistributed("deleted", "False", "Paused").metadata);
    // Its condition is of the generation before.
    objects.seen(0, Ok(&object_with("edited", 2, &[condition("Redistributed", "False", "Paused")])), (true, true));
    objects.listed(0);
    let expected = [
        r#"dws_redistribution_stopped{namespace="team",name="failed",reason="Failed"} 1"#,
        r#"dws_redistribution_stopped{namespace="team",name="paused",reason="Paused"} 1"#,
    ];
    assert_eq!(stopped(objects), expected);
}

#[test]
fn a_stopped_redistribution_is_not_shown_without_observation() {
    let objects = leading();
    objects.seen(0, Ok(&redistributed("paused", "False", "Paused")), (false, true));
    objects.seen(0, Ok(&redistributed("paused", "False", "Paused")), (false, false));
    assert_eq!(stopped(objects), [""; 0]);
}

#[test]
fn stopped_redistributions_beyond_a_hundred_are_counted_without_names() {
    let objects = leading();
    for number in 0..1000 {
        let reason = if number < 60 { "Failed" } else { "Paused" };
        objects.seen(0, Ok(&redistributed(&number.to_string(), "False", reason)), (false, true));
    }
    let lines = exported(objects);
    assert!(lines.iter().all(|line| !line.starts_with("dws_redistribution_stalled")), "{lines:?}");
    let stopped: Vec<_> = lines.iter().filter(|line| line.starts_with("dws_redistribution_stopped")).collect();
    assert_eq!(stopped.len(), 101);
    assert_eq!(stopped[0], r#"dws_redistribution_stopped{namespace="",name="",reason="Paused"} 900"#);
}

#[test]
fn a_follower_exports_no_objects() {
    let objects = Objects::default();
    objects.seen(0, Ok(&object("one", "BadRequest")), (false, true));
    objects.seen(0, Ok(&redistributed("two", "False", "Paused")), (true, true));
    assert_eq!(exported(objects), Vec::<String>::new());
}
