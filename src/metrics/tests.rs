//! What the watch tells is what is counted, whatever of it was lost on the way.

use prometheus_client::{encoding::text::encode, registry::Registry};
use serde_json::json;

use super::objects::Objects;
use crate::view::Guarded;

fn object(name: &str, reason: &str) -> Guarded {
    let condition = json!({
        "type": "Ready", "status": "False", "reason": reason, "message": "", "observedGeneration": 1,
        "lastTransitionTime": "2026-12-01T18:00:00Z",
    });
    let object = json!({
        "apiVersion": "dws.huaweicloud.com/v1alpha1",
        "kind": "ClusterRedistribution",
        "metadata": {"namespace": "team", "name": name, "uid": name, "generation": 1},
        "spec": {
            "projectID": "89cd04f168b84af6be287f71730fdb4b", "clusterID": "e59d6b86-9072-46eb-a996-13f8b44994c1",
            "redisMode": "online", "parallelJobs": 3,
        },
        "status": {"observedGeneration": 1, "conditions": [condition]},
    });
    Guarded { seen: None, object: Ok(serde_json::from_value(object).unwrap()), is_untouched: false }
}

/// The lines of the gauges of objects, in order.
fn shown(objects: Objects) -> Vec<String> {
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
    objects.show(true);
    objects
}

#[test]
fn an_object_counts_once_by_its_latest_reason() {
    let objects = leading();
    for reason in ["RequestInFlight", "OutcomeUnknown", "Suspended"] {
        objects.seen(0, &object("one", reason), true);
    }
    let expected = [
        r#"dws_redistribution_held_objects{reason="Suspended"} 1"#,
        r#"dws_redistribution_objects{reason="Suspended"} 1"#,
    ];
    assert_eq!(shown(objects), expected);
}

#[test]
fn what_a_later_list_does_not_hold_is_counted_no_more_but_for_other_watches() {
    let objects = leading();
    objects.listing(0);
    objects.seen(0, &object("gone", "Delivered"), false);
    objects.seen(0, &object("kept", "Delivered"), false);
    objects.listed(0);
    objects.seen(1, &object("elsewhere", "BadRequest"), false);
    objects.listing(0);
    objects.seen(0, &object("kept", "Delivered"), false);
    objects.listed(0);
    let expected = [
        r#"dws_redistribution_objects{reason="BadRequest"} 1"#,
        r#"dws_redistribution_objects{reason="Delivered"} 1"#,
        r#"dws_redistribution_stalled{namespace="team",name="elsewhere",reason="BadRequest"} 1"#,
    ];
    assert_eq!(shown(objects), expected);
}

#[test]
fn of_a_thousand_that_need_a_person_a_hundred_have_names_and_the_rest_a_number() {
    let objects = leading();
    for number in 0..1000 {
        objects.seen(0, &object(&number.to_string(), "OutcomeUnknown"), false);
    }
    let lines = shown(objects);
    let stalled: Vec<_> = lines.iter().filter(|line| line.starts_with("dws_redistribution_stalled")).collect();
    assert_eq!(stalled.len(), 101);
    assert_eq!(stalled[0], r#"dws_redistribution_stalled{namespace="",name="",reason="OutcomeUnknown"} 900"#);
}

#[test]
fn a_follower_shows_none() {
    let objects = Objects::default();
    objects.seen(0, &object("one", "Delivered"), false);
    assert_eq!(shown(objects), Vec::<String>::new());
}
