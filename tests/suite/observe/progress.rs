//! The progress of a redistribution, observed by reads: shown while it moves, written only when it has moved, and never
//! read again once it is over.

use std::time::Duration;

use kube::ResourceExt;
use redistribution_operator::api::{ClusterRedistribution, Redistribution};
use testbed::{
    eventually,
    simulator::{Denial, NoRun, Options, Read},
};

use crate::{
    support::burst::history,
    support::world::{PATIENCE, World, condition, reaches},
};

pub const OBSERVE: [&str; 2] = ["--observe", "--observe-every=1s"];

/// Reason of the condition that shows the redistribution, and its value.
pub fn redistributed(object: &ClusterRedistribution) -> Option<(String, String)> {
    let conditions = &object.status.as_ref()?.conditions;
    let condition = conditions.iter().find(|condition| condition.type_ == "Redistributed")?;
    (condition.observed_generation == object.metadata.generation)
        .then(|| (condition.status.clone(), condition.reason.clone()))
}

/// Waits until the redistribution has this progress.
pub async fn wait_for_progress(world: &World, name: &str, reason: &str) -> ClusterRedistribution {
    wait_for_progress_within(PATIENCE, world, name, reason).await
}

/// The same with a deadline of its own.
async fn wait_for_progress_within(within: Duration, world: &World, name: &str, reason: &str) -> ClusterRedistribution {
    let api = world.api();
    eventually(within, &format!("{name} has the reason {reason}"), async || {
        let object = api.get(name).await.map_err(|error| error.to_string())?;
        let said = redistributed(&object);
        if said.as_ref().is_some_and(|(_, said)| said == reason) { Ok(object) } else { Err(format!("{said:?}")) }
    })
    .await
}

pub fn redistribution_of(object: &ClusterRedistribution) -> Redistribution {
    object.status.as_ref().and_then(|status| status.redistribution.as_deref().cloned()).unwrap_or_default()
}

/// Waits until the cluster's redistribution was read this many more times.
pub async fn read_again(world: &World, cluster: &str, times: usize) {
    let before = world.cloud.reads_of(cluster, Read::Redistribution);
    reaches(before + times, "reads", || world.cloud.reads_of(cluster, Read::Redistribution)).await;
}

/// Waits until each event was reported this many times.
async fn assert_events(world: &World, expected: &[(&str, i32)]) {
    eventually(PATIENCE, &format!("{expected:?}"), async || {
        let events = world.events().await;
        let of_reason = |reason| events.iter().filter(move |event| event.reason.as_deref() == Some(reason));
        let count =
            |reason| of_reason(reason).map(|event| event.series.as_ref().map_or(1, |series| series.count)).sum::<i32>();
        if expected.iter().all(|&(reason, times)| count(reason) == times) { Ok(()) } else { Err(format!("{events:?}")) }
    })
    .await;
}

#[tokio::test]
async fn progress_is_written_once_for_each_change_and_not_read_after_the_end() {
    follow_to_the_end(5).await;
}

#[tokio::test]
#[ignore = "by hand, since it takes two minutes: cargo test --test suite -- --ignored --nocapture hundred_steps"]
async fn a_redistribution_of_a_hundred_steps_is_followed_to_its_end() {
    follow_to_the_end(1).await;
}

/// With this many of its 100 tables moved between two reads.
async fn follow_to_the_end(tables: u64) {
    let world = World::with(Options { tables_per_read: tables, ..Options::default() }).await;
    let cluster = world.cluster();
    let versions = history(&world).await;
    let operator = world.operator_with(&OBSERVE).await;
    world.create("request", &cluster).await;
    let done = wait_for_progress_within(PATIENCE * 3, &world, "request", "Finished").await;
    assert_eq!(condition(&done, "Redistributed").as_deref(), Some("True"));
    assert_eq!(condition(&done, "Ready").as_deref(), Some("True"));
    let last = redistribution_of(&done);
    assert_eq!((last.state.as_str(), last.progress_percent, last.tables_left), ("Finished", Some(100), Some(0)));
    assert!(last.id.is_some() && last.start_time.is_some(), "{last:?}");
    assert_events(
        &world,
        &[
            ("RedistributionStarted", 1),
            ("RedistributionFinished", 1),
            ("RedistributionFailed", 0),
            ("RedistributionPaused", 0),
        ],
    )
    .await;
    // The watch of the test may be a moment behind.
    let version = done.resource_version();
    eventually(PATIENCE, "the last version is seen", async || {
        if versions.lock().unwrap().iter().any(|object| object.resource_version() == version) {
            Ok(())
        } else {
            Err("")
        }
    })
    .await;
    let shown: Vec<_> = versions
        .lock()
        .unwrap()
        .iter()
        .filter(|object| redistributed(object).is_some())
        .map(|object| (redistribution_of(object).shown(), redistributed(object)))
        .collect();
    let steps = shown.iter().filter_map(|(shown, _)| shown.progress_percent).collect::<Vec<_>>();
    let fewest = usize::try_from(100 / tables * 3 / 4).unwrap();
    assert!(steps.len() >= fewest && steps.is_sorted(), "{steps:?}");
    println!("{} writes for {} steps", shown.len(), steps.len());
    assert!(shown.windows(2).all(|pair| pair[0] != pair[1]), "a write that showed nothing new: {shown:?}");
    // The next process does not read a finished one either.
    let reads = world.cloud.all_reads().len();
    assert!(operator.terminate().await.unwrap().success());
    let _again = world.operator_with(&OBSERVE).await;
    let next = world.cluster();
    world.cloud.tables_per_read(&next, 0);
    world.create("next", &next).await;
    wait_for_progress(&world, "next", "Running").await;
    read_again(&world, &next, 3).await;
    // In one view of them all: the next one is read further.
    let all = world.cloud.all_reads();
    assert!(all.iter().all(|read| read.cluster == cluster || read.cluster == next), "{all:?}");
    assert_eq!(all.iter().filter(|read| read.cluster == cluster).count(), reads);
    assert_eq!((world.calls(&cluster), world.calls(&next)), (1, 1));
}

