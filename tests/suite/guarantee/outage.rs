//! An API server that is away, flaps, or falls silent: outcomes wait for it and are written when it is back, nothing is
//! called twice, and only a watch that is dead while the API server answers is a reason to restart.

use std::{fs, time::Duration};

use serde_json::Value;
use testbed::{Operator, eventually, simulator::Script};
use tokio::time::{Instant, interval};

use crate::{
    support::burst::burst,
    support::proxied::Proxied,
    support::world::{PATIENCE, World, wait_for_output},
};

/// Liveness threshold and grace of these tests; the outage is longer than both together.
const FLAGS: [&str; 4] = ["--stale-after=20s", "--send-budget=1s", "--request-timeout=4s", "--grace-margin=2s"];
const OUTAGE: Duration = Duration::from_secs(45);

/// Longest pause between two tries to write an outcome (`RECORD_PAUSES` in `src/store/record.rs`), in seconds.
const LONGEST_PAUSE: u64 = 4;

/// The pauses between the tries to write outcomes, in seconds.
fn pauses(operator: &Operator) -> Vec<u64> {
    let output = operator.output();
    let told = output.lines().filter(|line| line.contains("the outcome is not written yet"));
    told.map(|line| serde_json::from_str::<Value>(line).unwrap()["fields"]["seconds"].as_u64().unwrap()).collect()
}

/// The result of a kubelet's probe, once a second.
async fn is_alive(operator: &Operator) -> bool {
    matches!(operator.get("/livez").await, Ok((200, _)))
}

#[tokio::test]
async fn an_answer_is_written_every_four_seconds_until_an_outage_ends() {
    let world = World::new().await;
    let proxied = Proxied::new(&world, "nothing").await;
    let cluster = world.cluster();
    world.cloud.script(&cluster, [Script::held()]);
    // The answer must not be late, however long it takes to cut the operator off.
    let operator = proxied.operator(&world, &[&FLAGS[..], &["--request-timeout=15s"]].concat()).await;
    world.create("request", &cluster).await;
    world.cloud.arrived(&cluster, 1).await;
    proxied.proxy.outage().set(true);
    world.cloud.release(&cluster);
    wait_for_output(&operator, "the outcome is not written yet").await;
    // The length of the outage is the subject of the test.
    let (begin, mut seconds) = (Instant::now(), interval(Duration::from_secs(1)));
    while begin.elapsed() < OUTAGE {
        seconds.tick().await;
        assert!(is_alive(&operator).await, "not alive after {:?}", begin.elapsed());
    }
    assert!(world.api().get("request").await.unwrap().status.unwrap().status_code.is_none());
    proxied.proxy.outage().set(false);
    let object = world.settled("request", "Delivered").await;
    assert_eq!(object.status.unwrap().status_code, Some(200));
    // How soon after the outage it was written depends on the machine, the pauses between the tries do not.
    let pauses = pauses(&operator);
    assert!(pauses.iter().all(|&seconds| seconds <= LONGEST_PAUSE), "{pauses:?}");
    assert!(pauses.len() as u64 >= OUTAGE.as_secs() / LONGEST_PAUSE / 2, "{pauses:?}");
    assert_eq!(world.calls(&cluster), 1);
    assert_eq!(proxied.record.violations(), []);
    // It is alive and reacts to new objects.
    let next = world.cluster();
    world.create("next", &next).await;
    world.settled("next", "Delivered").await;
    assert!(is_alive(&operator).await);
    assert!(operator.terminate().await.unwrap().success(), "it is the same process that ends now");
}

