//! The order of calls for objects that wait for one key.

use testbed::simulator::Options;

use crate::support::world::{NO_TIMEOUT, World};

/// Reconciles and tasks run side by side: neighbours may overtake each other before they wait for their slot.
const APART: usize = 10;

#[tokio::test]
async fn a_live_burst_is_called_in_the_order_of_its_creation() {
    let world = World::with(Options { accept_any_cluster: true, ..Options::default() }).await;
    let _operator = world.operator_with(&[NO_TIMEOUT, "--rate-limit=5"]).await;
    let mut wanted = Vec::new();
    for number in 0..60 {
        let cluster = world.cluster();
        world.create(&format!("request-{number}"), &cluster).await;
        wanted.push(cluster);
    }
    world.all_settled(&["Delivered"]).await;
    let called: Vec<_> = world.cloud.entries().into_iter().map(|entry| entry.cluster).collect();
    assert_eq!(called.len(), wanted.len(), "one call each");
    let apart = |nth: usize| called.iter().position(|cluster| *cluster == wanted[nth]).unwrap().abs_diff(nth);
    let distances: Vec<_> = (0..wanted.len()).map(apart).collect();
    assert!(distances.iter().all(|apart| *apart < APART), "distance of each from its position: {distances:?}");
}
