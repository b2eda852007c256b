//! Crowds of objects that all meet the same: each is called once, however it ends, and nothing grows without bound.

use std::time::Duration;

use testbed::{eventually, simulator::Script};

use crate::{
    crowd::{crowd, versions},
    world::{PATIENCE, World, says},
};

#[tokio::test]
async fn a_thousand_lost_replies_are_a_thousand_calls_and_a_thousand_unknown_outcomes_also_after_a_restart() {
    let world = World::new().await;
    let clusters = crowd(&world, 1000, |_| Some(Script::lost_reply())).await;
    let operator = world.operator_with(&["--concurrency=32"]).await;
    assert_eq!(world.all_settled(&["OutcomeUnknown"]).await.len(), 1000);
    assert_eq!(world.cloud.total_calls(), 1000);
    assert!(operator.terminate().await.unwrap().success());
    let _again = world.operator().await;
    // When a new object has been served, everything in the list before it has been looked at.
    let next = world.cluster();
    world.create("next", &next).await;
    world.settled("next", "Delivered").await;
    assert_eq!(world.cloud.total_calls(), 1001);
    assert!(clusters.iter().all(|cluster| world.calls(cluster) == 1));
}

#[tokio::test]
async fn a_thousand_objects_that_are_refused_for_ever_are_a_thousand_calls() {
    let world = World::new().await;
    let clusters = crowd(&world, 1000, |_| Some(Script::status(403))).await;
    for cluster in &clusters {
        world.cloud.script(cluster, (0..5).map(|_| Script::status(403)));
    }
    let _operator = world.operator_with(&["--concurrency=32"]).await;
    assert_eq!(world.all_settled(&["PermissionDenied"]).await.len(), 1000);
    assert_eq!(world.cloud.total_calls(), 1000);
    assert!(clusters.iter().all(|cluster| world.calls(cluster) == 1));
}

#[tokio::test]
async fn a_cloud_that_answers_thirty_seconds_late_to_two_hundred_objects_is_called_once_for_each() {
    let world = World::new().await;
    let late = Script::status(200).after(Duration::from_secs(30));
    let clusters = crowd(&world, 200, |_| Some(late.clone())).await;
    let versions = versions(&world);
    let operator = world.operator_with(&["--concurrency=100", "--request-timeout=60s"]).await;
    world.cloud.arrived(&clusters[0], 1).await;
    eventually(PATIENCE, "100 calls are under way", async || {
        if world.cloud.max_in_flight().0 == 100 { Ok(()) } else { Err(format!("{:?}", world.cloud.max_in_flight())) }
    })
    .await;
    let memory = operator.rss_bytes().unwrap();
    assert_eq!(world.all_settled(&["Delivered"]).await.len(), 200);
    assert_eq!(world.cloud.total_calls(), 200);
    assert!(clusters.iter().all(|cluster| world.calls(cluster) == 1));
    // Created, perhaps held while others are first, claimed, answered.
    let most = versions.lock().unwrap().values().copied().max().unwrap();
    assert!((3..=5).contains(&most), "an object had {most} versions");
    assert_eq!(world.cloud.max_in_flight().0, 100, "as many as --concurrency allows, and no more");
    println!("{} MiB with 100 calls in flight", memory / 1024 / 1024);
    // A debug build at rest takes 27 MiB; a connection with its TLS state far less than 1 MiB.
    assert!(memory < 128 * 1024 * 1024, "{memory} bytes");
}

#[tokio::test]
async fn orphaned_claims_are_settled_by_the_next_operator_within_the_grace_and_ten_seconds() {
    let world = World::new().await;
    let first = world.operator_with(&["--concurrency=20"]).await;
    // A key carries one call at a time until it has had its first answer.
    world.create("first", &world.cluster()).await;
    world.settled("first", "Delivered").await;
    let clusters = crowd(&world, 20, |_| Some(Script::held())).await;
    for cluster in &clusters {
        world.cloud.arrived(cluster, 1).await;
    }
    first.kill().await.unwrap();
    let second = world.operator().await;
    says(&second, "\"watching\"").await;
    for number in 0..20 {
        // Send budget 3 s, request timeout 10 s, margin 2 s.
        world.settled_within(Duration::from_secs(15 + 10), &format!("wish-{number}"), "OutcomeUnknown").await;
    }
    assert_eq!(world.cloud.total_calls(), 1 + 20);
}