#[tokio::test]
async fn a_silent_watch_is_reopened_without_a_restart_and_loses_nothing() {
    let world = World::new().await;
    let proxied = Proxied::new(&world, "stream#1:black-hole").await;
    let (first, unseen) = (world.cluster(), world.cluster());
    // Present from the start, so that the first event comes on the first watch, which is renewed every five seconds.
    world.create("first", &first).await;
    let operator = proxied.operator(&world, &FLAGS).await;
    world.settled("first", "Delivered").await;
    world.create("unseen", &unseen).await;
    eventually(PATIENCE, "an object that the watch missed is delivered", async || {
        assert!(is_alive(&operator).await);
        if world.calls(&unseen) == 1 { Ok(()) } else { Err("not yet") }
    })
    .await;
    world.settled("unseen", "Delivered").await;
    assert!(operator.terminate().await.unwrap().success(), "it is the same process that ends now");
    assert_eq!((world.calls(&first), world.calls(&unseen)), (1, 1));
}

#[tokio::test]
async fn a_dead_watch_fails_the_liveness_probe_and_loses_nothing() {
    let world = World::new().await;
    let proxied = Proxied::new(&world, "stream#1:black-hole+watch#1:hang").await;
    let (first, unseen) = (world.cluster(), world.cluster());
    world.create("first", &first).await;
    let operator = proxied.operator(&world, &FLAGS).await;
    world.settled("first", "Delivered").await;
    world.create("unseen", &unseen).await;
    eventually(PATIENCE, "the liveness probe fails", async || {
        if is_alive(&operator).await { Err("it is alive") } else { Ok(()) }
    })
    .await;
    assert_eq!(world.calls(&unseen), 0);
    operator.kill().await.unwrap();
    let _next = Operator::run(operator.command().clone()).unwrap();
    world.settled("unseen", "Delivered").await;
    assert_eq!((world.calls(&first), world.calls(&unseen)), (1, 1));
}

#[tokio::test]
async fn a_quiet_watch_is_alive_however_long_nothing_happens() {
    let world = World::new().await;
    let proxied = Proxied::new(&world, "nothing").await;
    let operator = proxied.operator(&world, &FLAGS).await;
    let (begin, mut seconds) = (Instant::now(), interval(Duration::from_secs(1)));
    while begin.elapsed() < Duration::from_secs(40) {
        seconds.tick().await;
        assert!(is_alive(&operator).await, "not alive after {:?}", begin.elapsed());
    }
}

fn open_files(operator: &Operator) -> usize {
    fs::read_dir(format!("/proc/{}/fd", operator.pid())).map(Iterator::count).unwrap_or_default()
}

#[tokio::test]
async fn a_flapping_api_server_costs_a_thousand_objects_one_call_each() {
    const OBJECTS: usize = 1000;
    let world = World::new().await;
    let proxied = Proxied::new(&world, "nothing").await;
    let clusters = burst(&world, OBJECTS, |_| None).await;
    let operator = proxied.operator(&world, &["--concurrency=8"]).await;
    let (mut files, mut memory, mut flaps) = (0, 0, 0);
    let mut moments = interval(Duration::from_millis(700));
    while world.cloud.total_calls() < OBJECTS {
        moments.tick().await;
        flaps += 1;
        proxied.proxy.outage().set(flaps % 4 == 0);
        files = files.max(open_files(&operator));
        memory = memory.max(operator.rss_bytes().unwrap_or_default());
        assert!(flaps < 5000, "{} calls so far", world.cloud.total_calls());
    }
    proxied.proxy.outage().set(false);
    let objects = world.all_settled(&["Delivered"]).await;
    assert_eq!(objects.len(), OBJECTS);
    assert_eq!(world.cloud.total_calls(), OBJECTS);
    assert!(clusters.iter().all(|cluster| world.calls(cluster) == 1));
    assert_eq!(proxied.record.violations(), []);
    println!("{flaps} moments, at most {files} open files, {} MiB", memory / 1024 / 1024);
    assert!(world.cloud.max_in_flight().0 <= 8, "{:?}", world.cloud.max_in_flight());
    // One connection to the API server for each of 32 requests at once, one for each call, and the files that a process
    // has open anyway.
    assert!(files < 100, "{files} open files");
    assert!(memory < 100 * 1024 * 1024, "{memory} bytes");
}
