//! The rules by which Flux, Helm 4 and others judge any object, implemented from their documentation, applied to every
//! state of an object.

use redistribution_operator::api::{ClusterRedistribution, Reason, ReasonClass};
use serde_json::{Value, json};
use testbed::simulator::{Act, Answer, Script};

use crate::support::world::{NO_TIMEOUT, World};

#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Current,
    InProgress,
    Failed,
    Terminating,
}

/// The rules of kstatus for a kind that it does not know.
pub fn judge(object: &Value) -> Verdict {
    if !object["metadata"]["deletionTimestamp"].is_null() {
        return Verdict::Terminating;
    }
    let status = &object["status"];
    if let Some(observed) = status["observedGeneration"].as_i64()
        && Some(observed) != object["metadata"]["generation"].as_i64()
    {
        return Verdict::InProgress;
    }
    let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    for condition in &conditions {
        match (condition["type"].as_str(), condition["status"].as_str()) {
            (Some("Reconciling"), Some("True")) => return Verdict::InProgress,
            (Some("Stalled"), Some("True")) => return Verdict::Failed,
            _ => {}
        }
    }
    match conditions.iter().find(|condition| condition["type"] == "Ready").and_then(|ready| ready["status"].as_str()) {
        Some("True") | None => Verdict::Current,
        Some(_) => Verdict::InProgress,
    }
}

fn verdict(object: &ClusterRedistribution) -> Verdict {
    judge(&serde_json::to_value(object).unwrap())
}

fn expected(reason: Reason) -> Verdict {
    match reason.class() {
        ReasonClass::Blocked | ReasonClass::InFlight => Verdict::InProgress,
        ReasonClass::Delivered => Verdict::Current,
        ReasonClass::Stalled | ReasonClass::Refused | ReasonClass::Unknown => Verdict::Failed,
    }
}

#[test]
fn every_reason_is_judged_as_documented() {
    for &reason in Reason::ALL {
        let now = "2026-12-01T18:00:00Z".parse().unwrap();
        let status = redistribution_operator::protocol::transitions::held(None, 3, reason, "why", now).unwrap();
        let object = json!({"metadata": {"generation": 3}, "status": status});
        assert_eq!(judge(&object), expected(reason), "{reason}");
        let edited = json!({"metadata": {"generation": 4}, "status": status});
        assert_eq!(judge(&edited), Verdict::InProgress, "{reason}, edited");
    }
}

#[tokio::test]
async fn an_object_without_or_with_empty_status_is_in_progress() {
    let world = World::new().await;
    let cluster = world.cluster();
    let unseen = world.create("unseen", &cluster).await;
    assert_eq!(unseen.status.as_ref().unwrap().observed_generation, Some(-1));
    assert_eq!(verdict(&unseen), Verdict::InProgress);
    let yaml = json!({
        "apiVersion": "dws.huaweicloud.com/v1alpha1", "kind": "ClusterRedistribution",
        "metadata": {"name": "empty", "namespace": world.namespace},
        "spec": crate::support::world::spec(&cluster), "status": {}
    });
    assert!(world.plane.kubectl_with_input(&["apply", "-f", "-"], &yaml.to_string()).unwrap().status.success());
    assert_eq!(verdict(&world.api().get("empty").await.unwrap()), Verdict::InProgress);
    let wiped = world.patch_status("empty", json!({"observedGeneration": null, "conditions": null})).await;
    assert_eq!(verdict(&wiped), Verdict::InProgress);
}

#[tokio::test]
async fn real_objects_are_judged_rightly_on_their_way() {
    let (world, cluster, _operator) = World::with_request(
        &[NO_TIMEOUT],
        [Script::held(), Script::new(Act::Answer(Answer::empty(403))), Script::lost_reply()],
    )
    .await;
    world.cloud.arrived(&cluster, 1).await;
    assert_eq!(verdict(&world.settled("request", "RequestInFlight").await), Verdict::InProgress);
    world.cloud.release(&cluster);
    assert_eq!(verdict(&world.settled("request", "Delivered").await), Verdict::Current);
    let edited = world.patch("request", json!({"spec": {"trigger": "1"}})).await;
    assert_eq!(verdict(&edited), Verdict::InProgress);
    assert_eq!(verdict(&world.settled("request", "PermissionDenied").await), Verdict::Failed);
    world.patch("request", json!({"spec": {"trigger": "2"}})).await;
    assert_eq!(verdict(&world.settled("request", "OutcomeUnknown").await), Verdict::Failed);
}
