//! The order of calls for objects that wait for one key.

use testbed::{
    eventually,
    simulator::{Act, Answer, Options, Script, Shape},
};

use crate::world::{NO_TIMEOUT, PATIENCE, World};

/// Calls in flight at once, by default: as many may overtake each other on their way.
const CONCURRENCY: usize = 8;

#[tokio::test]
async fn after_a_429_waiting_objects_are_called_in_order_of_their_requests() {
    let world = World::with(Options { accept_any_cluster: true, ..Options::default() }).await;
    let throttled = world.cluster();
    let answer = Answer::error(Shape::Plain, 429, "APIG.0308", "Too many requests.").header("Retry-After", "1");
    world.cloud.script(&throttled, [Script::new(Act::Answer(answer)).when_released()]);
    let _operator = world.operator_with(&[NO_TIMEOUT, "--rate-limit=10"]).await;
    world.create("throttled", &throttled).await;
    world.cloud.arrived(&throttled, 1).await;
    let mut wanted = vec![throttled.clone()];
    for number in 0..40 {
        let cluster = world.cluster();
        world.create(&format!("request-{number}"), &cluster).await;
        wanted.push(cluster);
    }
    world.all_settled(&["RequestInFlight", "Throttled"]).await;
    world.cloud.release(&throttled);
    // Changes of the last object trigger its reconcile again and again, and so before the others when the second is
    // over.
    let mut changes = 0;
    eventually(PATIENCE, "the waiting objects are called", async || {
        changes += 1;
        world.annotate("request-39", "example.com/change", Some(&changes.to_string())).await;
        if world.cloud.total_calls() > 1 { Ok(()) } else { Err("one call".to_owned()) }
    })
    .await;
    world.all_settled(&["Delivered", "TooManyRequests"]).await;
    let called: Vec<_> = world.cloud.entries().into_iter().map(|entry| entry.cluster).collect();
    assert_eq!(called.len(), wanted.len(), "one call each");
    let apart = |place: usize| called.iter().position(|cluster| *cluster == wanted[place]).unwrap().abs_diff(place);
    let places: Vec<_> = (0..wanted.len()).map(apart).collect();
    assert!(places.iter().all(|apart| *apart < CONCURRENCY), "distance of each from its place: {places:?}");
}
