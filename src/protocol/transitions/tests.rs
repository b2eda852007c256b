use super::*;
use crate::{
    api::ClusterRedistributionStatus,
    testing::sample::{at, attempt},
};

fn record(state: AttemptState, reason: Reason, status_code: Option<i32>) -> Record {
    Record {
        state,
        reason,
        message: "what happened".to_owned(),
        status_code,
        error_code: None,
        request_id: None,
        retry_after: None,
    }
}

/// Recorded on an object whose generation is that of its attempt.
fn recorded(status: &ClusterRedistributionStatus, attempt_id: &str, record: &Record, now: Timestamp) -> Recording {
    let generation = status.attempt.as_ref().unwrap().generation;
    super::recorded(status, generation, attempt_id, record, now)
}

fn claimed_at(generation: i64) -> ClusterRedistributionStatus {
    claimed(None, attempt("a", generation, AttemptState::Claimed), "calling", at(0))
}

fn write(recording: Recording) -> ClusterRedistributionStatus {
    match recording {
        Recording::Write(status) => *status,
        other => panic!("expected a write, got {other:?}"),
    }
}

fn shown(status: &ClusterRedistributionStatus) -> Vec<(&str, &str, &str)> {
    status.conditions.iter().map(|c| (c.type_.as_str(), c.status.as_str(), c.reason.as_str())).collect()
}

#[test]
fn every_reason_sets_exactly_the_conditions_of_its_class() {
    for reason in Reason::ALL {
        let status = held(None, 1, *reason, "why", at(0)).unwrap();
        let get = |wanted: &str| status.conditions.iter().find(|c| c.type_ == wanted).map(|c| c.status.as_str());
        let row = (get("Delivered"), get("Ready"), get("Reconciling"), get("Stalled"));
        let expected = match reason.class() {
            crate::api::ReasonClass::Blocked => (Some("False"), Some("False"), Some("True"), None),
            crate::api::ReasonClass::Stalled | crate::api::ReasonClass::Refused => {
                (Some("False"), Some("False"), None, Some("True"))
            }
            crate::api::ReasonClass::InFlight => (Some("Unknown"), Some("Unknown"), Some("True"), None),
            crate::api::ReasonClass::Delivered => (Some("True"), Some("True"), None, None),
            crate::api::ReasonClass::Unknown => (Some("Unknown"), Some("False"), None, Some("True")),
        };
        assert_eq!(row, expected, "{reason}");
        assert!(status.conditions.iter().all(|c| c.observed_generation == Some(1) && c.reason == reason.as_str()));
    }
}

#[test]
fn same_hold_is_not_written_twice() {
    let first = held(None, 1, Reason::Suspended, "why", at(0)).unwrap();
    assert_eq!(held(Some(&first), 1, Reason::Suspended, "why", at(9)), None);
}

#[test]
fn transition_time_changes_only_with_the_status() {
    let first = held(None, 1, Reason::Suspended, "why", at(0)).unwrap();
    let second = held(Some(&first), 1, Reason::Throttled, "other", at(9)).unwrap();
    assert!(second.conditions.iter().all(|c| c.last_transition_time.0 == at(0)));
    let third = claimed(Some(&second), attempt("a", 1, AttemptState::Claimed), "calling", at(20));
    let since = |wanted: &str| third.conditions.iter().find(|c| c.type_ == wanted).unwrap().last_transition_time.0;
    assert_eq!((since("Ready"), since("Reconciling")), (at(20), at(0)));
}

#[test]
fn duplicate_conditions_of_one_type_are_removed() {
    let mut status = held(None, 1, Reason::Suspended, "why", at(0)).unwrap();
    let copy = status.conditions.clone();
    status.conditions.extend(copy);
    let repaired = held(Some(&status), 1, Reason::Suspended, "why", at(1)).unwrap();
    assert_eq!(repaired.conditions.len(), 3);
}

