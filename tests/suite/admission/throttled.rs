//! A 429 and a restart: the next process obeys what one process was told.

use testbed::{
    eventually,
    simulator::{Act, Answer, Script, Shape},
};

use crate::{
    support::proxied::Proxied,
    support::world::{PATIENCE, World, held, reason_of},
};

/// A 429 with a wait of this many seconds.
fn too_many_requests(seconds: u32) -> Script {
    let answer = Answer::error(Shape::Plain, 429, "APIG.0308", "Too many requests.");
    Script::new(Act::Answer(answer.header("Retry-After", &seconds.to_string())))
}

/// Objects whose calls would meet these, of which an operator calls the first one.
async fn the_first_meets_a_429<const OBJECTS: usize>(world: &World, scripts: [Option<Script>; OBJECTS]) {
    for (number, script) in scripts.into_iter().enumerate() {
        world.create_for(&format!("request-{number}"), script).await;
        // One after the other: the first one is called.
        world.all_settled(&["TooManyRequests", "Throttled"]).await;
    }
    assert_eq!(world.cloud.total_calls(), 1);
}

#[tokio::test]
async fn three_restarts_in_the_window_of_a_429_use_up_no_object() {
    let world = World::new().await;
    // Longer than the recorded time, and than this test takes on any machine.
    let scripts = [(); 3].map(|()| Some(too_many_requests(900)));
    let mut operator = world.operator().await;
    the_first_meets_a_429(&world, scripts).await;
    let called = world.api().get("request-0").await.unwrap();
    assert_eq!(called.status.unwrap().attempt.unwrap().retry_after_seconds, Some(600));
    for restart in 1..=3 {
        operator.kill().await.unwrap();
        operator = world.operator().await;
        eventually(PATIENCE, "the two that wait were processed", async || {
            let (held, calls) = (held(&operator).await, world.cloud.total_calls());
            if held >= 2 || calls > 1 { Ok(()) } else { Err(format!("{held} of them")) }
        })
        .await;
        assert_eq!(world.cloud.total_calls(), 1, "calls after restart {restart}");
        let objects = world.all_settled(&["TooManyRequests", "Throttled"]).await;
        let waiting = objects.iter().filter(|object| reason_of(object).as_deref() == Some("Throttled"));
        assert_eq!(waiting.filter(|object| object.status.as_ref().unwrap().attempt.is_none()).count(), 2);
    }
}

#[tokio::test]
async fn objects_held_by_a_429_before_a_restart_are_called_after_it() {
    let world = World::new().await;
    let operator = world.operator().await;
    the_first_meets_a_429(&world, [Some(too_many_requests(20)), None, None]).await;
    operator.kill().await.unwrap();
    let _operator = world.operator().await;
    world.settled("request-1", "Delivered").await;
    world.settled("request-2", "Delivered").await;
    assert_eq!(world.cloud.total_calls(), 3);
}

#[tokio::test]
async fn a_new_object_is_not_called_before_the_first_list_is_complete() {
    let world = World::new().await;
    // The second operator's list comes late; objects that no operator has seen come before it in the list.
    let proxied = Proxied::new(&world, "stream#2:delay").await;
    let operator = proxied.operator(&world, &[]).await;
    the_first_meets_a_429(&world, [Some(too_many_requests(900))]).await;
    operator.kill().await.unwrap();
    world.create("new", &world.cluster()).await;
    let _operator = proxied.operator(&world, &[]).await;
    world.settled("new", "Throttled").await;
    assert_eq!((proxied.record.strikes(), world.cloud.total_calls()), (1, 1), "the list was late; calls");
}
