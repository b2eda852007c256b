//! What it costs: writes, reads, and nothing at all while nothing happens. Each on a control plane of its own, whose
//! counters belong to nobody else.

use std::time::{Duration, Instant};

use redistribution_operator::resource::crd_yaml;
use testbed::{
    ControlPlane, Options as PlaneOptions, Progress, Tools, apply_crd,
    simulator::{Options, Script},
};

use crate::world::World;

/// Requests of the API server's own count, by verb, for the resource and its status, and for Secrets.
async fn counted(plane: &ControlPlane, verb: &str, resource: &str, subresource: &str) -> u64 {
    let metrics = plane.api_server_metrics().await.unwrap();
    let fits = |line: &str| {
        line.starts_with("apiserver_request_total{")
            && line.contains(&format!("verb=\"{verb}\""))
            && line.contains(&format!("resource=\"{resource}\""))
            && line.contains(&format!("subresource=\"{subresource}\""))
    };
    metrics.lines().filter(|line| fits(line)).filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// Writes to status, reads of objects, reads of Secrets.
async fn costs(plane: &ControlPlane) -> (u64, u64, u64) {
    let resource = "clusterredistributions";
    (
        counted(plane, "PUT", resource, "status").await,
        counted(plane, "GET", resource, "").await,
        counted(plane, "GET", "secrets", "").await,
    )
}

async fn own_world() -> (&'static ControlPlane, World) {
    let plane: &'static ControlPlane =
        Box::leak(Box::new(ControlPlane::start(&Tools::new(Progress::OneLine), PlaneOptions::default()).unwrap()));
    apply_crd(&plane.client().await.unwrap(), &crd_yaml().unwrap()).await.unwrap();
    (plane, World::on(plane, Options { accept_any_cluster: true, ..Options::default() }).await)
}

#[tokio::test]
async fn an_accepted_generation_costs_two_writes_and_no_read_of_the_object() {
    let (plane, world) = own_world().await;
    let operator = world.operator().await;
    let (before, began) = (costs(plane).await, Instant::now());
    for number in 0..50 {
        let cluster = world.cluster();
        world.create(&format!("wish-{number}"), &cluster).await;
    }
    // Read by list, so that the test's own looks are not counted as reads.
    world.all_settled(&["Delivered"]).await;
    let after = costs(plane).await;
    assert_eq!(after.0 - before.0, 100, "writes to status");
    assert_eq!(after.1 - before.1, 0, "reads of objects");
    // One each, since none is called with what was read before it was seen; one more where the queue takes longer than a
    // second after a read that was begun ahead, which happens once in that time at most.
    let most = 50 + began.elapsed().as_secs() + 1;
    assert!(after.2 - before.2 <= most, "reads of Secrets: {} of {most}", after.2 - before.2);
    println!("RSS after 50 calls: {} KiB", operator.rss_bytes().unwrap_or_default() / 1024);
}

#[tokio::test]
async fn a_backlog_costs_two_writes_each_and_reads_its_secret_together() {
    let (plane, world) = own_world().await;
    let before = costs(plane).await;
    for number in 0..50 {
        let cluster = world.cluster();
        world.create(&format!("wish-{number}"), &cluster).await;
    }
    let _operator = world.operator().await;
    world.all_settled(&["Delivered"]).await;
    let after = costs(plane).await;
    assert_eq!(after.0 - before.0, 100, "writes to status");
    assert!(after.2 - before.2 < 50, "reads of Secrets: {}", after.2 - before.2);
    // The first list may still show an object as it was before its call, which one look at the object settles.
    assert!(after.1 - before.1 <= 50, "reads of objects: {}", after.1 - before.1);
}

#[tokio::test]
async fn a_crowd_behind_a_long_call_says_that_it_waits_once_each_and_all_of_it_is_called() {
    let (plane, world) = own_world().await;
    let long = world.cluster();
    world.cloud.script(&long, [Script::held()]);
    let flags = ["--concurrency=1", "--request-timeout=5m"];
    let _operator = world.operator_with(&flags).await;
    world.create("long", &long).await;
    world.cloud.arrived(&long, 1).await;
    let before = costs(plane).await;
    for number in 0..40 {
        let cluster = world.cluster();
        world.create(&format!("wish-{number}"), &cluster).await;
    }
    world.all_settled(&["RequestInFlight", "Throttled"]).await;
    let waiting = costs(plane).await;
    assert_eq!(waiting.0 - before.0, 40, "writes to status");
    world.cloud.release(&long);
    world.all_settled(&["Delivered"]).await;
    let after = costs(plane).await;
    assert_eq!(after.0 - waiting.0, 81, "two more each, and one of the first call");
    assert_eq!(world.cloud.total_calls(), 41);
}

#[tokio::test]
async fn five_hundred_finished_objects_cost_nothing_for_a_minute() {
    let (plane, world) = own_world().await;
    for number in 0..500 {
        let cluster = world.cluster();
        world.create(&format!("wish-{number}"), &cluster).await;
    }
    let operator = world.operator().await;
    world.all_settled(&["Delivered"]).await;
    let restarted = operator.terminate().await.unwrap();
    assert!(restarted.success());
    let operator = world.operator().await;
    let before = costs(plane).await;
    // The minute is what is asserted about, not a wait for something to happen.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let after = costs(plane).await;
    assert_eq!(before, after, "writes, reads and reads of Secrets");
    assert_eq!(world.cloud.total_calls(), 500);
    println!("RSS beside 500 finished objects: {} KiB", operator.rss_bytes().unwrap_or_default() / 1024);
}
