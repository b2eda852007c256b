use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};

use super::*;
use crate::{
    api::{ClusterRedistributionStatus, PastAttempt, ReasonClass},
    protocol::transitions::held,
    testing::sample::{UID, at, attempt, attempted, fresh, spec},
};

fn is_invalid(object: &ClusterRedistribution) -> bool {
    matches!(read(object), Journal::Invalid(_))
}

fn is_missing(object: &ClusterRedistribution) -> bool {
    matches!(read(object), Journal::Missing(_))
}

/// Removes a field.
type Loss = fn(&mut ClusterRedistributionStatus);

/// Adds managed fields that name the conditions and all fields of an attempt, as after any attempt.
fn managed(mut object: ClusterRedistribution) -> ClusterRedistribution {
    let names = serde_json::json!({"f:status": {
        "f:conditions": {}, "f:observedGeneration": {},
        "f:attempt": {"f:id": {}, "f:uid": {}, "f:generation": {}, "f:state": {}, "f:closed": {}},
    }});
    object.metadata.managed_fields =
        Some(vec![ManagedFieldsEntry { fields_v1: Some(FieldsV1(names)), ..ManagedFieldsEntry::default() }]);
    object
}

#[test]
fn field_named_by_managed_fields_and_absent_is_missing() {
    let mut whole = managed(attempted(1, attempt("a", 1, AttemptState::Unknown)));
    whole.status.as_mut().unwrap().attempt.as_mut().unwrap().closed = Some(true);
    assert_eq!(read(&whole), Journal::Closed);
    let losses: [(&str, Loss); 7] = [
        ("conditions", |status| status.conditions.clear()),
        ("attempt", |status| status.attempt = None),
        ("id", |status| status.attempt.as_mut().unwrap().id.clear()),
        ("uid", |status| status.attempt.as_mut().unwrap().uid.clear()),
        ("generation", |status| status.attempt.as_mut().unwrap().generation = 0),
        ("state", |status| status.attempt.as_mut().unwrap().state.clear()),
        ("closed", |status| {
            let attempt = status.attempt.as_mut().unwrap();
            (attempt.closed, attempt.state) = (None, "NotSent".to_owned());
        }),
    ];
    for (field, lose) in losses {
        let mut object = whole.clone();
        lose(object.status.as_mut().unwrap());
        let found = hidden(&object).unwrap();
        assert!(found.ends_with(field), "{field}: {found}");
        assert!(is_missing(&object), "{field}");
        if field == "closed" {
            object.status.as_mut().unwrap().attempt.as_mut().unwrap().state = "Answered".to_owned();
            assert_eq!(read(&object), Journal::Closed, "it makes no difference");
            continue;
        }
        // An edit does not restore it.
        object.metadata.generation = Some(2);
        assert!(is_missing(&object), "{field}");
    }
}

#[test]
fn object_without_observed_generation_is_missing_it() {
    let mut object = attempted(1, attempt("a", 1, AttemptState::Answered));
    object.status.as_mut().unwrap().observed_generation = None;
    assert!(is_missing(&object));
    object.status = None;
    assert!(is_missing(&object));
}

#[test]
fn missing_field_counts_as_lost_once_journal_invalid_is_reported() {
    let mut object = managed(fresh(1));
    assert!(is_missing(&object));
    object.status = held(object.status.as_ref(), 1, Reason::JournalInvalid, "why", at(0));
    assert_eq!(hidden(&object), None);
    assert!(is_invalid(&object));
    object.metadata.generation = Some(2);
    assert!(matches!(read(&object), Journal::CoolingDown { grace: MAX_GRACE, .. }));
}

#[test]
fn hold_after_a_lost_attempt_hides_nothing_and_keeps_the_wait() {
    let mut object = managed(fresh(1));
    object.status = crate::protocol::transitions::held_as_lost(object.status.as_ref(), (UID, 1), "why", at(0));
    assert!(is_invalid(&object), "once reported, it stays invalid");
    object.metadata.generation = Some(2);
    let wait = read(&object);
    assert_eq!(wait, lost_attempt(1));
    let mut held_next = object.clone();
    held_next.status = held(object.status.as_ref(), 2, Reason::Suspended, "why", at(1));
    assert_eq!((hidden(&held_next), read(&held_next)), (None, wait));
}

#[test]
fn observed_generation_without_ready_is_missing_it() {
    let mut object = fresh(2);
    object.status.as_mut().unwrap().observed_generation = Some(2);
    assert!(is_missing(&object));
    object.status.as_mut().unwrap().observed_generation = Some(1);
    assert!(matches!(read(&object), Journal::CoolingDown { grace: MAX_GRACE, .. }));
    let mut unsent = attempted(2, attempt("a", 2, AttemptState::NotSent));
    unsent.status.as_mut().unwrap().conditions.clear();
    assert_eq!(read(&unsent), Journal::NotSent, "its attempt proves that nothing was sent");
}

