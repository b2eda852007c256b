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

fn shown(object: ClusterRedistribution) -> StoredObject {
    StoredObject { seen: None, object: Ok(object) }
}

#[tokio::test]
async fn whoever_was_called_up_and_is_finished_by_another_or_gone_leaves_its_line_to_the_next() {
    let finished = || shown(attempted(1, attempt("a", 1, AttemptState::Answered)));
    let deleted = || Event::Delete(shown(fresh(1)));
    // The list that is read after a watch was lost does not hold it any more.
    let unlisted = [Event::Init, Event::InitDone];
    for events in [vec![Event::Apply(finished())], vec![Event::InitApply(finished())], vec![deleted()], unlisted.into()]
    {
        let (admission, mut called) = sample_is_woken().await;
        let mut pending = pending(admission);
        assert_eq!(pending.apply(0, Event::Apply(shown(fresh(1)))).count(), 1);
        assert!(called.try_recv().is_err(), "it still waits");
        for event in events {
            assert_eq!(pending.apply(0, event).count(), 0);
        }
        assert!(pending.reader.is_empty());
        assert_eq!(called.try_recv().unwrap().1, "next");
    }
}

#[tokio::test]
async fn what_was_deleted_while_it_was_being_called_is_forgotten_with_the_next_list() {
    let (admission, _called) = sample_is_woken().await;
    let mut pending = pending(admission);
    let attempts = Arc::clone(&pending.attempts);
    let knows = || attempts.lock().unwrap().hidden_objects() == 1;
    assert_eq!(pending.apply(0, Event::Apply(shown(fresh(1)))).count(), 1);
    assert_eq!(pending.apply(0, Event::Delete(shown(fresh(1)))).count(), 0);
    // Its reconciliation goes on with what it has in hand.
    let _ = attempts.lock().unwrap().hidden(crate::testing::sample::UID, Instant::now());
    assert!(pending.apply(0, Event::Init).next().is_none() && knows());
    assert!(pending.apply(0, Event::InitDone).next().is_none() && !knows());
}

#[tokio::test]
async fn a_redistribution_that_stands_still_is_told_by_whoever_looks_and_by_nobody_else() {
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
        let (admission, _called) = sample_is_woken().await;
        let mut pending = Pending { observe, ..pending(admission) };
        pending.metrics.always_leading();
        drop(pending.apply(0, Event::Apply(shown(object))));
        let text = pending.metrics.text();
        assert_eq!(text.contains("\ndws_redistribution_stopped{"), observe, "{state:?}: {text}");
    }
}

#[test]
fn pending_objects_are_handed_on_once_the_first_list_of_their_scope_is_complete() {
    let synced = Synced::new(&["team".to_owned(), "others".to_owned()]);
    let (admission, _called) = Admission::new(crate::admission::Core::new(1, 0.0));
    let scopes = ["team", "others"].map(|namespace| Scope::new(Some(namespace.to_owned()))).into();
    let mut pending = Pending { scopes, synced: synced.clone(), ..pending(admission) };
    let finished = shown(attempted(1, attempt("a", 1, AttemptState::Answered)));
    for event in [Event::Init, Event::InitApply(shown(fresh(1)))] {
        assert_eq!(pending.apply(0, event).count(), 0);
    }
    assert!(!synced.is_complete("team"));
    assert_eq!(pending.apply(1, Event::InitDone).count(), 0, "it is none of theirs");
    assert!(synced.is_complete("others") && !synced.is_complete("team"));
    assert_eq!(pending.apply(0, Event::InitDone).count(), 1);
    assert!(synced.is_complete("team") && synced.are_all_complete());
    // Of later lists each is handed on as it comes, and nothing twice.
    assert_eq!(pending.apply(0, Event::Init).count(), 0);
    assert_eq!(pending.apply(0, Event::InitApply(shown(fresh(1)))).count(), 1);
    assert_eq!(pending.apply(0, Event::InitApply(finished)).count(), 0);
    assert_eq!(pending.apply(0, Event::InitDone).count(), 0);
}