#[test]
fn conditions_of_others_and_unknown_fields_are_kept() {
    let mut status = held(None, 1, Reason::Suspended, "why", at(0)).unwrap();
    let mut foreign = status.conditions[0].clone();
    foreign.type_ = "Approved".to_owned();
    status.conditions.push(foreign.clone());
    status.other.insert("redistribution".to_owned(), serde_json::json!({"id": "x"}));
    let next = claimed(Some(&status), attempt("a", 1, AttemptState::Claimed), "calling", at(1));
    assert!(next.conditions.contains(&foreign));
    assert_eq!(next.other, status.other);
}

#[test]
fn first_write_for_a_generation_drops_the_answer_but_not_the_attempt() {
    let answered =
        write(recorded(&claimed_at(1), "a", &record(AttemptState::Answered, Reason::Delivered, Some(200)), at(1)));
    assert_eq!(answered.status_code, Some(200));
    let next = held(Some(&answered), 2, Reason::Suspended, "why", at(2)).unwrap();
    assert_eq!((next.observed_generation, next.status_code), (Some(2), None));
    assert_eq!(next.attempt, answered.attempt);
}

#[test]
fn record_replaces_only_a_state_of_lower_rank() {
    use AttemptState::{Answered, Claimed, NotSent, Unknown};
    let order = [Claimed, Unknown, NotSent, Answered];
    for from in order {
        for to in [Unknown, NotSent, Answered] {
            let mut status = claimed_at(1);
            status.attempt.as_mut().unwrap().state = from.as_str().to_owned();
            let recording = recorded(&status, "a", &record(to, Reason::OutcomeUnknown, None), at(1));
            let is_higher = to.knowledge() > from.knowledge();
            assert_eq!(matches!(recording, Recording::Write(_)), is_higher, "{from:?} to {to:?}");
        }
    }
}

#[test]
fn late_not_sent_after_unknown_is_final() {
    let unknown =
        write(recorded(&claimed_at(1), "a", &record(AttemptState::Unknown, Reason::OutcomeUnknown, None), at(1)));
    let late = write(recorded(&unknown, "a", &record(AttemptState::NotSent, Reason::EndpointUnreachable, None), at(2)));
    assert_eq!(late.attempt.as_ref().unwrap().closed, Some(true));
    assert_eq!(
        shown(&late),
        [("Delivered", "False", "NotSent"), ("Ready", "False", "NotSent"), ("Stalled", "True", "NotSent")]
    );
}

#[test]
fn late_answer_after_unknown_is_recorded() {
    let unknown =
        write(recorded(&claimed_at(1), "a", &record(AttemptState::Unknown, Reason::OutcomeUnknown, None), at(1)));
    let late = write(recorded(&unknown, "a", &record(AttemptState::Answered, Reason::Delivered, Some(200)), at(2)));
    assert_eq!(late.status_code, Some(200));
    assert_eq!(shown(&late), [("Delivered", "True", "Delivered"), ("Ready", "True", "Delivered")]);
}

#[test]
fn late_record_does_not_change_the_conditions_of_a_newer_generation() {
    let held_newer = held(Some(&claimed_at(1)), 2, Reason::Suspended, "why", at(1)).unwrap();
    let late = write(recorded(&held_newer, "a", &record(AttemptState::Answered, Reason::Delivered, Some(200)), at(2)));
    assert_eq!((late.observed_generation, late.status_code), (Some(2), None));
    assert_eq!(late.conditions, held_newer.conditions);
    assert_eq!(late.attempt.unwrap().status_code, Some(200));
}

