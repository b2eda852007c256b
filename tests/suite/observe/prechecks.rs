//! The precheck of the cluster before a call: what it holds, what it finds without spending a call, and how rarely it
//! is made.

use redistribution_operator::api::ClusterRedistribution;
use testbed::{
    eventually,
    simulator::{Act, Answer, Denial, Read, Script},
};

use crate::{
    support::proxied::Proxied,
    support::world::{DEFAULT_SECRET, PATIENCE, World, condition, held, message, reaches, reported_waits},
};

const REQUIRE: [&str; 2] = ["--check-cluster=require", "--check-every=1s"];

fn prechecks(world: &World, cluster: &str) -> usize {
    world.cloud.reads_of(cluster, Read::Cluster)
}

/// Held by a precheck: the object continues by itself, whatever the reason.
fn is_held(object: &ClusterRedistribution) {
    let seen = ["Delivered", "Ready", "Reconciling", "Stalled"].map(|type_| condition(object, type_));
    assert_eq!(seen, [Some("False"), Some("False"), Some("True"), None].map(|value| value.map(str::to_owned)));
    let status = object.status.as_ref().unwrap();
    assert_eq!((&status.attempt, status.status_code), (&None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_ready_after_twenty_prechecks_is_called_once_and_at_once() {
    let world = World::new().await;
    let cluster = world.cluster();
    world.cloud.growing(&cluster);
    let _operator = world.operator_with(&REQUIRE).await;
    world.create("request", &cluster).await;
    let held = world.settled("request", "ClusterNotWaiting").await;
    is_held(&held);
    assert!(message(&held).contains("task_status is GROWING (it is being scaled out)"), "{}", message(&held));
    reaches(20, "prechecks", || prechecks(&world, &cluster)).await;
    assert_eq!(world.calls(&cluster), 0);
    let before = prechecks(&world, &cluster);
    world.cloud.waiting(&cluster);
    world.settled("request", "Delivered").await;
    let after = prechecks(&world, &cluster);
    // One read may have been on its way when the cluster became ready.
    assert!(after - before <= 2, "{before} to {after}");
    assert_eq!(world.calls(&cluster), 1);
    assert_eq!(held.metadata.generation, world.settled("request", "Delivered").await.metadata.generation);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_cluster_that_waits_for_a_redistribution_is_called() {
    let world = World::new().await;
    let _operator = world.operator_with(&["--check-cluster=require"]).await;
    let page = Script::new(Act::Answer(Answer::with_body(200, "<html>")));
    for (name, script, told) in [
        ("idle", None, "task_status is empty"),
        ("garbled", Some(page), "holds no cluster"),
        ("broken", Some(Script::new(Act::Cut)), "the connection broke"),
    ] {
        let cluster = world.cluster();
        world.cloud.idle(&cluster);
        world.cloud.script_reads(&cluster, Read::Cluster, script);
        world.create(name, &cluster).await;
        let held = world.settled(name, "ClusterNotWaiting").await;
        is_held(&held);
        assert!(message(&held).contains(told), "{}", message(&held));
    }
    assert_eq!(world.cloud.total_calls(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_found_by_one_precheck_and_fails_no_call() {
    let world = World::new().await;
    world.wrong_key().await;
    let clusters = world.create_many(20).await;
    let _operator = world.operator_with(&["--check-cluster=require"]).await;
    for object in world.all_settled(&["CredentialsRejected"]).await {
        is_held(&object);
    }
    assert_eq!((world.cloud.total_calls(), world.cloud.all_reads().len()), (0, 1));
    world.key(DEFAULT_SECRET).await;
    world.all_settled(&["Delivered"]).await;
    assert!(clusters.iter().all(|cluster| world.calls(cluster) == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_holds_until_it_is_given() {
    for denial in [Denial::Gateway, Denial::Service, Denial::Policy] {
        let world = World::new().await;
        let cluster = world.cluster();
        world.cloud.deny(Read::Cluster, Some(denial));
        let _operator = world.operator_with(&REQUIRE).await;
        world.create("request", &cluster).await;
        let held = world.settled("request", "PermissionDenied").await;
        is_held(&held);
        assert!(message(&held).contains("dws:openAPICluster:getDetail"), "{}", message(&held));
        world.cloud.deny(Read::Cluster, None);
        world.settled("request", "Delivered").await;
        assert_eq!(world.calls(&cluster), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_warn_the_call_is_made_and_an_event_reports_the_state() {
    let world = World::new().await;
    let cluster = world.cluster();
    world.cloud.growing(&cluster);
    world.cloud.script(&cluster, [Script::status(200)]);
    let operator = world.operator_with(&["--check-cluster=warn"]).await;
    world.create("request", &cluster).await;
    world.settled("request", "Delivered").await;
    assert_eq!((world.calls(&cluster), prechecks(&world, &cluster)), (1, 1));
    crate::support::world::wait_for_output(&operator, "task_status is GROWING").await;
    eventually(PATIENCE, "an event reports the state", async || {
        let events = world.events().await;
        let told = events.iter().filter(|event| event.reason.as_deref() == Some("ClusterNotWaiting"));
        let notes: Vec<_> = told.filter_map(|event| event.note.clone()).collect();
        let is_it = |note: &String| note.contains("task_status is GROWING") && note.contains("called all the same");
        if notes.iter().any(is_it) { Ok(()) } else { Err(format!("{notes:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reconciles_of_a_waiting_object_cause_no_extra_precheck() {
    let world = World::new().await;
    let cluster = world.cluster();
    world.cloud.idle(&cluster);
    let operator = world.operator_with(&["--check-cluster=require", "--check-every=1h"]).await;
    world.create("request", &cluster).await;
    world.settled("request", "ClusterNotWaiting").await;
    for number in 0..10 {
        // Each of them is reconciled before the next one comes: the controller would merge several into one.
        let before = held(&operator).await;
        world.annotate("request", "example.com/noise", Some(&number.to_string())).await;
        eventually(PATIENCE, "it was reconciled", async || {
            let count = held(&operator).await;
            if count > before { Ok(()) } else { Err(format!("{count} reconciliations")) }
        })
        .await;
    }
    assert_eq!(prechecks(&world, &cluster), 1);
    // Its result is reported again after another hold, without another read.
    world.annotate("request", "dws.huaweicloud.com/suspend", Some("true")).await;
    world.settled("request", "Suspended").await;
    world.annotate("request", "dws.huaweicloud.com/suspend", None).await;
    world.settled("request", "ClusterNotWaiting").await;
    assert_eq!(prechecks(&world, &cluster), 1);
    // An edit of the spec is another request: its precheck is made at once.
    world.patch("request", serde_json::json!({"spec": {"trigger": "again"}})).await;
    reaches(2, "prechecks", || prechecks(&world, &cluster)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_limited_prechecks_do_not_change_the_reason_of_waiting_objects() {
    let world = World::new().await;
    let clusters: Vec<_> = (0..6).map(|_| world.cluster()).collect();
    for (number, cluster) in clusters.iter().enumerate() {
        world.cloud.idle(cluster);
        world.create(&format!("request-{number}"), cluster).await;
    }
    // Two reads a second for six objects that want one each second.
    let operator = world.operator_with(&["--check-cluster=require", "--check-every=1s", "--rate-limit=2"]).await;
    world.all_settled(&["ClusterNotWaiting"]).await;
    let before = reported_waits(&operator).await;
    let read_before = world.cloud.all_reads().len();
    reaches(read_before + 6, "reads", || world.cloud.all_reads().len()).await;
    assert_eq!(reported_waits(&operator).await, before);
    world.all_settled(&["ClusterNotWaiting"]).await;
    for cluster in &clusters {
        world.cloud.waiting(cluster);
    }
    world.all_settled(&["Delivered"]).await;
    assert!(clusters.iter().all(|cluster| world.calls(cluster) == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflicted_claim_is_repeated_without_another_precheck() {
    let world = World::new().await;
    let cluster = world.cluster();
    let proxied = Proxied::new(&world, "put#1:409").await;
    let _operator = proxied.operator(&world, &["--check-cluster=require", "--observe"]).await;
    world.create("request", &cluster).await;
    let object = world.settled("request", "Delivered").await;
    assert_eq!(proxied.record.strikes(), 1);
    assert_eq!((prechecks(&world, &cluster), world.calls(&cluster)), (1, 1));
    assert!(object.status.unwrap().attempt.unwrap().baseline.is_some(), "the earlier read is the one that counts");
}
