//! Exactly one call for each generation, whatever happens around it.

use kube::api::{DeleteParams, Patch, PatchParams};
use redistribution_operator::api::ClusterRedistribution;
use serde_json::json;
use testbed::simulator::{Act, Answer, Options, Script};

use crate::support::world::{NO_TIMEOUT, World, reason_of, wait_for_output};

/// Another object that is delivered now proves that the operator has processed all earlier objects.
async fn all_processed(world: &World, name: &str) {
    world.delivered(name).await;
}

fn accepting(count: usize) -> impl Iterator<Item = Script> {
    std::iter::repeat_n(Script::status(200), count)
}

#[tokio::test]
async fn a_restart_while_idle_sends_nothing() {
    let world = World::new().await;
    let cluster = world.cluster();
    let first = world.operator().await;
    world.create("request", &cluster).await;
    let delivered = world.settled("request", "Delivered").await;
    assert!(first.terminate().await.unwrap().success());
    let second = world.operator().await;
    all_processed(&world, "after-sigterm").await;
    second.kill().await.unwrap();
    let _third = world.operator().await;
    all_processed(&world, "after-sigkill").await;
    assert_eq!(world.calls(&cluster), 1);
    assert_eq!(
        world.api().get("request").await.unwrap().metadata.resource_version,
        delivered.metadata.resource_version
    );
}

#[tokio::test]
async fn edits_outside_the_spec_send_nothing() {
    let (world, cluster, _operator) = World::with_request(&[], None).await;
    world.settled("request", "Delivered").await;
    world.patch("request", json!({"metadata": {"labels": {"team": "x"}}})).await;
    world.annotate("request", "dws.huaweicloud.com/not-after", Some("2999-01-01T00:00:00Z")).await;
    world.annotate("request", "dws.huaweicloud.com/suspend", Some("true")).await;
    world.annotate("request", "dws.huaweicloud.com/suspend", None).await;
    world.annotate("request", "dws.huaweicloud.com/misspelt", Some("x")).await;
    world.patch_status("request", json!({"statusCode": null, "conditions": [], "observedGeneration": -1})).await;
    all_processed(&world, "later").await;
    assert_eq!(world.calls(&cluster), 1);
}

#[tokio::test]
async fn three_to_five_to_three_jobs_are_three_calls() {
    let (world, cluster, _operator) = World::with_request(&[], accepting(3)).await;
    world.settled("request", "Delivered").await;
    for jobs in [5, 3] {
        world.patch("request", json!({"spec": {"parallelJobs": jobs}})).await;
        world.settled("request", "Delivered").await;
    }
    assert_eq!(world.calls(&cluster), 3);
    let object = world.api().get("request").await.unwrap();
    let history: Vec<_> =
        object.status.unwrap().history.iter().map(|past| (past.generation, past.state.clone())).collect();
    assert_eq!(history, [(2, "Answered".to_owned()), (1, "Answered".to_owned())]);
}

#[tokio::test]
async fn fifty_quick_edits_cost_one_call_each_at_most_and_one_for_the_last() {
    let (world, cluster, _operator) = World::with_request(&[], accepting(60)).await;
    for edit in 0..50 {
        // No two generations have the same spec, so that the ledger shows the generation of each call.
        let (jobs, mode) = (edit % 25 + 4, if edit < 25 { "online" } else { "offline" });
        world.patch("request", json!({"spec": {"parallelJobs": jobs, "redisMode": mode}})).await;
    }
    let object = world.settled("request", "Delivered").await;
    assert_eq!(object.metadata.generation, Some(51));
    let attempt = object.status.unwrap().attempt.unwrap();
    assert_eq!(attempt.generation, 51);
    let entries: Vec<_> = world.cloud.entries().into_iter().filter(|entry| entry.cluster == cluster).collect();
    assert!((1..=51).contains(&entries.len()), "{} calls", entries.len());
    assert_eq!(world.cloud.max_in_flight().1, 1, "never two at once for one cluster");
    let mut bodies: Vec<_> = entries.iter().map(|entry| &entry.body).collect();
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), entries.len(), "a generation was sent twice");
    assert_eq!(entries[entries.len() - 1].body, r#"{"redis_mode":"offline","parallel_jobs":28}"#, "the last request");
}