#[test]
fn record_of_a_replaced_attempt_changes_only_history() {
    let unknown =
        write(recorded(&claimed_at(1), "a", &record(AttemptState::Unknown, Reason::OutcomeUnknown, None), at(1)));
    let newer = claimed(Some(&unknown), attempt("b", 2, AttemptState::Claimed), "calling", at(2));
    let late = write(recorded(&newer, "a", &record(AttemptState::Answered, Reason::Delivered, Some(200)), at(3)));
    assert_eq!((late.history[0].state.as_str(), late.history[0].status_code), ("Answered", Some(200)));
    assert_eq!((&late.attempt, &late.conditions, late.status_code), (&newer.attempt, &newer.conditions, None));
    let nothing =
        write(recorded(&newer, "a", &record(AttemptState::NotSent, Reason::EndpointUnreachable, None), at(3)));
    assert!(nothing.history.is_empty(), "history never contains NotSent");
    assert_eq!(
        recorded(&newer, "other", &record(AttemptState::Unknown, Reason::OutcomeUnknown, None), at(3)),
        Recording::Replaced
    );
}

#[test]
fn history_keeps_the_last_ten_attempts_that_could_have_reached_the_cloud() {
    let mut status = ClusterRedistributionStatus::default();
    for generation in 1..=13 {
        let state = if generation == 12 { AttemptState::NotSent } else { AttemptState::Answered };
        status = claimed(
            Some(&status),
            attempt(&format!("a{generation}"), generation, AttemptState::Claimed),
            "calling",
            at(generation),
        );
        status = write(recorded(
            &status,
            &format!("a{generation}"),
            &record(state, Reason::Delivered, Some(200)),
            at(generation),
        ));
    }
    status = claimed(Some(&status), attempt("last", 14, AttemptState::Claimed), "calling", at(99));
    let generations: Vec<_> = status.history.iter().map(|past| past.generation).collect();
    assert_eq!(generations, [13, 11, 10, 9, 8, 7, 6, 5, 4, 3]);
}

#[test]
fn journal_of_another_object_does_not_become_history() {
    let mut foreign = attempt("f", 9, AttemptState::Answered);
    foreign.uid = "another".to_owned();
    let copied = PastAttempt { id: "g".to_owned(), generation: 8, state: "Answered".to_owned(), ..Default::default() };
    let status =
        ClusterRedistributionStatus { attempt: Some(Box::new(foreign)), history: vec![copied], ..Default::default() };
    assert!(claimed(Some(&status), attempt("a", 2, AttemptState::Claimed), "calling", at(0)).history.is_empty());
}

#[test]
fn texts_are_truncated_to_the_limits_of_the_schema() {
    let mut long = record(AttemptState::Answered, Reason::Rejected, Some(418));
    long.message = "é".repeat(500);
    long.error_code = Some("C".repeat(500));
    long.request_id = Some("R".repeat(500));
    let attempt = write(recorded(&claimed_at(1), "a", &long, at(1))).attempt.unwrap();
    let lengths = [attempt.message, attempt.error_code, attempt.request_id].map(|text| text.unwrap().chars().count());
    assert_eq!(lengths, [256, 64, 128]);
}

#[test]
fn reduced_record_keeps_the_fields_that_the_guarantee_needs() {
    let mut full = record(AttemptState::Answered, Reason::Delivered, Some(200));
    full.request_id = Some("r".to_owned());
    let status = write(recorded(&claimed_at(1), "a", &full, at(1)));
    let attempt = reduced(&status).attempt.unwrap();
    let kept =
        (attempt.id.as_str(), attempt.uid.as_str(), attempt.generation, attempt.state.as_str(), attempt.status_code);
    assert_eq!(kept, ("a", crate::testing::sample::UID, 1, "Answered", Some(200)));
    assert_eq!((attempt.request_id, attempt.message), (None, None));
}