#[test]
fn attempt_ahead_of_the_observed_generation_is_invalid() {
    let mut object = attempted(7, attempt("a", 7, AttemptState::Answered));
    assert_eq!(read(&object), Journal::Closed);
    object.status = held(object.status.as_ref(), 6, Reason::JournalInvalid, "why", at(0));
    assert!(is_invalid(&object));
}

#[test]
fn attempt_of_another_spec_is_invalid_unless_not_sent() {
    for (state, invalid) in
        [(AttemptState::Claimed, true), (AttemptState::Answered, true), (AttemptState::NotSent, false)]
    {
        let mut made = attempt("a", 1, state);
        made.spec_hash = Some("0123".to_owned());
        assert_eq!(is_invalid(&attempted(1, made.clone())), invalid, "{state:?}");
        assert!(!is_invalid(&attempted(2, made)), "{state:?} of an older generation");
    }
}

#[test]
fn finding_of_a_precheck_is_no_evidence_of_a_call() {
    for reason in Reason::ALL.iter().filter(|reason| reason.class() == ReasonClass::Refused) {
        let mut object = fresh(2);
        object.status = crate::protocol::transitions::held_before_call(None, 2, *reason, "why", at(0));
        assert_eq!(read(&object), Journal::NoAttempt, "{reason}");
        // Without the condition that marks it as blocked, it could be the remains of a call.
        object.status.as_mut().unwrap().conditions.retain(|condition| condition.type_ != "Reconciling");
        assert!(is_missing(&object), "{reason}");
    }
}

#[test]
fn untouched_object_has_no_attempt() {
    assert_eq!(read(&fresh(1)), Journal::NoAttempt);
}

#[test]
fn attempt_of_this_generation_decides_by_its_state() {
    use AttemptState::{Answered, Claimed, NotSent, Unknown};
    let read_of = |state| format!("{:?}", read(&attempted(3, attempt("a", 3, state))).kind());
    assert_eq!([Claimed, Unknown, Answered, NotSent].map(read_of), ["InFlight", "Closed", "Closed", "NotSent"]);
    let mut abandoned = attempt("a", 3, NotSent);
    abandoned.closed = Some(true);
    assert_eq!(read(&attempted(3, abandoned)), Journal::Closed, "closed is closed");
}

#[test]
fn older_attempt_blocks_only_while_it_may_be_in_flight() {
    use AttemptState::{Answered, Claimed, NotSent, Unknown};
    let read_of = |state| format!("{:?}", read(&attempted(4, attempt("a", 3, state))).kind());
    assert_eq!(
        [Claimed, Unknown, Answered, NotSent].map(read_of),
        ["InFlight", "CoolingDown", "NoAttempt", "NoAttempt"]
    );
}

#[test]
fn journal_that_contradicts_the_object_is_invalid() {
    let mut foreign = attempt("a", 1, AttemptState::Answered);
    foreign.uid = "another".to_owned();
    let mut newer_word = attempt("a", 1, AttemptState::Answered);
    newer_word.state = "Observed".to_owned();
    for bad in [foreign, newer_word, attempt("a", 2, AttemptState::Claimed)] {
        assert!(is_invalid(&attempted(1, bad.clone())), "{bad:?}");
    }
    assert!(is_invalid(&fresh(0)));
}

#[test]
fn evidence_of_a_call_without_its_attempt_is_missing_it() {
    let with = |change: &dyn Fn(&mut ClusterRedistributionStatus)| {
        let mut object = fresh(2);
        change(object.status.as_mut().unwrap());
        object
    };
    assert!(is_missing(&with(&|status| (status.observed_generation, status.status_code) = (Some(2), Some(200)))));
    assert!(is_missing(&with(&|status| status.status_code = Some(200))), "of any generation");
    assert!(is_missing(&with(&|status| status.history.push(PastAttempt { generation: 2, ..Default::default() }))));
    assert!(is_missing(&with(&|status| status.attempt = Some(Box::new(attempt("", 2, AttemptState::Claimed))))));
    for reason in Reason::ALL {
        let object = with(&|status| *status = held(None, 2, *reason, "why", at(0)).unwrap());
        let after_a_claim = matches!(
            reason.class(),
            ReasonClass::InFlight | ReasonClass::Delivered | ReasonClass::Refused | ReasonClass::Unknown
        );
        let is_reported = *reason == Reason::JournalInvalid;
        assert_eq!(
            (is_missing(&object), is_invalid(&object)),
            (after_a_claim && !is_reported, is_reported),
            "{reason}"
        );
    }
    let older = with(&|status| *status = held(None, 1, Reason::Delivered, "why", at(0)).unwrap());
    assert_eq!(read(&older), Journal::NoAttempt, "the report of an older generation is no evidence of this one");
    for reason in [Reason::RequestInFlight, Reason::OutcomeUnknown, Reason::ServerError] {
        let older = with(&|status| *status = held(None, 1, reason, "why", at(0)).unwrap());
        assert_eq!(read(&older), lost_attempt(1), "{reason}: its request may be in flight");
    }
}