#[tokio::test]
async fn pause_failure_and_retry_are_shown_and_reported() {
    let world = World::new().await;
    let cluster = world.cluster();
    // A redistribution without progress is read less often; an edit of the test's own clock would be no test.
    let _operator = world.operator_with(&OBSERVE).await;
    world.create("request", &cluster).await;
    wait_for_progress(&world, "request", "Running").await;
    world.cloud.paused(&cluster, false);
    let paused = wait_for_progress(&world, "request", "Paused").await;
    assert_eq!(redistribution_of(&paused).paused_by_user, Some(false));
    assert_eq!(condition(&paused, "Ready").as_deref(), Some("True"), "it was delivered, whatever happened later");
    world.cloud.failed(&cluster);
    let failed = wait_for_progress(&world, "request", "Failed").await;
    let shown = redistribution_of(&failed);
    assert_eq!((shown.fail_count, shown.retryable), (Some(1), Some(true)));
    assert_eq!(condition(&failed, "Redistributed").as_deref(), Some("False"));
    world.cloud.redistributing(&cluster);
    wait_for_progress(&world, "request", "Running").await;
    assert_events(
        &world,
        &[
            ("RedistributionStarted", 2),
            ("RedistributionPaused", 1),
            ("RedistributionFailed", 1),
            ("RedistributionFinished", 0),
        ],
    )
    .await;
    assert_eq!(world.calls(&cluster), 1);
}

#[tokio::test]
async fn the_end_is_seen_in_every_form_in_which_the_cloud_shows_no_run() {
    for no_run in [NoRun::Null, NoRun::NotFound, NoRun::LastRun] {
        let world = World::new().await;
        let (cluster, quick) = (world.cluster(), world.cluster());
        for cluster in [&cluster, &quick] {
            world.cloud.no_run(cluster, no_run);
        }
        let _operator = world.operator_with(&OBSERVE).await;
        world.create("request", &cluster).await;
        wait_for_progress(&world, "request", "Running").await;
        world.cloud.idle(&cluster);
        let done = wait_for_progress(&world, "request", "Finished").await;
        assert_eq!(redistribution_of(&done).progress_percent, Some(100), "{no_run:?}");
        // It was over before the first read.
        world.cloud.tables_per_read(&quick, 1000);
        world.create("quick", &quick).await;
        wait_for_progress(&world, "quick", "Finished").await;
    }
}

#[tokio::test]
async fn a_missing_right_to_read_is_reported_and_prevents_no_call() {
    let world = World::new().await;
    for read in [Read::Cluster, Read::Redistribution] {
        world.cloud.deny(read, Some(Denial::Service));
    }
    let cluster = world.cluster();
    let _operator = world.operator_with(&OBSERVE).await;
    world.create("request", &cluster).await;
    let object = wait_for_progress(&world, "request", "NotReadable").await;
    assert_eq!(condition(&object, "Ready").as_deref(), Some("True"));
    let conditions = object.status.unwrap().conditions;
    let told = &conditions.iter().find(|condition| condition.type_ == "Redistributed").unwrap().message;
    assert!(told.contains("dws:redistributionInfo:list") && told.contains("HTTP 403"), "{told}");
    assert_eq!(world.calls(&cluster), 1);
}

#[tokio::test]
async fn without_the_flag_nothing_is_read_and_no_such_condition_is_there() {
    let (world, _, _operator) = World::with_request(&[], None).await;
    let object = world.settled("request", "Delivered").await;
    assert_eq!((redistributed(&object), world.cloud.all_reads().len()), (None, 0));
    assert_eq!(object.status.unwrap().attempt.unwrap().baseline, None);
}
