use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use super::*;
use crate::{
    api::{AttemptState, Baseline, Phase, Reason},
    observe::Observe,
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
    synced: Synced,
    mut script: impl FnMut(&str) -> Option<Fault> + Send + 'static,
) -> (Server, Arc<Reconciler>, Arc<Mutex<usize>>) {
    let writes = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&writes);
    let server = Server::new(object, move |method, _| {
        *counted.lock().unwrap() += usize::from(method == "PUT");
        script(method)
    });
    let observe = Some(Observe { every: Duration::ZERO, settle: Duration::from_secs(600) });
    let controller = reconciler(&server, Setup { synced, observe, ..Setup::default() });
    (server, controller, writes)
}

/// The first list is complete.
fn complete() -> Synced {
    Setup::default().synced
}

/// Runs a poll to its end, as a task.
async fn run(controller: &Arc<Reconciler>, object: &ClusterRedistribution, stage: Stage) {
    let (sender, ended) = tokio::sync::oneshot::channel();
    let (observer, work) = (controller.observer.clone().unwrap(), Work::Poll("a".to_owned(), stage));
    let of = (object.clone(), object.attempt().unwrap().clone());
    let run = |handle| Box::pin(Arc::clone(controller).poll_and_write(observer, of, stage, handle));
    let _waiting = controller.tasks.ensure(UID, (&work, (1, false)), run, |_, _| sender.send(()).unwrap());
    ended.await.unwrap();
}

fn redistributed(server: &Server) -> Option<String> {
    let conditions = server.object().status.unwrap().conditions;
    conditions.into_iter().find(|condition| condition.type_ == "Redistributed").map(|condition| condition.reason)
}

#[tokio::test]
async fn without_a_key_nothing_is_reported_and_the_secret_is_read_rarely() {
    let object = delivered(Timestamp::now());
    let synced = Synced::new(&[]);
    let (server, controller, writes) = world(&object, synced.clone(), |_| None);
    let observer = controller.observer.as_ref().unwrap();
    let pause = || observer.due_in(object.attempt().unwrap());
    // Until all objects are known, calls by others are not: the poll waits for that, and not for long.
    run(&controller, &object, Stage::Following).await;
    assert!(pause() <= Duration::from_secs(10));
    synced.complete(0);
    run(&controller, &object, Stage::Following).await;
    assert!(pause() > Duration::from_secs(290), "{:?}", pause());
    assert_eq!((redistributed(&server), *writes.lock().unwrap()), (None, 0));
}

#[tokio::test]
async fn after_thirty_days_the_last_report_is_written_once_without_a_poll() {
    let object = delivered(at(-40 * 86_400));
    let (server, controller, writes) = world(&object, complete(), |_| None);
    let due = |object: &ClusterRedistribution| controller.stage(object, &controller.decider.decide(object));
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
    let (server, controller, writes) = world(&object, complete(), move |method| {
        let fault = (method == "PUT" && conflicts > 0).then_some(Fault::Rejected(409));
        conflicts -= usize::from(fault.is_some());
        fault
    });
    let attempt = object.status.as_ref().unwrap().attempt.as_ref().unwrap();
    assert!(!controller.write_finding(&object, attempt, &running).await.unwrap());
    assert_eq!((redistributed(&server).as_deref(), *writes.lock().unwrap()), (Some("Running"), 4));
    server.change(|object| {
        object["status"]["attempt"]["id"] = "b".into();
        object["status"]["conditions"].as_array_mut().unwrap().retain(|condition| condition["type"] != "Redistributed");
    });
    controller.write_finding(&object, attempt, &running).await.unwrap();
    assert_eq!((redistributed(&server), *writes.lock().unwrap()), (None, 4));
}

#[tokio::test]
async fn a_write_without_an_answer_is_read_back_and_made_once() {
    let object = delivered(Timestamp::now());
    let mut first = true;
    let (server, controller, writes) = world(&object, complete(), move |method| {
        (method == "PUT" && std::mem::take(&mut first)).then_some(Fault::AppliedButError(504))
    });
    let attempt = object.status.as_ref().unwrap().attempt.as_ref().unwrap();
    assert!(
        controller.write_finding(&object, attempt, &Finding::Run(Phase::Finished, None)).await.unwrap(),
        "it is over"
    );
    assert_eq!((redistributed(&server).as_deref(), *writes.lock().unwrap()), (Some("Finished"), 1));
}
