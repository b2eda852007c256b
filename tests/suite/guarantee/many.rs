//! Bursts of objects that all meet the same fault: each is called once, however it ends, and nothing grows without
//! bound.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::{ResourceExt, api::ListParams};
use testbed::{
    eventually,
    simulator::{Act, Options, Script},
};

use crate::{
    observe::progress::redistributed,
    support::burst::{burst, history, reasons, version_with_reason},
    support::world::{NO_TIMEOUT, PATIENCE, SHORT_GRACE, World, held, reason_of, wait_for_output},
};

#[tokio::test]
async fn a_thousand_lost_or_refused_requests_are_not_sent_again() {
    let world = World::new().await;
    let operator = world.operator_with(&["--concurrency=32"]).await;
    prove_the_key(&world).await;
    let clusters = burst(&world, 1000, |number| {
        Some(if number.is_multiple_of(2) { Script::lost_reply() } else { Script::status(403) })
    })
    .await;
    assert_eq!(world.all_settled(&["OutcomeUnknown", "PermissionDenied"]).await.len(), 1000);
    assert_eq!(world.cloud.total_calls(), 1001);
    assert!(operator.terminate().await.unwrap().success());
    let _again = world.operator().await;
    // When a new object has been served, everything before it in the list has been processed.
    let next = world.cluster();
    world.create("next", &next).await;
    world.settled("next", "Delivered").await;
    assert_eq!(world.cloud.total_calls(), 1002);
    assert!(clusters.iter().all(|cluster| world.calls(cluster) == 1));
}

/// A key that has never had an answer carries one call in ten seconds, since each may have been a wrong signature.
async fn prove_the_key(world: &World) {
    world.delivered("first").await;
    world.api().delete("first", &kube::api::DeleteParams::default()).await.unwrap();
}

/// Of this number of lost replies every other call was carried out: those are confirmed, the others never are, and
/// nothing is called again.
async fn lost_replies_are_settled_by_looking(objects: usize) {
    let world = World::new().await;
    let executed = |number: usize| number.is_multiple_of(2);
    let lost = |number| if executed(number) { Script::lost_reply() } else { Script::new(Act::Cut) };
    let clusters = burst(&world, objects, |number| Some(lost(number))).await;
    for cluster in &clusters {
        world.cloud.lag(cluster, 3);
    }
    let flags = ["--concurrency=32", "--observe", "--observe-every=5s", "--settle-time=20s"];
    let operator = world.operator_with(&flags).await;
    let settled = eventually(PATIENCE * 5, "each is settled", async || {
        let objects = world.api().list(&ListParams::default()).await.map_err(|error| error.to_string())?.items;
        let said = |object| (reason_of(object).unwrap_or_default(), redistributed(object).unwrap_or_default().1);
        let is_settled = |(reason, redistributed): &(String, String)| {
            reason == "ConfirmedByObservation" || redistributed == "Unconfirmed"
        };
        let open = objects.iter().map(said).filter(|said| !is_settled(said)).count();
        if open == 0 { Ok(objects) } else { Err(format!("{open} are open")) }
    })
    .await;
    let mut confirmed = 0;
    for object in settled {
        let number: usize = object.name_any().trim_start_matches("request-").parse().unwrap();
        let reason = reason_of(&object).unwrap();
        assert_eq!(reason == "ConfirmedByObservation", executed(number), "{number}: {reason}");
        confirmed += usize::from(executed(number));
    }
    assert_eq!((confirmed, world.cloud.total_calls()), (objects / 2, objects));
    assert!(clusters.iter().all(|cluster| world.calls(cluster) == 1));
    let (reads, memory) = (world.cloud.all_reads().len(), operator.rss_bytes().unwrap_or_default() / 1024);
    println!("{objects} lost replies: {confirmed} confirmed, 0 wrongly, {reads} reads, {memory} KiB");
}

#[tokio::test]
async fn of_a_hundred_lost_replies_only_those_carried_out_are_confirmed() {
    lost_replies_are_settled_by_looking(100).await;
}

#[tokio::test]
#[ignore = "by hand, since it takes minutes: cargo test --test suite -- --ignored --nocapture two_thousand"]
async fn of_two_thousand_lost_replies_only_those_carried_out_are_confirmed() {
    lost_replies_are_settled_by_looking(2000).await;
}