#[test]
fn conditions_of_others_are_no_evidence_of_a_call() {
    let mut object = fresh(2);
    let mut status = held(None, 2, Reason::Delivered, "why", at(0)).unwrap();
    for condition in &mut status.conditions {
        condition.type_ = format!("example.com/{}", condition.type_);
    }
    let _ = crate::protocol::conditions::set_at(&mut status.conditions, 2, Reason::Suspended, "why", at(0));
    object.status = Some(status);
    assert_eq!(read(&object), Journal::NoAttempt);
}

#[test]
fn invalid_generation_stays_invalid_and_the_next_one_waits() {
    let mut object = fresh(2);
    object.status = held(None, 2, Reason::JournalInvalid, "why", at(0));
    assert!(is_invalid(&object));
    object.metadata.generation = Some(3);
    assert!(matches!(read(&object), Journal::CoolingDown { .. }));
    object.status = held(object.status.as_ref(), 3, Reason::Suspended, "why", at(1));
    assert_eq!(read(&object), Journal::NoAttempt);
}

#[test]
fn next_generation_waits_after_a_loss_even_with_an_older_attempt() {
    for (attempted_at, held_at, cools_down) in [(1, 2, true), (2, 2, true), (2, 1, false)] {
        let mut object = attempted(3, attempt("a", attempted_at, AttemptState::Answered));
        object.status = held(object.status.as_ref(), held_at, Reason::JournalInvalid, "why", at(0));
        assert_eq!(
            matches!(read(&object), Journal::CoolingDown { grace: MAX_GRACE, .. }),
            cools_down,
            "{attempted_at} {held_at}"
        );
        assert_eq!(read(&object) == Journal::NoAttempt, !cools_down);
    }
}

#[test]
fn copied_journal_is_replaced_only_by_an_edit_after_its_report() {
    let mut foreign = attempt("a", 1, AttemptState::Answered);
    foreign.uid = "another".to_owned();
    let mut object = attempted(1, foreign);
    assert!(is_invalid(&object));
    object.metadata.generation = Some(2);
    assert!(is_invalid(&object), "not reported yet");
    object.status = held(object.status.as_ref(), 2, Reason::JournalInvalid, "why", at(0));
    object.metadata.generation = Some(3);
    assert!(matches!(read(&object), Journal::CoolingDown { key, .. } if key == "a"));
}

#[test]
fn generations_up_to_one_claimed_before_a_restore_are_never_sent() {
    let mut object = attempted(3, attempt("a", 5, AttemptState::Answered));
    for generation in 3..=4 {
        object.metadata.generation = Some(generation);
        assert!(is_invalid(&object));
        object.status = held(object.status.as_ref(), generation, Reason::JournalInvalid, "why", at(0));
    }
    object.metadata.generation = Some(5);
    assert!(is_invalid(&object), "also the generation of the attempt");
    object.status = held(object.status.as_ref(), 5, Reason::JournalInvalid, "why", at(0));
    object.metadata.generation = Some(6);
    assert!(matches!(read(&object), Journal::CoolingDown { grace: MAX_GRACE, .. }));
}

#[test]
fn only_a_closed_and_observed_generation_is_finished() {
    let done = attempted(1, attempt("a", 1, AttemptState::Answered));
    assert!(is_finished(&done));
    let mut edited = done.clone();
    edited.metadata.generation = Some(2);
    assert!(!is_finished(&edited));
    assert!(!is_finished(&attempted(1, attempt("a", 1, AttemptState::Claimed))));
    assert!(!is_finished(&attempted(1, attempt("a", 1, AttemptState::NotSent))));
}

/// An object of generation 2 whose claim of generation 1 is in flight, with a status that was changed since.
fn in_flight_before(change: impl FnOnce(&mut ClusterRedistributionStatus)) -> ClusterRedistribution {
    let mut object = fresh(2);
    let mut status = crate::protocol::transitions::claimed(None, attempt("a", 1, AttemptState::Claimed), "", at(0));
    change(&mut status);
    object.status = Some(status);
    object
}

