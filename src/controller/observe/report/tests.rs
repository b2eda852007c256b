use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use kube::runtime::controller::Action;

use super::*;
use crate::{
    api::{AttemptState, Baseline, Phase, Reason},
    controller::observe::observe,
    observe::{Observe, Stage},
    protocol::{
        attempts::Scheduled,
        conditions::{set_at, to_second},
    },
    testing::{
        mock::{Fault, Server, context},
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
) -> (Server, Arc<Context>, Arc<Mutex<usize>>) {
    let writes = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&writes);
    let server = Server::new(object, move |method, _| {
        *counted.lock().unwrap() += usize::from(method == "PUT");
        script(method)
    });
    let mut context = Arc::into_inner(context(&server, true)).unwrap();
    context.rules.observe = true;
    context.observe = Some(Observe { every: Duration::ZERO, settle: Duration::from_secs(600) });
    (server, Arc::new(context), writes)
}

fn scheduled(context: &Context) -> Scheduled {
    context.attempts().schedule.entry(UID, "a", Duration::ZERO, std::time::Instant::now())
}

/// Until the next poll.
fn pause(context: &Context) -> Duration {
    scheduled(context).next.saturating_duration_since(std::time::Instant::now())
}

fn redistributed(server: &Server) -> Option<String> {
    let conditions = server.object().status.unwrap().conditions;
    conditions.into_iter().find(|condition| condition.type_ == "Redistributed").map(|condition| condition.reason)
}

#[tokio::test]
async fn without_a_key_nothing_is_reported_and_the_secret_is_read_rarely() {
    let object = delivered(Timestamp::now());
    let (server, mut context, writes) = world(&object, |_| None);
    Arc::get_mut(&mut context).unwrap().synced = crate::runtime::synced::Synced::new(&[]);
    // Until all objects are known, calls by others are not: the poll waits for that, and not for long.
    observe(&context, &object, Stage::Following).await.unwrap();
    assert!(pause(&context) <= Duration::from_secs(2));
    context.synced.complete(0);
    let due = Scheduled { next: std::time::Instant::now(), ..scheduled(&context) };
    context.attempts().schedule.keep(UID, due);
    observe(&context, &object, Stage::Following).await.unwrap();
    assert!(pause(&context) > Duration::from_secs(290), "{:?}", pause(&context));
    assert_eq!((redistributed(&server), *writes.lock().unwrap()), (None, 0));
}

#[tokio::test]
async fn after_thirty_days_the_last_report_is_written_once_without_a_poll() {
    let object = delivered(at(-40 * 86_400));
    let (server, context, writes) = world(&object, |_| None);
    assert_eq!(context.decide(&object), Step::Observe(Stage::Over));
    assert_eq!(observe(&context, &object, Stage::Over).await.unwrap(), Action::await_change());
    assert_eq!((redistributed(&server).as_deref(), *writes.lock().unwrap()), (Some("EndNotSeen"), 1));
    assert_eq!(context.decide(&server.object()), Step::Done);
}

#[tokio::test]
async fn a_finding_survives_conflicts_and_is_not_written_to_another_attempt() {
    let object = delivered(Timestamp::now());
    let running = Finding::Run(Phase::Running, None);
    // Another writer is first, each time but the last.
    let mut conflicts = 3;
    let (server, context, writes) = world(&object, move |method| {
        let fault = (method == "PUT" && conflicts > 0).then_some(Fault::Rejected(409));
        conflicts -= usize::from(fault.is_some());
        fault
    });
    let attempt = object.status.as_ref().unwrap().attempt.as_ref().unwrap();
    assert!(!write_finding(&context, &object, attempt, &running).await.unwrap());
    assert_eq!((redistributed(&server).as_deref(), *writes.lock().unwrap()), (Some("Running"), 4));
    server.change(|object| {
        object["status"]["attempt"]["id"] = "b".into();
        object["status"]["conditions"].as_array_mut().unwrap().retain(|condition| condition["type"] != "Redistributed");
    });
    write_finding(&context, &object, attempt, &running).await.unwrap();
    assert_eq!((redistributed(&server), *writes.lock().unwrap()), (None, 4));
}

#[tokio::test]
async fn a_write_without_an_answer_is_read_back_and_made_once() {
    let object = delivered(Timestamp::now());
    let mut first = true;
    let (server, context, writes) = world(&object, move |method| {
        (method == "PUT" && std::mem::take(&mut first)).then_some(Fault::AppliedButError(504))
    });
    let attempt = object.status.as_ref().unwrap().attempt.as_ref().unwrap();
    assert!(
        write_finding(&context, &object, attempt, &Finding::Run(Phase::Finished, None)).await.unwrap(),
        "it is over"
    );
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
