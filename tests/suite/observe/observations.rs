//! Results of reads after a call without an answer: a redistribution that was not there before confirms it, its absence
//! proves nothing, and neither ever leads to a second call.

use redistribution_operator::api::ClusterRedistribution;
use testbed::simulator::{Act, NoRun, Read, Script, Shape};

use crate::{
    observe::progress::{OBSERVE, redistributed, redistribution_of, wait_for_progress},
    support::{
        crd,
        world::{SHORT_GRACE, World, condition, message, reaches},
    },
};

const SETTLE: [&str; 3] = ["--observe", "--observe-every=1s", "--settle-time=4s"];

fn is_confirmed(object: &ClusterRedistribution, code: Option<i32>) {
    let seen = ["Delivered", "Ready", "Reconciling", "Stalled"].map(|type_| condition(object, type_));
    assert_eq!(seen, [Some("True"), Some("True"), None, None].map(|value| value.map(str::to_owned)));
    assert_eq!(object.status.as_ref().unwrap().status_code, code, "no status code is invented");
}

#[tokio::test]
async fn a_lost_answer_is_confirmed_by_observation_and_keeps_its_journal() {
    for (script, code, state) in [
        (Script::lost_reply(), None, "Unknown"),
        (Script::error(Shape::Plain, 503, "DWS.0005", "Server failure.").executed(), Some(503), "Answered"),
        (Script::new(Act::Hang).executed(), None, "Unknown"),
    ] {
        let world = World::new().await;
        let cluster = world.cluster();
        world.cloud.script(&cluster, [script]);
        world.cloud.lag(&cluster, 6);
        let _operator = world.operator_with(&OBSERVE).await;
        world.create("request", &cluster).await;
        let object = world.settled("request", "ConfirmedByObservation").await;
        is_confirmed(&object, code);
        assert!(message(&object).contains("that was not there before the claim"), "{}", message(&object));
        let attempt = object.status.unwrap().attempt.unwrap();
        assert_eq!((attempt.state.as_str(), attempt.status_code), (state, code));
        wait_for_progress(&world, "request", "Running").await;
        world.cloud.idle(&cluster);
        is_confirmed(&wait_for_progress(&world, "request", "Finished").await, code);
        assert_eq!(world.calls(&cluster), 1);
    }
}

#[tokio::test]
async fn a_call_not_carried_out_stays_unknown_and_its_polling_ends() {
    let (world, cluster, operator) = World::with_request(&SETTLE, [Script::new(Act::Cut)]).await;
    let object = wait_for_progress(&world, "request", "Unconfirmed").await;
    assert_eq!(condition(&object, "Delivered").as_deref(), Some("Unknown"));
    assert_eq!(condition(&object, "Stalled").as_deref(), Some("True"));
    let told = message(&object);
    for part in ["task_status is WAITING_REDISTRIBUTION", "no redistribution is shown", "no proof", "spec.trigger"] {
        assert!(told.contains(part), "{told}");
    }
    // A person starts it by hand, as the message allows: that was not this call.
    world.cloud.redistributing(&cluster);
    let reads = world.cloud.reads(&cluster).len();
    assert!(operator.terminate().await.unwrap().success());
    let _again = world.operator_with(&SETTLE).await;
    let next = world.cluster();
    world.create("next", &next).await;
    wait_for_progress(&world, "next", "Running").await;
    assert_eq!(world.cloud.reads(&cluster).len(), reads);
    assert_eq!(world.settled("request", "OutcomeUnknown").await.status, object.status);
    assert_eq!(world.calls(&cluster), 1);
}

#[tokio::test]
async fn the_call_of_another_object_confirms_nothing_after_a_restart_either() {
    let world = World::new().await;
    let cluster = world.cluster();
    world.cloud.script(&cluster, [Script::new(Act::Cut), Script::status(200)]);
    // Only the next process reads it.
    let first = world.operator_with(&["--observe", "--observe-every=1h", "--settle-time=4s"]).await;
    world.create("lost", &cluster).await;
    world.settled("lost", "OutcomeUnknown").await;
    world.create("other", &cluster).await;
    world.settled("other", "Delivered").await;
    first.kill().await.unwrap();
    let _second = world.operator_with(&SETTLE).await;
    let lost = wait_for_progress(&world, "lost", "Unconfirmed").await;
    assert_eq!(condition(&lost, "Delivered").as_deref(), Some("Unknown"));
    wait_for_progress(&world, "other", "Running").await;
    assert_eq!(world.calls(&cluster), 2, "one for each object");
}

