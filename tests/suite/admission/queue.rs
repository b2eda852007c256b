//! The order of calls for objects that wait for one key.

use testbed::{Operator, eventually, simulator::Options};

use crate::support::world::{NO_TIMEOUT, PATIENCE, World};

/// Tasks prepare side by side: neighbours may overtake each other before they wait for their slot.
const APART: usize = 10;

/// Waits until the operator has seen so many objects and has begun to reconcile each: only then is their order that of
/// their creation, since those that are pending together are reconciled in any order.
async fn begun(operator: &Operator, objects: usize) {
    eventually(PATIENCE, &format!("{objects} objects are reconciled"), async || {
        let metrics = operator.metrics().await.map_err(|error| error.to_string())?;
        let sum = |name: &str| -> usize {
            let of_it = metrics.lines().filter(|line| line.starts_with(name));
            of_it.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).sum()
        };
        let (seen, pending) = (sum("dws_redistribution_objects{"), sum("workqueue_depth{"));
        if seen == objects && pending == 0 { Ok(()) } else { Err(format!("{seen} seen, {pending} pending")) }
    })
    .await;
}

#[tokio::test]
async fn a_live_burst_is_called_in_the_order_of_its_creation() {
    let world = World::with(Options { accept_any_cluster: true, ..Options::default() }).await;
    let operator = world.operator_with(&[NO_TIMEOUT, "--rate-limit=5"]).await;
    let mut wanted = Vec::new();
    for number in 0..60 {
        let cluster = world.create_for(&format!("request-{number}"), None).await;
        wanted.push(cluster);
        begun(&operator, number + 1).await;
    }
    world.all_settled(&["Delivered"]).await;
    let called: Vec<_> = world.cloud.entries().into_iter().map(|entry| entry.cluster).collect();
    assert_eq!(called.len(), wanted.len(), "one call each");
    let apart = |nth: usize| called.iter().position(|cluster| *cluster == wanted[nth]).unwrap().abs_diff(nth);
    let distances: Vec<_> = (0..wanted.len()).map(apart).collect();
    assert!(distances.iter().all(|apart| *apart <= APART), "distance of each from its position: {distances:?}");
}
