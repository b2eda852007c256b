//! Helm 4 with a ClusterRedistribution in a release of its own: `--wait` ends at the right time and reports why, and
//! whatever `--rollback-on-failure` does, the cloud is called once for each distinct spec.

use std::collections::BTreeMap;

use testbed::simulator::{Script, Shape};

use super::release::{Ended, REQUEST, Release};
use crate::support::world::{NO_TIMEOUT, World, message, reason_of};

/// Calls that arrived, by their number of jobs.
fn calls(world: &World) -> BTreeMap<String, usize> {
    let mut calls = BTreeMap::new();
    for entry in world.cloud.entries() {
        *calls.entry(entry.body).or_default() += 1;
    }
    calls
}

/// One call for each of these numbers of jobs, and no other.
#[track_caller]
fn called_once_for(world: &World, jobs: &[usize]) {
    let wanted = jobs.iter().map(|jobs| (format!(r#"{{"redis_mode":"online","parallel_jobs":{jobs}}}"#), 1)).collect();
    assert_eq!(calls(world), wanted);
}

/// Helm failed because of the status, not because of a timeout.
#[track_caller]
fn failed_by_status(ended: &Ended) {
    assert!(!ended.succeeded, "{}", ended.said);
    let error = ended.error();
    assert!(error.contains("ClusterRedistribution") && error.contains("status: Failed"), "{}", ended.said);
    for clock in ["deadline", "timed out", "timeout"] {
        assert!(!error.contains(clock), "{error}");
    }
}

fn refused() -> Script {
    Script::error(Shape::Plain, 400, "DWS.5038", "out of range")
}

#[tokio::test]
async fn helm_waits_until_the_call_was_delivered_and_no_shorter() {
    let world = World::new().await;
    let cluster = world.cluster();
    world.cloud.script(&cluster, [Script::held()]);
    let release = Release::new(&world, &cluster);
    // No controller has seen the object yet: that is no success either.
    let mut helm = release.start("install", 3, &["--wait", "--timeout", "30m"]);
    helm.wait_for_line(&["waiting for resource", "ClusterRedistribution", "actualStatus=InProgress"]).await;
    let _operator = world.operator_with(&[NO_TIMEOUT]).await;
    world.cloud.arrived(&cluster, 1).await;
    world.settled(REQUEST, "RequestInFlight").await;
    helm.wait_for_line(&["waiting for resource", "ClusterRedistribution", "actualStatus=InProgress"]).await;
    assert!(helm.runs());
    world.cloud.release(&cluster);
    let ended = helm.ended().await;
    assert!(ended.succeeded, "{}", ended.said);
    assert_eq!(reason_of(&world.api().get(REQUEST).await.unwrap()).as_deref(), Some("Delivered"));
    called_once_for(&world, &[3]);
}

#[tokio::test]
async fn helm_does_not_mistake_the_last_generations_success_for_the_next() {
    let world = World::new().await;
    let cluster = world.cluster();
    world.cloud.script(&cluster, [Script::status(200), Script::held()]);
    let release = Release::new(&world, &cluster);
    let operator = world.operator().await;
    assert!(release.run("install", 3, &["--wait", "--timeout", "30m"]).await.succeeded);
    // Without an operator the status stays at the old generation.
    operator.terminate().await.unwrap();
    let mut helm = release.start("upgrade", 5, &["--wait", "--timeout", "30m"]);
    helm.wait_for_line(&["waiting for resource", "ClusterRedistribution", "actualStatus=InProgress"]).await;
    assert!(helm.runs());
    let _operator = world.operator_with(&[NO_TIMEOUT]).await;
    world.cloud.arrived(&cluster, 2).await;
    world.cloud.release(&cluster);
    let ended = helm.ended().await;
    assert!(ended.succeeded, "{}", ended.said);
    called_once_for(&world, &[3, 5]);
}

#[tokio::test]
async fn helm_fails_as_soon_as_the_call_was_refused_and_shows_the_message() {
    let world = World::new().await;
    let cluster = world.cluster();
    world.cloud.script(&cluster, [refused()]);
    let _operator = world.operator().await;
    let release = Release::new(&world, &cluster);
    let ended = release.run("install", 3, &["--wait", "--timeout", "30m"]).await;
    failed_by_status(&ended);
    let object = world.settled(REQUEST, "BadRequest").await;
    assert!(ended.error().contains(&message(&object)), "{}", ended.said);
    called_once_for(&world, &[3]);
}

#[tokio::test]
async fn a_repeated_install_after_a_rollback_calls_once_with_a_kept_object() {
    for (script, reason) in
        [(Script::status(200), "Delivered"), (refused(), "BadRequest"), (Script::lost_reply(), "OutcomeUnknown")]
    {
        let world = World::new().await;
        let cluster = world.cluster();
        // A second call would be accepted, and Helm would see a success.
        world.cloud.script(&cluster, [script, Script::status(200)]);
        let _operator = world.operator_with(&["--hold-reverts"]).await;
        let release = Release::new(&world, &cluster);
        let flags = ["--rollback-on-failure", "--timeout", "30m"];
        let first = release.run("install", 3, &flags).await;
        let object = world.settled(REQUEST, reason).await;
        if reason == "Delivered" {
            assert!(first.succeeded, "{}", first.said);
        } else {
            failed_by_status(&first);
            assert!(first.said.contains("has been uninstalled due to rollback-on-failure"), "{}", first.said);
            // The release is gone, the object still exists: the next install adopts it unchanged.
            failed_by_status(&release.run("install", 3, &flags).await);
        }
        let kept = world.api().get(REQUEST).await.unwrap();
        assert_eq!((kept.metadata.uid, kept.metadata.generation), (object.metadata.uid, Some(1)), "{reason}");
        called_once_for(&world, &[3]);
    }
}

#[tokio::test]
async fn a_rolled_back_upgrade_calls_once_for_each_spec_if_reverts_are_held() {
    for (script, reason) in
        [(Script::status(200), "Delivered"), (refused(), "BadRequest"), (Script::lost_reply(), "OutcomeUnknown")]
    {
        let world = World::new().await;
        let cluster = world.cluster();
        world.cloud.script(&cluster, [Script::status(200), script, Script::status(200)]);
        let _operator = world.operator_with(&["--hold-reverts"]).await;
        let release = Release::new(&world, &cluster);
        let flags = ["--rollback-on-failure", "--timeout", "30m"];
        let first = release.run("install", 3, &flags).await;
        assert!(first.succeeded, "{}", first.said);
        let upgrade = release.run("upgrade", 5, &flags).await;
        if reason == "Delivered" {
            assert!(upgrade.succeeded, "{}", upgrade.said);
            assert_eq!(world.settled(REQUEST, reason).await.metadata.generation, Some(2));
        } else {
            // The rollback is a new generation with the old spec. It is held, which Helm reports as well.
            failed_by_status(&upgrade);
            assert!(upgrade.said.contains("an error occurred while rolling back the release"), "{}", upgrade.said);
            let object = world.settled(REQUEST, "AskedBefore").await;
            assert_eq!((object.metadata.generation, object.spec.parallel_jobs), (Some(3), 3));
        }
        called_once_for(&world, &[3, 5]);
        // The way forward is another spec, whatever state Helm records for the release.
        let next = release.run("upgrade", 7, &flags).await;
        assert!(next.succeeded, "{}", next.said);
        called_once_for(&world, &[3, 5, 7]);
    }
}

#[tokio::test]
async fn without_the_guard_a_roll_back_asks_again() {
    let world = World::new().await;
    let cluster = world.cluster();
    world.cloud.script(&cluster, [Script::status(200), refused(), Script::status(200)]);
    let _operator = world.operator().await;
    let release = Release::new(&world, &cluster);
    let flags = ["--rollback-on-failure", "--timeout", "30m"];
    assert!(release.run("install", 3, &flags).await.succeeded);
    let upgrade = release.run("upgrade", 5, &flags).await;
    failed_by_status(&upgrade);
    assert!(upgrade.said.contains("has been rolled back due to rollback-on-failure"), "{}", upgrade.said);
    let object = world.settled(REQUEST, "Delivered").await;
    assert_eq!((object.metadata.generation, world.calls(&cluster)), (Some(3), 3));
}

#[tokio::test]
async fn a_repeated_install_after_a_rollback_calls_again_without_the_object() {
    let world = World::new().await;
    let cluster = world.cluster();
    world.cloud.script(&cluster, [refused(), Script::status(200)]);
    let _operator = world.operator_with(&["--hold-reverts"]).await;
    let release = Release::without_keep(&world, &cluster);
    let flags = ["--rollback-on-failure", "--timeout", "30m"];
    failed_by_status(&release.run("install", 3, &flags).await);
    assert!(world.api().get_opt(REQUEST).await.unwrap().is_none());
    assert!(release.run("install", 3, &flags).await.succeeded);
    assert_eq!(world.calls(&cluster), 2);
}

#[tokio::test]
async fn the_older_helm_wait_does_not_read_the_object() {
    let world = World::new().await;
    let release = Release::new(&world, &world.cluster());
    let ended = release.run("install", 3, &["--wait=legacy", "--timeout", "30m"]).await;
    assert!(ended.succeeded, "{}", ended.said);
    let object = world.api().get(REQUEST).await.unwrap();
    assert_eq!(object.status.unwrap().observed_generation, Some(-1), "no controller has seen it");
}

/// Of another group, since the CRD itself exists in all tests.
#[tokio::test]
async fn a_kind_and_an_object_of_it_do_not_come_in_one_release() {
    let world = World::new().await;
    let release = Release::new(&world, &world.cluster());
    let crd = redistribution_operator::api::crd_yaml().unwrap();
    assert!(crd.contains("dws.huaweicloud.com"));
    release.template("crd.yaml", &crd.replace("dws.huaweicloud.com", "one-release.example.com"));
    let object =
        "apiVersion: one-release.example.com/v1alpha1\nkind: ClusterRedistribution\nmetadata:\n  name: other\n";
    release.template("request.yaml", object);
    let ended = release.run("install", 3, &[]).await;
    assert!(!ended.succeeded && ended.error().contains("no matches for kind"), "{}", ended.said);
}