#[tokio::test]
async fn a_claim_whose_process_was_killed_is_confirmed_by_the_next_one() {
    let flags = [&SETTLE[..], &[SHORT_GRACE]].concat();
    for executed in [true, false] {
        let world = World::new().await;
        let cluster = world.cluster();
        let held = Script::new(Act::Hang);
        world.cloud.script(&cluster, [if executed { held.executed() } else { held }]);
        let first = world.operator_with(&flags).await;
        world.create("request", &cluster).await;
        world.cloud.arrived(&cluster, 1).await;
        reaches(usize::from(executed), "executions", || world.cloud.executions(&cluster)).await;
        first.kill().await.unwrap();
        let _second = world.operator_with(&flags).await;
        if executed {
            is_confirmed(&world.settled("request", "ConfirmedByObservation").await, None);
        } else {
            let object = wait_for_progress(&world, "request", "Unconfirmed").await;
            assert_eq!(condition(&object, "Delivered").as_deref(), Some("Unknown"));
        }
        assert_eq!(world.calls(&cluster), 1);
    }
}

#[tokio::test]
async fn a_redistribution_that_ended_unseen_is_confirmed_by_its_name() {
    let world = World::new().await;
    let cluster = world.cluster();
    // The previous one is shown, and so is this one once it is over.
    world.cloud.redistributing(&cluster);
    world.cloud.idle(&cluster);
    world.cloud.waiting(&cluster);
    world.cloud.no_run(&cluster, NoRun::LastRun);
    world.cloud.script(&cluster, [Script::lost_reply()]);
    world.cloud.tables_per_read(&cluster, 1000);
    let _operator = world.operator_with(&OBSERVE).await;
    world.create("request", &cluster).await;
    let object = world.settled("request", "ConfirmedByObservation").await;
    is_confirmed(&object, None);
    let done = wait_for_progress(&world, "request", "Finished").await;
    assert!(redistribution_of(&done).id.is_some());
    assert_eq!(world.calls(&cluster), 1);
}

#[tokio::test]
async fn reads_that_fail_in_every_way_neither_confirm_nor_hold_anything_up() {
    let world = World::new().await;
    let acts = [Act::Cut, Act::Reset, Act::HalfHead, Act::LargeBody(200)];
    let clusters: Vec<_> = acts
        .into_iter()
        .enumerate()
        .map(|(number, act)| {
            let cluster = world.cluster();
            // The baseline's reads fail, so that nothing is known from before; then all later reads fail.
            for read in [Read::Cluster, Read::Redistribution] {
                world.cloud.script_reads(&cluster, read, (0..200).map(|_| Script::new(act.clone())));
            }
            world.cloud.script(&cluster, [Script::lost_reply()]);
            (format!("request-{number}"), cluster)
        })
        .collect();
    for (name, cluster) in &clusters {
        world.create(name, cluster).await;
    }
    let _operator = world.operator_with(&SETTLE).await;
    for (name, cluster) in &clusters {
        let object = wait_for_progress(&world, name, "NotReadable").await;
        assert_eq!(condition(&object, "Delivered").as_deref(), Some("Unknown"));
        assert_eq!(world.calls(cluster), 1);
    }
}

#[tokio::test]
async fn a_crd_that_does_not_keep_the_baseline_holds_the_call() {
    let world = crd::world(&crd::without(&["attempt/properties/baseline"])).await;
    let cluster = world.cluster();
    let operator = world.operator_with(&OBSERVE).await;
    world.create("request", &cluster).await;
    world.settled("request", "CRDOutdated").await;
    assert_eq!(world.cloud.total_calls(), 0);
    operator.terminate().await.unwrap();
    // Without the flag there is no baseline to keep.
    let _plain = world.operator().await;
    world.patch("request", serde_json::json!({"metadata": {"labels": {"look": "again"}}})).await;
    let object = world.settled("request", "Delivered").await;
    assert_eq!((world.calls(&cluster), redistributed(&object)), (1, None));
}