#[test]
fn pruned_claim_is_withdrawn_as_not_sent_and_may_be_retried() {
    let claim = claimed_at(1);
    for (left, then) in [(true, "NotSent"), (false, "NoAttempt")] {
        let mut status = claim.clone();
        if !left {
            status.attempt = None;
        }
        let next = write(withdrawn(&status, status.attempt.as_deref(), 1, "old", at(1)));
        assert_eq!(next.attempt.as_ref().map(|attempt| attempt.state.as_str()), left.then_some("NotSent"));
        assert!(shown(&next).contains(&("Delivered", "False", "CRDOutdated")));
        let mut object = crate::testing::sample::fresh(1);
        object.status = Some(next);
        assert_eq!(format!("{:?}", crate::protocol::journal::read(&object)), then);
    }
    let lost: [fn(&mut Attempt); 4] =
        [|kept| kept.id.clear(), |kept| kept.uid.clear(), |kept| kept.generation = 0, |kept| kept.state.clear()];
    for forget in lost {
        let mut status = claim.clone();
        forget(status.attempt.as_mut().unwrap());
        let next = write(withdrawn(&status, status.attempt.as_deref(), 1, "old", at(1)));
        assert_eq!(next.attempt, None, "an attempt that cannot be read would block the generation without end");
    }
}

#[test]
fn record_of_another_process_is_not_withdrawn() {
    let claim = claimed_at(1);
    let left = claim.attempt.clone();
    let expired = write(recorded(&claim, "a", &record(AttemptState::Unknown, Reason::OutcomeUnknown, None), at(1)));
    let invalid = held(Some(&claim), 1, Reason::JournalInvalid, "why", at(1)).unwrap();
    let replaced = claimed(Some(&claim), attempt("b", 1, AttemptState::Claimed), "calling", at(1));
    for status in [expired, invalid, replaced] {
        assert_eq!(withdrawn(&status, left.as_deref(), 1, "old", at(2)), Recording::Replaced);
    }
    let edited = withdrawn(&claim, left.as_deref(), 2, "old", at(2));
    assert!(
        matches!(edited, Recording::Write(next) if next.observed_generation == Some(2)),
        "an edit does not prevent the withdrawal"
    );
}

#[test]
fn not_sent_announces_a_retry_only_if_there_is_one() {
    let mut not_sent = record(AttemptState::NotSent, Reason::EndpointUnreachable, None);
    "No connection. Nothing was sent".clone_into(&mut not_sent.message);
    let message = |status: &ClusterRedistributionStatus, generation| {
        let next = write(super::recorded(status, generation, "a", &not_sent, at(2)));
        assert_eq!(next.attempt.unwrap().message.as_deref(), Some("No connection. Nothing was sent"));
        next.conditions[0].message.clone()
    };
    let retry = "The request is retried automatically";
    assert_eq!(message(&claimed_at(1), 1), format!("No connection. Nothing was sent. {retry}"));
    assert!(!message(&claimed_at(1), 2).contains(retry), "the spec has changed since");
    let unknown =
        write(recorded(&claimed_at(1), "a", &record(AttemptState::Unknown, Reason::OutcomeUnknown, None), at(1)));
    let late = message(&unknown, 1);
    assert!(
        !late.contains(retry) && late.contains("sent. The outcome had been") && late.contains("not retried"),
        "{late}"
    );
}

#[test]
fn without_foreign_removes_only_the_journal_of_another_object() {
    let own = claimed(Some(&claimed_at(1)), attempt("b", 2, AttemptState::Claimed), "calling", at(1));
    assert_eq!(without_foreign(Some(&own), crate::testing::sample::UID), Some(own.clone()));
    let taken = without_foreign(Some(&own), "another").unwrap();
    assert!(taken.attempt.is_none() && taken.history.is_empty());
    assert_eq!(taken.conditions, own.conditions);
}

#[test]
fn late_record_leaves_conditions_of_a_newer_generation_if_a_crd_pruned() {
    let mut status = claimed_at(1);
    let newer = held(Some(&status), 2, Reason::JournalInvalid, "why", at(1)).unwrap();
    (status.conditions, status.observed_generation) = (newer.conditions, Some(-1));
    let next = write(recorded(&status, "a", &record(AttemptState::Answered, Reason::Delivered, Some(200)), at(2)));
    assert_eq!(reason_at(&next.conditions, 2), Some("JournalInvalid"));
    assert_eq!(next.attempt.unwrap().state, "Answered");
}