#[tokio::test]
async fn two_operators_without_election_send_one_call_for_each_object() {
    let world = World::with(Options { accept_any_cluster: true, ..Options::default() }).await;
    let clusters = world.create_many(100).await;
    let (_one, _two) = tokio::join!(
        world.operator(),
        world.operator_from(|options| "second".clone_into(&mut options.service_account))
    );
    let objects = world.all_settled(&["Delivered"]).await;
    assert_eq!(objects.len(), 100);
    let calls: Vec<_> = clusters.iter().map(|cluster| world.calls(cluster)).collect();
    assert!(calls.iter().all(|&calls| calls == 1), "{calls:?}");
}

/// Writes the object again and again, so that other writers meet conflicts.
async fn disturb(world: &World, name: &str, until: impl Fn(&ClusterRedistribution) -> bool) -> usize {
    let api = world.api();
    for count in 0..100_000 {
        let patch = Patch::Merge(json!({"metadata": {"labels": {"disturbance": count.to_string()}}}));
        let object = api.patch(name, &PatchParams::default(), &patch).await.unwrap();
        if until(&object) {
            return count;
        }
    }
    panic!("never came to an end");
}

#[tokio::test]
async fn conflicts_on_claim_and_record_change_nothing() {
    let world = World::new().await;
    let _operator = world.operator().await;
    for round in 0..3 {
        let (cluster, name) = (world.cluster(), format!("request-{round}"));
        world.create(&name, &cluster).await;
        disturb(&world, &name, |object| reason_of(object).as_deref() == Some("Delivered")).await;
        assert_eq!(world.calls(&cluster), 1);
    }
}

#[tokio::test]
async fn a_record_that_meets_conflicts_is_still_written() {
    let (world, cluster, _operator) = World::with_a_call_in_flight(&[NO_TIMEOUT]).await;
    // The object has changed since the claim, so the first write of the outcome certainly meets a conflict.
    world.patch("request", json!({"metadata": {"labels": {"moved": "on"}}})).await;
    world.cloud.release(&cluster);
    world.settled("request", "Delivered").await;
    assert_eq!(world.calls(&cluster), 1);
}

#[tokio::test]
async fn an_edit_during_a_call_waits_for_it_and_is_sent_afterwards() {
    let world = World::new().await;
    let cluster = world.cluster();
    world.cloud.script(&cluster, [Script::held(), Script::status(200)]);
    let _operator = world.operator_with(&[NO_TIMEOUT]).await;
    // A key without a first answer carries one call: no other call could be made beside the one that is held.
    all_processed(&world, "first").await;
    world.create("request", &cluster).await;
    world.cloud.arrived(&cluster, 1).await;
    world.patch("request", json!({"spec": {"parallelJobs": 7}})).await;
    all_processed(&world, "other").await;
    assert_eq!(world.calls(&cluster), 1, "two generations never overlap");
    world.cloud.release(&cluster);
    let object = world.settled("request", "Delivered").await;
    assert_eq!((world.calls(&cluster), object.metadata.generation), (2, Some(2)));
    assert_eq!(world.cloud.max_in_flight().1, 1);
}

#[tokio::test]
async fn two_objects_for_one_cluster_are_called_one_after_the_other() {
    let world = World::new().await;
    let cluster = world.cluster();
    world.cloud.script(&cluster, [Script::held(), Script::new(Act::Answer(Answer::empty(200)))]);
    let _operator = world.operator_with(&[NO_TIMEOUT]).await;
    world.create("first", &cluster).await;
    world.cloud.arrived(&cluster, 1).await;
    world.create("second", &cluster.to_uppercase()).await;
    let held = world.settled("second", "AnotherCallInFlight").await;
    assert!(crate::support::world::message(&held).contains("first"));
    world.cloud.release(&cluster);
    world.settled("first", "Delivered").await;
    world.settled("second", "Delivered").await;
    assert_eq!((world.calls(&cluster), world.cloud.max_in_flight().1), (2, 1));
}

#[tokio::test]
async fn an_object_deleted_during_its_call_disturbs_no_other() {
    let (world, cluster, operator) = World::with_request(&[NO_TIMEOUT], [Script::held(), Script::status(200)]).await;
    world.cloud.arrived(&cluster, 1).await;
    world.api().delete("request", &DeleteParams::default()).await.unwrap();
    world.create("request", &cluster).await;
    world.cloud.release(&cluster);
    world.settled("request", "Delivered").await;
    assert_eq!(world.calls(&cluster), 2, "one for each uid");
    wait_for_output(&operator, "\"recorded\":\"Gone\"").await;
}
