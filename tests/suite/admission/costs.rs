//! Costs: writes, reads, and none at all while nothing happens. Each test has a control plane of its own, so that its
//! counters count nothing else.

use std::time::{Duration, Instant};

use testbed::{
    ControlPlane, Operator, eventually,
    simulator::{Options, Script},
};

use crate::support::{
    crd,
    world::{NO_TIMEOUT, PATIENCE, World, reported_waits},
};

/// A call that is put off because the machine paused legitimately costs two more writes; that is not tested here.
const LONG_TIMEOUTS: [&str; 2] = [NO_TIMEOUT, "--connect-timeout=30s"];
/// An object that has waited this long for its turn reports so, which is a write (see `src/controller/waiting.rs`).
const REPORTED_AFTER: Duration = Duration::from_secs(30);

/// Requests to the API server so far, by its own count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Costs {
    /// Writes to status, including those that met a conflict.
    tried: u64,
    writes: u64,
    reads: u64,
    secrets: u64,
}

async fn costs(plane: &ControlPlane) -> Costs {
    let metrics = plane.api_server_metrics().await.unwrap();
    let counted = |verb: &str, resource: &str, subresource: &str, more: &str| -> u64 {
        let fits = |line: &str| {
            line.starts_with("apiserver_request_total{")
                && line.contains(&format!("verb=\"{verb}\""))
                && line.contains(&format!("resource=\"{resource}\""))
                && line.contains(&format!("subresource=\"{subresource}\""))
                && line.contains(more)
        };
        metrics.lines().filter(|line| fits(line)).filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    };
    let resource = "clusterredistributions";
    Costs {
        tried: counted("PUT", resource, "status", ""),
        writes: counted("PUT", resource, "status", "code=\"200\""),
        reads: counted("GET", resource, "", ""),
        secrets: counted("GET", "secrets", "", ""),
    }
}

/// The costs once this many more successful writes are counted: the API server counts a request a moment after its
/// effect is visible.
async fn costs_with(plane: &ControlPlane, before: Costs, writes: u64) -> Costs {
    eventually(PATIENCE, &format!("{writes} writes more than {before:?}"), async || {
        let costs = costs(plane).await;
        if costs.writes - before.writes >= writes { Ok(costs) } else { Err(format!("{costs:?}")) }
    })
    .await
}

async fn own_world() -> (&'static ControlPlane, World) {
    let world = crd::world_with(&crd::current(), Options { accept_any_cluster: true, ..Options::default() }).await;
    (world.plane, world)
}

/// Waits until the 50 objects are delivered, and checks their costs.
async fn fifty_cost_two_writes_and_three_reads_each(world: &World, operator: &Operator, before: Costs, began: Instant) {
    // Read by list, so that the test's own reads of objects are not counted.
    world.all_settled(&["Delivered"]).await;
    let plane = world.plane;
    let (took, reported) = (began.elapsed(), reported_waits(operator).await);
    let after = costs_with(plane, before, 100 + reported).await;
    assert_eq!(after.writes - before.writes, 100 + reported, "writes to status, {reported} of which report a wait");
    assert!(reported == 0 || took >= REPORTED_AFTER, "{reported} reported a wait, within {took:?}");
    // An object that has reported its wait is read once more for that.
    if reported == 0 {
        assert_eq!(after.tried - before.tried, 100, "writes to status");
        // A claim is decided on a fresh read, since a watch may hide what a CRD prunes; its Secret is read before the wait
        // for a slot and after it.
        assert_eq!(after.secrets - before.secrets, 100, "reads of Secrets");
        // A reconcile that sees an object as it was before its outcome reads it once more.
        let reads = after.reads - before.reads;
        assert!((50..=100).contains(&reads), "reads of objects: {reads}");
    }
    println!("RSS after 50 calls: {} KiB", operator.rss_bytes().unwrap_or_default() / 1024);
}

#[tokio::test]
async fn an_accepted_generation_costs_two_writes_and_three_reads() {
    let (plane, world) = own_world().await;
    let operator = world.operator_with(&LONG_TIMEOUTS).await;
    let (before, began) = (costs(plane).await, Instant::now());
    world.create_many(50).await;
    fifty_cost_two_writes_and_three_reads_each(&world, &operator, before, began).await;
}

#[tokio::test]
async fn a_backlog_costs_what_its_objects_cost_one_by_one() {
    let (plane, world) = own_world().await;
    let before = costs(plane).await;
    world.create_many(50).await;
    let began = Instant::now();
    let operator = world.operator_with(&LONG_TIMEOUTS).await;
    fifty_cost_two_writes_and_three_reads_each(&world, &operator, before, began).await;
}

#[tokio::test]
async fn a_burst_behind_a_slow_call_reports_its_wait_once_for_each_object() {
    let (plane, world) = own_world().await;
    let long = world.cluster();
    world.cloud.script(&long, [Script::held()]);
    let _operator = world.operator_with(&[&LONG_TIMEOUTS[..], &["--concurrency=1"]].concat()).await;
    let start = costs(plane).await;
    world.create("long", &long).await;
    world.cloud.arrived(&long, 1).await;
    let before = costs_with(plane, start, 1).await;
    world.create_many(40).await;
    world.all_settled(&["RequestInFlight", "Throttled"]).await;
    let waiting = costs_with(plane, before, 40).await;
    assert_eq!(waiting.writes - before.writes, 40, "writes to status");
    world.cloud.release(&long);
    world.all_settled(&["Delivered"]).await;
    let after = costs_with(plane, waiting, 81).await;
    assert_eq!(after.writes - waiting.writes, 81, "two more each, and one of the first call");
    assert_eq!(world.cloud.total_calls(), 41);
}

#[tokio::test]
async fn five_hundred_finished_objects_cost_nothing_for_a_minute() {
    let (plane, world) = own_world().await;
    world.create_many(500).await;
    let operator = world.operator().await;
    world.all_settled(&["Delivered"]).await;
    let restarted = operator.terminate().await.unwrap();
    assert!(restarted.success());
    let operator = world.operator().await;
    let before = costs(plane).await;
    // The minute is the subject of the test, not a wait for an event.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let after = costs(plane).await;
    assert_eq!(before, after, "writes, reads and reads of Secrets");
    assert_eq!(world.cloud.total_calls(), 500);
    println!("RSS beside 500 finished objects: {} KiB", operator.rss_bytes().unwrap_or_default() / 1024);
}