#[tokio::test]
async fn two_hundred_slow_answers_are_one_call_each() {
    let world = World::new().await;
    let late = Script::status(200).after(Duration::from_secs(10));
    let clusters = burst(&world, 200, |_| Some(late.clone())).await;
    let history = history(&world).await;
    // A call that is put off because the machine paused legitimately has two more versions; that is not tested here.
    let flags = ["--concurrency=100", NO_TIMEOUT, "--connect-timeout=30s"];
    let operator = world.operator_with(&flags).await;
    world.cloud.arrived(&clusters[0], 1).await;
    // A namespace has a quarter of the places and one more. Until the first answer there is one call at a time.
    eventually(PATIENCE, "26 calls are under way", async || {
        if world.cloud.max_in_flight().0 == 26 { Ok(()) } else { Err(format!("{:?}", world.cloud.max_in_flight())) }
    })
    .await;
    let memory = operator.rss_bytes().unwrap();
    assert_eq!(world.all_settled(&["Delivered"]).await.len(), 200);
    assert_eq!(world.cloud.total_calls(), 200);
    assert!(clusters.iter().all(|cluster| world.calls(cluster) == 1));
    // The watch of the test may be a moment behind.
    for number in 0..200 {
        version_with_reason(&history, &format!("request-{number}"), "Delivered").await;
    }
    for (name, mut reasons) in reasons(&history) {
        // An object that has waited for 30 s reports what it waits for, and again, 30 s later at the earliest, if that changes.
        let waits = reasons.iter().filter(|reason| *reason == "Throttled").count();
        assert!(waits <= 3, "{name}: {reasons:?}");
        reasons.retain(|reason| reason != "Throttled");
        assert_eq!(reasons, ["", "RequestInFlight", "Delivered"], "{name}: created, claimed, answered");
    }
    assert_eq!(world.cloud.max_in_flight().0, 26, "as many as --concurrency allows one namespace, and no more");
    println!("{} MiB with 26 calls in flight", memory / 1024 / 1024);
    // A debug build at rest takes 27 MiB; a connection with its TLS state far less than 1 MiB.
    assert!(memory < 128 * 1024 * 1024, "{memory} bytes");
}

#[tokio::test]
async fn orphaned_claims_expire_after_the_grace_and_no_sooner() {
    // Send budget 3 s, request timeout, margin 2 s: as long as the first operator asked for. All its calls must be in
    // flight together before the first of their claims expires.
    const GRACE: i64 = 3 + 25 + 2;
    let world = World::new().await;
    // A namespace has a quarter of the places and one more.
    let first = world.operator_with(&["--concurrency=76", SHORT_GRACE, "--request-timeout=25s"]).await;
    // A key carries one call at a time until it has had its first answer.
    world.delivered("first").await;
    let clusters = burst(&world, 20, |_| Some(Script::held())).await;
    for cluster in &clusters {
        world.cloud.arrived(cluster, 1).await;
    }
    first.kill().await.unwrap();
    let begin = Timestamp::now().as_second();
    let second = world.operator_with(&[SHORT_GRACE]).await;
    wait_for_output(&second, "\"watching\"").await;
    for number in 0..20 {
        let object = world.settled(&format!("request-{number}"), "OutcomeUnknown").await;
        let finished = object.status.unwrap().attempt.unwrap().finished_time.unwrap().0.as_second();
        assert!(finished >= begin + GRACE, "request-{number} expired {} s after the start", finished - begin);
    }
    assert_eq!(world.cloud.total_calls(), 1 + 20);
}

/// With `OPERATOR_BINARY` as the image's binary, `target/x86_64-unknown-linux-musl/image/redistribution-operator`: how much memory
/// stays with a process depends on its allocator.
#[tokio::test]
#[ignore = "by hand, with the image's binary: cargo test --test suite -- --ignored --nocapture waiting_objects"]
async fn ten_thousand_waiting_objects_take_little_memory() {
    let world = World::with(Options { accept_any_cluster: true, ..Options::default() }).await;
    let operator = world.operator_with(&["--rate-limit=0.01"]).await;
    prove_the_key(&world).await;
    let at_rest = operator.rss_bytes().unwrap();
    burst(&world, 10_000, |_| None).await;
    eventually(PATIENCE, "each was reconciled", async || {
        let waiting = held(&operator).await;
        if waiting >= 10_000 { Ok(()) } else { Err(format!("{waiting} were")) }
    })
    .await;
    let waiting = operator.rss_bytes().unwrap();
    let mib = |bytes: u64| bytes / 1024 / 1024;
    println!("{} MiB at rest, {} MiB with 10,000 waiting objects", mib(at_rest), mib(waiting));
    assert!(mib(waiting) <= 64, "{} MiB", mib(waiting));
}
