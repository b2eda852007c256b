//! A journal that cannot be trusted, a CRD that does not keep one, and objects that cannot be read: no call, a reason,
//! and no other object is disturbed.

use kube::api::DeleteParams;
use serde_json::{Value, json};
use testbed::{eventually, simulator::Script};

use crate::support::{
    crd,
    world::{PATIENCE, SHORT_GRACE, World, condition, message},
};

fn forged(uid: &str, generation: i64, state: &str) -> Value {
    json!({"id": "f".repeat(32), "uid": uid, "generation": generation, "state": state, "graceSeconds": 15})
}

#[tokio::test]
async fn a_forged_foreign_or_future_journal_leads_to_no_call() {
    let world = World::new().await;
    let cluster = world.cluster();
    let uid = world.create("self", &cluster).await.metadata.uid.unwrap();
    let cases = [
        ("self", json!({"attempt": forged(&uid, 7, "Answered")})),
        ("foreign", json!({"attempt": forged("another-uid", 1, "Answered")})),
        ("answer-only", json!({"observedGeneration": 1, "statusCode": 200})),
        ("history-only", json!({"history": [{"id": "h", "generation": 1, "state": "Answered"}]})),
        ("future-word", json!({"attempt": {"state": "Observed"}})),
        ("unobserved", json!({"attempt": {"state": "Answered"}})),
    ];
    for (name, status) in cases {
        let own = if name == "self" { uid.clone() } else { world.create(name, &cluster).await.metadata.uid.unwrap() };
        let mut status = status;
        if let Some(state) = status.pointer("/attempt/state").filter(|_| status["attempt"]["id"].is_null()) {
            status = json!({"attempt": forged(&own, 1, state.as_str().unwrap())});
        }
        world.patch_status(name, status).await;
    }
    let _operator = world.operator_with(&[SHORT_GRACE]).await;
    for name in ["self", "foreign", "answer-only", "history-only", "future-word", "unobserved"] {
        let object = world.settled(name, "JournalInvalid").await;
        assert_eq!(condition(&object, "Stalled").as_deref(), Some("True"));
        assert!(message(&object).contains("spec.trigger"), "{}", message(&object));
    }
    assert_eq!(world.cloud.total_calls(), 0);
    // A new request overwrites a foreign journal, after the grace.
    world.patch("foreign", json!({"spec": {"trigger": "on"}})).await;
    world.settled("foreign", "Delivered").await;
    assert_eq!(world.cloud.total_calls(), 1);
}

#[tokio::test]
async fn a_restored_status_is_reported_at_every_waiting_generation() {
    let world = World::new().await;
    let cluster = world.cluster();
    let uid = world.create("request", &cluster).await.metadata.uid.unwrap();
    world.patch_status("request", json!({"attempt": forged(&uid, 3, "Answered")})).await;
    let _operator = world.operator_with(&[SHORT_GRACE]).await;
    for generation in 1..=3 {
        let object = world.settled("request", "JournalInvalid").await;
        assert_eq!(object.metadata.generation, Some(generation));
        world.patch("request", json!({"spec": {"trigger": generation.to_string()}})).await;
    }
    assert_eq!(world.calls(&cluster), 0, "generation 4 waits for a request that may be on its way");
}

#[tokio::test]
async fn a_suspended_object_restored_with_status_is_sent_once_after_an_edit() {
    let world = World::new().await;
    let cluster = world.cluster();
    world.create_annotated("request", &cluster, &[("suspend", "true")]).await;
    let history = json!([{"id": "e".repeat(32), "generation": 7, "state": "Answered"}]);
    world.patch_status("request", json!({"attempt": forged("another-uid", 1, "Answered"), "history": history})).await;
    let _operator = world.operator_with(&[SHORT_GRACE]).await;
    world.settled("request", "JournalInvalid").await;
    world.patch("request", json!({"spec": {"trigger": "on"}})).await;
    let object = world.settled("request", "Suspended").await;
    assert!(object.status.unwrap().attempt.is_none(), "the copied journal is no history of this object");
    world.annotate("request", "dws.huaweicloud.com/suspend", None).await;
    world.settled("request", "Delivered").await;
    assert_eq!(world.calls(&cluster), 1);
}

#[tokio::test]
async fn unreadable_objects_get_a_condition_and_disturb_no_other() {
    let mut loose = crd::current();
    let spec = loose.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec").unwrap();
    spec.as_object_mut().unwrap().remove("required");
    let mode = spec.pointer_mut("/properties/redisMode").unwrap().as_object_mut().unwrap();
    mode.remove("enum");
    mode.insert("maxLength".to_owned(), json!(64));
    let world = crd::world(&loose).await;
    let cluster = world.cluster();
    world.cloud.script(&cluster, [Script::status(200)]);
    for number in 0..5 {
        let mut spec = serde_json::to_value(crate::support::world::spec(&cluster)).unwrap();
        spec["redisMode"] = json!("fast");
        if number % 2 == 0 {
            spec.as_object_mut().unwrap().remove("projectID");
        }
        let object = json!({
            "apiVersion": "dws.huaweicloud.com/v1alpha1", "kind": "ClusterRedistribution",
            "metadata": {"name": format!("odd-{number}"), "namespace": world.namespace}, "spec": spec
        });
        let output = world.plane.kubectl_with_input(&["create", "-f", "-"], &object.to_string()).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    crd::replace(&world, &crd::current()).await;
    let _operator = world.operator().await;
    world.create_many(95).await;
    for number in 0..95 {
        world.settled(&format!("request-{number}"), "Delivered").await;
    }
    for number in 0..5 {
        let name = format!("odd-{number}");
        eventually(PATIENCE, &format!("{name} has the reason ObjectInvalid"), async || {
            let arguments = ["get", "dwsredist", &name, "-n", &world.namespace, "-o", "json"];
            let output = world.plane.kubectl(&arguments).map_err(|error| error.to_string())?;
            let object: Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
            let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
            let ready = conditions.find(|condition| condition["type"] == "Ready").cloned().unwrap_or_default();
            if ready["reason"] == "ObjectInvalid" { Ok(()) } else { Err(ready.to_string()) }
        })
        .await;
    }
    assert_eq!(world.cloud.total_calls(), 95);
}

#[tokio::test]
async fn restored_objects_without_status_are_sent_only_before_their_not_after() {
    let world = World::new().await;
    let (cluster, other) = (world.cluster(), world.cluster());
    let _operator = world.operator().await;
    // A backup contains spec and annotations, not uid and status.
    let restore = async |name: &str, cluster: &str, not_after: &str| {
        world.create_annotated(name, cluster, &[("not-after", not_after)]).await;
    };
    restore("request", &cluster, "2999-01-01T00:00:00Z").await;
    world.settled("request", "Delivered").await;
    world.api().delete("request", &DeleteParams::default()).await.unwrap();
    restore("request", &cluster, "2026-01-01T00:00:00Z").await;
    let object = world.settled("request", "Expired").await;
    assert_eq!(condition(&object, "Delivered").as_deref(), Some("False"));
    assert_eq!(world.calls(&cluster), 1);
    // Before it, a restored object is a new request and is sent again. The guarantee allows that, and it is why the guard exists.
    world.cloud.script(&other, [Script::status(200), Script::status(200)]);
    for calls in [1, 2] {
        restore("early", &other, "2999-01-01T00:00:00Z").await;
        world.settled("early", "Delivered").await;
        assert_eq!(world.calls(&other), calls);
        world.api().delete("early", &DeleteParams::default()).await.unwrap();
    }
    assert_eq!(world.calls(&cluster), 1);
}
