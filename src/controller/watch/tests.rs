use super::*;
use crate::{
    api::{AttemptState, ClusterRedistribution},
    testing::{
        mock::sample_is_woken,
        sample::{attempt, attempted, fresh},
    },
};

fn pending(admission: Arc<Admission>) -> Pending {
    let mut writer = Writer::<StoredObject>::default();
    writer.apply_watcher_event(&Event::Init);
    writer.apply_watcher_event(&Event::InitDone);
    let reader = writer.as_reader();
    Pending {
        writer,
        reader,
        attempts: Arc::default(),
        admission,
        observe: false,
        metrics: Metrics::default(),
        scopes: vec![Scope::new(None)],
        synced: Synced::new(&[]),
        errors: WatchErrors::default(),
    }
}

fn stored(object: ClusterRedistribution) -> StoredObject {
    StoredObject { seen: None, object: Ok(object) }
}

#[tokio::test]
async fn a_woken_object_that_finished_elsewhere_or_is_gone_leaves_the_queue() {
    let finished = || stored(attempted(1, attempt("a", 1, AttemptState::Answered)));
    let deleted = || Event::Delete(stored(fresh(1)));
    // The list after a lost watch does not contain it any more.
    let unlisted = [Event::Init, Event::InitDone];
    for events in [vec![Event::Apply(finished())], vec![Event::InitApply(finished())], vec![deleted()], unlisted.into()]
    {
        let (admission, mut woken) = sample_is_woken().await;
        let mut pending = pending(admission);
        assert_eq!(pending.apply(0, Event::Apply(stored(fresh(1)))).count(), 1);
        assert!(woken.try_recv().is_err(), "it still waits");
        for event in events {
            assert_eq!(pending.apply(0, event).count(), 0);
        }
        assert!(pending.reader.is_empty());
        assert_eq!(woken.try_recv().unwrap().1, "next");
    }
}

#[tokio::test]
async fn an_object_deleted_during_its_call_is_forgotten_with_the_next_list() {
    let (admission, _woken) = sample_is_woken().await;
    let mut pending = pending(admission);
    let attempts = Arc::clone(&pending.attempts);
    let knows = || attempts.lock().unwrap().hidden_objects() == 1;
    assert_eq!(pending.apply(0, Event::Apply(stored(fresh(1)))).count(), 1);
    assert_eq!(pending.apply(0, Event::Delete(stored(fresh(1)))).count(), 0);
    // Its reconciliation continues with the object that it has.
    let _ = attempts.lock().unwrap().hidden(crate::testing::sample::UID, Instant::now());
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
        let (admission, _woken) = sample_is_woken().await;
        let mut pending = Pending { observe, ..pending(admission) };
        pending.metrics.always_leading();
        drop(pending.apply(0, Event::Apply(stored(object))));
        let text = pending.metrics.text();
        assert_eq!(text.contains("\ndws_redistribution_stopped{"), observe, "{state:?}: {text}");
    }
}

#[test]
fn pending_objects_are_delivered_once_the_first_list_is_complete() {
    let synced = Synced::new(&["team".to_owned(), "others".to_owned()]);
    let (admission, _woken) = Admission::new(crate::admission::Core::new(1, 0.0));
    let scopes = ["team", "others"].map(|namespace| Scope::new(Some(namespace.to_owned()))).into();
    let mut pending = Pending { scopes, synced: synced.clone(), ..pending(admission) };
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