#[test]
fn request_that_only_conditions_still_report_is_waited_for() {
    let object = in_flight_before(|status| (status.attempt, status.observed_generation) = (None, Some(-1)));
    assert_eq!(read(&object), lost_attempt(1));
    let only_delivered = in_flight_before(|status| {
        (status.attempt, status.observed_generation) = (None, Some(-1));
        status.conditions.retain(|condition| condition.type_ == "Delivered");
    });
    assert_eq!(read(&only_delivered), lost_attempt(1));
}

#[test]
fn ready_of_a_later_generation_hides_no_lost_attempt_of_an_older_one() {
    let later = held(None, 2, Reason::Throttled, "why", at(1)).unwrap().conditions;
    let object = in_flight_before(|status| (status.attempt, status.conditions) = (None, later.clone()));
    assert_eq!(read(&object), lost_attempt(1));
    let both = in_flight_before(|status| {
        status.attempt = None;
        status.conditions.extend(later);
    });
    assert_eq!(read(&both), lost_attempt(1));
    let forged = in_flight_before(|status| {
        status.attempt = None;
        status.conditions.iter_mut().for_each(|condition| condition.observed_generation = Some(i64::MAX));
    });
    assert_eq!(read(&forged), lost_attempt(1));
}

#[test]
fn conditions_that_lost_their_generation_may_be_of_this_one() {
    let mut object = in_flight_before(|status| {
        (status.attempt, status.observed_generation) = (None, Some(-1));
        status.conditions.iter_mut().for_each(|condition| condition.observed_generation = None);
    });
    object.metadata.generation = Some(1);
    assert!(is_missing(&object));
}

#[test]
fn history_without_attempt_and_ready_is_evidence_of_a_lost_attempt() {
    let past =
        PastAttempt { id: "a".to_owned(), generation: 1, state: "Answered".to_owned(), ..PastAttempt::default() };
    let mut object = fresh(2);
    object.status = Some(ClusterRedistributionStatus { history: vec![past], ..ClusterRedistributionStatus::default() });
    assert!(is_missing(&object));
}

#[test]
fn message_of_an_invalid_journal_fits_into_its_attempt() {
    let message = crate::protocol::decide::journal_invalid("the attempt of this generation was lost from it");
    assert!(message.chars().count() <= 256, "{message}");
}

#[test]
fn attempt_without_a_valid_grace_gets_the_longest() {
    let mut silent = attempt("a", 1, AttemptState::Claimed);
    for seconds in [None, Some(-1), Some(i64::MAX)] {
        silent.grace_seconds = seconds;
        assert_eq!(grace_of(&silent), MAX_GRACE);
    }
}

#[test]
fn spec_hash_differs_exactly_if_the_request_differs() {
    let base = spec();
    let mut upper = base.clone();
    upper.cluster_id = upper.cluster_id.to_uppercase();
    assert_eq!(spec_hash(&base), spec_hash(&upper), "the same cluster in the other case");
    let mut others = vec![base.clone(); 5];
    others[0].parallel_jobs = 4;
    others[1].trigger = Some(String::new());
    others[2].trigger = Some("x".to_owned());
    others[3].region = Some("x".to_owned());
    others[4].redis_mode = crate::api::RedisMode::Offline;
    let mut hashes: Vec<_> = others.iter().chain([&base]).map(spec_hash).collect();
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), 6);
}

#[test]
fn only_older_attempts_that_could_have_arrived_count_as_asked_before() {
    let asked = |generation: i64, state| {
        let mut attempt = attempt("a", generation, state);
        attempt.spec_hash = Some(spec_hash(&spec()));
        asked_before(&attempted(2, attempt))
    };
    assert!(asked(1, AttemptState::Answered));
    assert!(asked(1, AttemptState::Unknown));
    assert!(!asked(1, AttemptState::NotSent));
    assert!(!asked(2, AttemptState::Answered));
}

impl Journal<'_> {
    fn kind(&self) -> Kind {
        match self {
            Self::Missing(_) => Kind::Missing,
            Self::NoAttempt => Kind::NoAttempt,
            Self::Closed => Kind::Closed,
            Self::NotSent => Kind::NotSent,
            Self::InFlight(_) => Kind::InFlight,
            Self::CoolingDown { .. } => Kind::CoolingDown,
            Self::Invalid(_) => Kind::Invalid,
        }
    }
}

#[derive(Debug)]
enum Kind {
    Missing,
    NoAttempt,
    Closed,
    NotSent,
    InFlight,
    CoolingDown,
    Invalid,
}
