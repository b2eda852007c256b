use super::*;
use crate::{
    api::{AttemptState, ClusterRedistribution},
    controller::{Work, tasks::Ended},
    observe::Observe,
    protocol::decide::Step,
    runtime::synced::Synced,
    testing::{
        mock::{Server, Setup, reconciler},
        sample::{UID, attempt, attempted, fresh},
    },
};

/// What the watch fills.
fn pending(observe: bool, synced: Synced) -> Pending {
    let mut writer = Writer::<StoredObject>::default();
    writer.apply_watcher_event(&Event::Init);
    writer.apply_watcher_event(&Event::InitDone);
    let reader = writer.as_reader();
    let observe = observe.then_some(Observe { every: Duration::from_secs(60), settle: Duration::from_secs(600) });
    let setup = Setup { synced, observe, ..Setup::default() };
    let reconciler = reconciler(&Server::new(&fresh(1), |_, _| None), setup);
    Pending { writer, reader, reconciler, scopes: vec![Scope::default()], errors: WatchErrors::default() }
}

fn stored(object: ClusterRedistribution) -> StoredObject {
    StoredObject { object: Ok(object) }
}

/// Starts a task for the sample that waits without end; it tells by the sender that it was cancelled.
fn start_task(pending: &Pending, cancelled: tokio::sync::oneshot::Sender<()>) {
    let Step::Call(plan) = pending.reconciler.decider.decide(&fresh(1)) else { panic!("nothing to call") };
    let run = |_| async move {
        let _cancelled = cancelled;
        std::future::pending::<Ended>().await
    };
    let _waiting = pending.reconciler.tasks.ensure(UID, (&Work::Call(Arc::new(plan)), (1, false)), run, |_, _| ());
}

#[tokio::test]
async fn the_task_of_an_object_that_finished_or_is_gone_or_replaced_ends() {
    let finished = || stored(attempted(1, attempt("a", 1, AttemptState::Answered)));
    let mut other = fresh(1);
    other.metadata.uid = Some("another".to_owned());
    for events in [
        vec![Event::Apply(finished())],
        vec![Event::InitApply(finished())],
        vec![Event::Delete(stored(fresh(1)))],
        // The list after a lost watch does not contain it any more.
        vec![Event::Init, Event::InitDone],
        // Its deletion was not seen.
        vec![Event::Apply(stored(other))],
    ] {
        let mut pending = pending(false, Synced::new(&[]));
        assert_eq!(pending.apply(0, Event::Apply(stored(fresh(1)))).count(), 1);
        let (sender, cancelled) = tokio::sync::oneshot::channel();
        start_task(&pending, sender);
        for event in events {
            let _objects = pending.apply(0, event).count();
        }
        assert!(tokio::time::timeout(Duration::from_secs(60), cancelled).await.unwrap().is_err());
    }
}

#[tokio::test]
async fn an_object_deleted_during_its_call_is_forgotten_with_the_next_list() {
    let mut pending = pending(false, Synced::new(&[]));
    let decider = pending.reconciler.decider.clone();
    let knows = || decider.attempts().hidden_objects() == 1;
    assert_eq!(pending.apply(0, Event::Apply(stored(fresh(1)))).count(), 1);
    assert_eq!(pending.apply(0, Event::Delete(stored(fresh(1)))).count(), 0);
    // Its reconciliation continues with the object that it has.
    let _ = decider.attempts().hidden(UID, Instant::now());
    assert!(pending.apply(0, Event::Init).next().is_none() && knows());
    assert!(pending.apply(0, Event::InitDone).next().is_none() && !knows());
}

#[tokio::test]
async fn a_stopped_redistribution_is_exported_only_with_observation() {
    let paused = serde_json::json!([{
        "type": "Redistributed", "status": "False", "reason": "Paused", "message": "", "observedGeneration": 1,
        "lastTransitionTime": "2026-12-01T18:00:00Z",
    }]);
    for (state, observe) in [
        (AttemptState::Answered, true),
        (AttemptState::Answered, false),
        (AttemptState::Claimed, true),
        (AttemptState::Claimed, false),
    ] {
        let mut object = attempted(1, attempt("a", 1, state));
        let paused: Vec<_> = serde_json::from_value(paused.clone()).unwrap();
        object.status.as_mut().unwrap().conditions.extend(paused);
        let mut pending = pending(observe, Synced::new(&[]));
        pending.metrics().objects().export(true);
        drop(pending.apply(0, Event::Apply(stored(object))));
        let text = pending.metrics().text();
        assert_eq!(text.contains("\ndws_redistribution_stopped{"), observe, "{state:?}: {text}");
    }
}

#[tokio::test]
async fn pending_objects_are_delivered_once_the_first_list_is_complete() {
    let synced = Synced::new(&["team".to_owned(), "others".to_owned()]);
    let scopes =
        ["team", "others"].map(|namespace| Scope { namespace: Some(namespace.to_owned()), ..Scope::default() }).into();
    let mut pending = Pending { scopes, ..pending(false, synced.clone()) };
    let finished = stored(attempted(1, attempt("a", 1, AttemptState::Answered)));
    for event in [Event::Init, Event::InitApply(stored(fresh(1)))] {
        assert_eq!(pending.apply(0, event).count(), 0);
    }
    assert!(!synced.is_complete("team"));
    assert_eq!(pending.apply(1, Event::InitDone).count(), 0, "the object is in another scope");
    assert!(synced.is_complete("others") && !synced.is_complete("team"));
    assert_eq!(pending.apply(0, Event::InitDone).count(), 1);
    assert!(synced.is_complete("team") && synced.are_all_complete());
    // Objects of later lists are delivered one by one, and none twice.
    assert_eq!(pending.apply(0, Event::Init).count(), 0);
    assert_eq!(pending.apply(0, Event::InitApply(stored(fresh(1)))).count(), 1);
    assert_eq!(pending.apply(0, Event::InitApply(finished)).count(), 0);
    assert_eq!(pending.apply(0, Event::InitDone).count(), 0);
}
