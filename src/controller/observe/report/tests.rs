use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use super::*;
use crate::{
    api::{AttemptState, Baseline, Phase, Reason},
    controller::{Reconciler, Work},
    observe::{Observe, Stage, schedule::Scheduled},
    protocol::conditions::{set_at, to_second},
    runtime::synced::Synced,
    testing::{
        mock::{Fault, Server, Setup, reconciler},
        sample::{UID, at, attempt, attempted},
    },
};

/// An object whose request was accepted at that time.
fn delivered(finished: Timestamp) -> ClusterRedistribution {
    let mut object = attempted(1, attempt("a", 1, AttemptState::Answered));
    let status = object.status.as_mut().unwrap();
    let attempt = status.attempt.as_mut().unwrap();
    (attempt.baseline, attempt.finished_time) = (Some(Baseline::default()), Some(to_second(finished)));
    attempt.region = Some("lab".to_owned());
    let _ = set_at(&mut status.conditions, 1, Reason::Delivered, "accepted", at(0));
    object
}

/// A controller that observes, and the number of writes that its API server received.
fn world(
    object: &ClusterRedistribution,
    mut script: impl FnMut(&str) -> Option<Fault> + Send + 'static,
) -> (Server, Reconciler, Arc<Mutex<usize>>) {
    let writes = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&writes);
    let server = Server::new(object, move |method, _| {
        *counted.lock().unwrap() += usize::from(method == "PUT");
        script(method)
    });
    let observe = Some(Observe { every: Duration::ZERO, settle: Duration::from_secs(600) });
    let controller = reconciler(&server, Setup { observe, ..Setup::default() });
    (server, controller, writes)
}

/// Runs a poll to its end, as a task.
async fn run(controller: &Reconciler, object: &ClusterRedistribution, stage: Stage) {
    let (sender, ended) = tokio::sync::oneshot::channel();
    let (poller, work) = (controller.poller.clone().unwrap(), Work::Poll { attempt_id: "a".to_owned(), stage });
    let of = object.clone();
    let run = |handle| Box::pin(poller.run(of, stage, handle));
    let _waiting = controller.tasks.ensure(UID, (&work, (1, false)), run, |_| sender.send(()).unwrap());
    ended.await.unwrap();
}

fn scheduled(poller: &Poller) -> Scheduled {
    poller.schedule().entry(UID, "a", Duration::ZERO, std::time::Instant::now())
}

/// Until the next poll.
fn pause(poller: &Poller) -> Duration {
    scheduled(poller).next.saturating_duration_since(std::time::Instant::now())
}

fn redistributed(server: &Server) -> Option<String> {
    let conditions = server.object().status.unwrap().conditions;
    conditions.into_iter().find(|condition| condition.type_ == "Redistributed").map(|condition| condition.reason)
}

#[tokio::test]
async fn without_a_key_nothing_is_reported_and_the_secret_is_read_rarely() {
    let object = delivered(Timestamp::now());
    let (server, mut controller, writes) = world(&object, |_| None);
    controller.poller.as_mut().unwrap().role.synced = Synced::new(&[]);
    let poller = controller.poller.clone().unwrap();
    // Until all objects are known, calls by others are not: the poll waits for that, and not for long.
    run(&controller, &object, Stage::Following).await;
    assert!(pause(&poller) <= Duration::from_secs(2));
    poller.role.synced.complete(0);
    let due = Scheduled { next: std::time::Instant::now(), ..scheduled(&poller) };
    poller.schedule().keep(UID, due);
    run(&controller, &object, Stage::Following).await;
    assert!(pause(&poller) > Duration::from_secs(290), "{:?}", pause(&poller));
    assert_eq!((redistributed(&server), *writes.lock().unwrap()), (None, 0));
}

#[tokio::test]
async fn after_thirty_days_the_last_report_is_written_once_without_a_poll() {
    let object = delivered(at(-40 * 86_400));
    let (server, controller, writes) = world(&object, |_| None);
    let poller = controller.poller.clone().unwrap();
    let due = |object: &ClusterRedistribution| observe::due(object, &poller.decider.decide(object), Timestamp::now());
    assert_eq!(due(&object), Some(Stage::Over));
    run(&controller, &object, Stage::Over).await;
    assert_eq!((redistributed(&server).as_deref(), *writes.lock().unwrap()), (Some("EndNotSeen"), 1));
    assert_eq!(due(&server.object()), None);
}

#[tokio::test]
async fn a_finding_survives_conflicts_and_is_not_written_to_another_attempt() {
    let object = delivered(Timestamp::now());
    let running = Finding::Run(Phase::Running, None);
    // Another writer is first, each time but the last.
    let mut conflicts = 3;
    let (server, controller, writes) = world(&object, move |method| {
        let fault = (method == "PUT" && conflicts > 0).then_some(Fault::Rejected(409));
        conflicts -= usize::from(fault.is_some());
        fault
    });
    let poller = controller.poller.clone().unwrap();
    let attempt = object.status.as_ref().unwrap().attempt.as_ref().unwrap();
    assert!(!poller.write_finding(&object, attempt, &running).await.unwrap());
    assert_eq!((redistributed(&server).as_deref(), *writes.lock().unwrap()), (Some("Running"), 4));
    server.change(|object| {
        object["status"]["attempt"]["id"] = "b".into();
        object["status"]["conditions"].as_array_mut().unwrap().retain(|condition| condition["type"] != "Redistributed");
    });
    poller.write_finding(&object, attempt, &running).await.unwrap();
    assert_eq!((redistributed(&server), *writes.lock().unwrap()), (None, 4));
}

#[tokio::test]
async fn a_write_without_an_answer_is_read_back_and_made_once() {
    let object = delivered(Timestamp::now());
    let mut first = true;
    let (server, controller, writes) = world(&object, move |method| {
        (method == "PUT" && std::mem::take(&mut first)).then_some(Fault::AppliedButError(504))
    });
    let poller = controller.poller.clone().unwrap();
    let attempt = object.status.as_ref().unwrap().attempt.as_ref().unwrap();
    assert!(poller.write_finding(&object, attempt, &Finding::Run(Phase::Finished, None)).await.unwrap(), "it is over");
    assert_eq!((redistributed(&server).as_deref(), *writes.lock().unwrap()), (Some("Finished"), 1));
}

#[test]
fn a_pause_by_the_cloud_and_every_failure_are_warnings() {
    let message = || "why".to_owned();
    let short = |change: StatusChange| {
        let (reason, event_type, _) = event_of(&change);
        (reason, event_type)
    };
    let pause = |by_cloud| short(StatusChange::Paused { message: message(), by_cloud });
    assert_eq!(pause(false), ("RedistributionPaused", EventType::Normal));
    assert_eq!(pause(true), ("RedistributionPaused", EventType::Warning));
    assert_eq!(short(StatusChange::Failed(message())), ("RedistributionFailed", EventType::Warning));
    assert_eq!(short(StatusChange::Started(message())), ("RedistributionStarted", EventType::Normal));
}
