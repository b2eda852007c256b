//! The state after an end of the process, graceful or not.

use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, ObjectMeta, PostParams},
};
use serde_json::json;
use testbed::{Operator, access::Grant, simulator::Script};

use crate::support::world::{NO_TIMEOUT, SHORT_GRACE, World, condition, wait_for_output};

#[tokio::test]
async fn sigterm_records_the_answer_under_way_and_makes_no_new_claim() {
    let (world, cluster, operator) = World::with_a_call_in_flight(&[NO_TIMEOUT]).await;
    let other = world.cluster();
    let (status, ()) = tokio::join!(operator.terminate(), async {
        wait_for_output(&operator, "no new claim is made").await;
        world.create("too-late", &other).await;
        world.cloud.release(&cluster);
    });
    assert!(status.unwrap().success());
    let object = world.settled("request", "Delivered").await;
    assert_eq!(object.status.unwrap().status_code, Some(200));
    assert_eq!((world.calls(&cluster), world.calls(&other)), (1, 0));
    let _next = world.operator().await;
    world.settled("too-late", "Delivered").await;
}

/// Another operator, which may do the same under another account.
async fn second(world: &World) -> Operator {
    world
        .operator_from(|options| {
            "second".clone_into(&mut options.service_account);
            options.arguments.push(SHORT_GRACE.into());
        })
        .await
}

#[tokio::test]
async fn sigkill_during_a_call_is_outcome_unknown_and_is_not_repeated() {
    let (world, cluster, first) = World::with_a_call_in_flight(&[SHORT_GRACE]).await;
    first.kill().await.unwrap();
    let _second = world.operator_with(&[SHORT_GRACE]).await;
    let object = world.settled("request", "OutcomeUnknown").await;
    assert_eq!(condition(&object, "Delivered").as_deref(), Some("Unknown"));
    let attempt = object.status.unwrap().attempt.unwrap();
    assert_eq!((attempt.state.as_str(), attempt.closed), ("Unknown", Some(true)));
    assert_eq!(world.calls(&cluster), 1);
    world.cloud.script(&cluster, [Script::status(200)]);
    world.patch("request", json!({"spec": {"trigger": "again"}})).await;
    world.settled("request", "Delivered").await;
    assert_eq!(world.calls(&cluster), 2);
}

#[tokio::test]
async fn an_operator_frozen_until_its_claim_expired_sends_nothing_twice() {
    let (world, cluster, first) = World::with_a_call_in_flight(&[SHORT_GRACE]).await;
    first.pause().unwrap();
    let _second = second(&world).await;
    world.settled("request", "OutcomeUnknown").await;
    // The deadline of the call passed before any answer.
    first.resume().unwrap();
    wait_for_output(&first, "\"message\":\"outcome\"").await;
    world.settled("request", "OutcomeUnknown").await;
    world.cloud.release(&cluster);
    // It ends only after all its pending work is done.
    assert!(first.terminate().await.unwrap().success());
    world.settled("request", "OutcomeUnknown").await;
    assert_eq!(world.calls(&cluster), 1);
}

#[tokio::test]
async fn an_operator_frozen_during_its_call_records_the_answer_and_sends_once() {
    let (world, cluster, first) = World::with_a_call_in_flight(&[SHORT_GRACE]).await;
    first.pause().unwrap();
    let _second = second(&world).await;
    world.settled("request", "OutcomeUnknown").await;
    world.cloud.release(&cluster);
    first.resume().unwrap();
    wait_for_output(&first, "\"message\":\"outcome\"").await;
    assert!(first.terminate().await.unwrap().success());
    // The answer and its deadline are both due when the process resumes; either result is correct.
    world.all_settled(&["Delivered", "OutcomeUnknown"]).await;
    assert_eq!(world.calls(&cluster), 1);
}

#[tokio::test]
async fn an_answer_written_after_the_grace_replaces_the_unknown_outcome() {
    // The claim must not expire before the answer comes: the grace covers the time that removing the operator's rights
    // may need.
    let (world, cluster, first) = World::with_a_call_in_flight(&[SHORT_GRACE, "--request-timeout=40s"]).await;
    // From now on the first operator may not write: its answer has to wait.
    let bindings = Api::<RoleBinding>::namespaced(world.client.clone(), &world.namespace);
    let is_its_own = |binding: &RoleBinding| {
        let subjects = binding.subjects.clone().unwrap_or_default();
        binding.role_ref.name == "redistribution-operator"
            && subjects.iter().any(|subject| subject.name == "redistribution-operator")
    };
    let mut taken: Vec<_> =
        bindings.list(&ListParams::default()).await.unwrap().items.into_iter().filter(is_its_own).collect();
    assert!(!taken.is_empty());
    for binding in &taken {
        bindings.delete(&binding.name_any(), &DeleteParams::default()).await.unwrap();
    }
    let watch = [world.namespace.clone()];
    let its_own = Grant { namespace: &world.namespace, name: "redistribution-operator", watch: &watch, secrets: true };
    its_own.lost(&world.client).await.unwrap();
    world.cloud.release(&cluster);
    wait_for_output(&first, "the outcome is not written yet").await;
    let _second = second(&world).await;
    let unknown = world.settled("request", "OutcomeUnknown").await;
    assert_eq!(unknown.status.unwrap().status_code, None);
    for binding in &mut taken {
        binding.metadata = ObjectMeta { name: binding.metadata.name.clone(), ..ObjectMeta::default() };
        bindings.create(&PostParams::default(), binding).await.unwrap();
    }
    let object = world.settled("request", "Delivered").await;
    let status = object.status.unwrap();
    assert_eq!((status.status_code, status.attempt.unwrap().closed), (Some(200), Some(true)));
    assert_eq!(world.calls(&cluster), 1);
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let (_world, _cluster, operator) = World::with_a_call_in_flight(&[NO_TIMEOUT]).await;
    let (status, ()) = tokio::join!(operator.terminate(), async {
        wait_for_output(&operator, "no new claim is made").await;
        let pid = operator.pid().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    });
    assert_eq!(status.unwrap().code(), Some(1));
}
