use super::*;
use crate::{
    api::{Attempt, AttemptState, ClusterRedistributionStatus},
    protocol::annotations::{CREDENTIALS_SECRET, SUSPEND},
    testing::sample::{UID, at, attempt, attempted, fresh, spec},
};

const SECOND: Duration = Duration::from_secs(1);

struct Fixture {
    attempts: AttemptTracker,
    rules: Rules,
    start: Instant,
}

impl Fixture {
    fn new() -> Self {
        let regions = Regions::new(Some("cn-north-4"), &[], &[]).unwrap();
        let rules = Rules { require_not_after: false, hold_reverts: false, grace: 75 * SECOND, regions };
        Self { attempts: AttemptTracker::default(), rules, start: Instant::now() }
    }

    /// Decides `second` seconds after the start, as the controller does.
    fn step(&mut self, object: &ClusterRedistribution, second: u32) -> Step {
        let now = Now { wall: at(i64::from(second)), instant: self.start + second * SECOND };
        self.attempts.note(object, now.instant);
        decide(object, &self.attempts, &self.rules, now)
    }
}

fn annotated(key: &str, value: &str) -> ClusterRedistribution {
    let mut object = fresh(1);
    object.metadata.annotations = Some([(key.to_owned(), value.to_owned())].into());
    object
}

fn held(step: Step) -> Reason {
    match step {
        Step::Hold { reason, .. } => reason,
        other => panic!("expected a hold, got {other:?}"),
    }
}

#[test]
fn new_object_is_claimed_and_a_closed_one_is_done() {
    let mut fixture = Fixture::new();
    assert!(matches!(fixture.step(&fresh(1), 0), Step::Call(Plan { probe_first: false, .. })));
    for state in [AttemptState::Answered, AttemptState::Unknown] {
        assert_eq!(fixture.step(&attempted(1, attempt("a", 1, state)), 0), Step::Done);
    }
}

#[test]
fn object_being_deleted_is_done_in_every_state() {
    use AttemptState::{Answered, Claimed, NotSent, Unknown};
    let mut fixture = Fixture::new();
    for mut object in [fresh(1)]
        .into_iter()
        .chain([Claimed, Unknown, NotSent, Answered].map(|state| attempted(1, attempt("a", 1, state))))
    {
        object.metadata.deletion_timestamp = Some(crate::protocol::conditions::to_second(at(0)));
        assert_eq!(fixture.step(&object, 1000), Step::Done);
    }
}

#[test]
fn claim_expires_only_after_this_process_has_known_it_for_its_grace() {
    for generation in [1, 2] {
        let mut fixture = Fixture::new();
        let open = attempted(generation, attempt("a", 1, AttemptState::Claimed));
        assert_eq!(fixture.step(&open, 0), Step::Wait(75 * SECOND));
        assert_eq!(fixture.step(&open, 74), Step::Wait(SECOND));
        assert_eq!(fixture.step(&open, 75), Step::Expire { attempt_id: "a".to_owned() });
    }
}

#[test]
fn wait_is_the_larger_grace_and_the_longest_if_none_is_named() {
    let mut fixture = Fixture::new();
    let with = |seconds| attempted(1, Attempt { grace_seconds: seconds, ..attempt("a", 1, AttemptState::Claimed) });
    assert_eq!(fixture.step(&with(Some(5)), 0), Step::Wait(75 * SECOND));
    assert_eq!(fixture.step(&with(Some(200)), 0), Step::Wait(200 * SECOND));
    assert_eq!(fixture.step(&with(None), 0), Step::Wait(journal::MAX_GRACE));
}

#[test]
fn claim_with_a_live_task_never_expires() {
    let mut fixture = Fixture::new();
    fixture.attempts.task_started(UID, "a");
    let open = attempted(1, attempt("a", 1, AttemptState::Claimed));
    assert!(matches!(fixture.step(&open, 0), Step::Wait(_)));
    assert!(matches!(fixture.step(&open, 100_000), Step::Wait(_)));
    fixture.attempts.task_ended("a");
    assert!(matches!(fixture.step(&open, 100_001), Step::Expire { .. }));
}

#[test]
fn claim_abandoned_by_this_process_is_retracted_at_once() {
    let mut fixture = Fixture::new();
    fixture.attempts.abandon(UID, "a");
    assert_eq!(
        fixture.step(&attempted(1, attempt("a", 1, AttemptState::Claimed)), 0),
        Step::Retract { attempt_id: "a".to_owned() }
    );
    for (generation, state) in [(1, AttemptState::Unknown), (2, AttemptState::Unknown), (2, AttemptState::Claimed)] {
        let step = fixture.step(&attempted(generation, attempt("a", 1, state)), 0);
        assert_eq!(step, Step::Retract { attempt_id: "a".to_owned() }, "only this process can record it: {state:?}");
    }
    for state in [AttemptState::Answered, AttemptState::NotSent] {
        let mut known = attempt("a", 1, state);
        known.closed = Some(true);
        assert_eq!(fixture.step(&attempted(1, known), 0), Step::Done, "{state:?}");
    }
    let mut foreign = attempt("a", 1, AttemptState::Unknown);
    foreign.uid = "another".to_owned();
    assert_eq!(held(fixture.step(&attempted(1, foreign), 0)), Reason::JournalInvalid);
}

#[test]
fn next_generation_waits_only_for_the_grace_of_an_unknown_outcome() {
    use AttemptState::{Answered, NotSent, Unknown};
    let mut fixture = Fixture::new();
    let newer = attempted(2, attempt("a", 1, Unknown));
    assert_eq!(fixture.step(&newer, 0), Step::Wait(75 * SECOND));
    assert!(matches!(fixture.step(&newer, 75), Step::Call(_)));
    for state in [Answered, NotSent] {
        assert!(matches!(fixture.step(&attempted(2, attempt("b", 1, state)), 0), Step::Call(_)));
    }
}

#[test]
fn not_sent_is_retried_after_its_back_off_with_a_probe_first() {
    let mut fixture = Fixture::new();
    let not_sent = attempted(1, attempt("a", 1, AttemptState::NotSent));
    assert!(
        matches!(fixture.step(&not_sent, 0), Step::Call(Plan { probe_first: true, .. })),
        "no remembered attempt: a restart"
    );
    fixture.attempts.not_sent(UID, 1, 1.0, fixture.start);
    assert_eq!(fixture.step(&not_sent, 1), Step::Wait(SECOND));
    assert!(matches!(fixture.step(&not_sent, 2), Step::Call(_)));
    let mut edited = not_sent.clone();
    edited.metadata.generation = Some(2);
    assert!(
        matches!(fixture.step(&edited, 1), Step::Call(Plan { probe_first: false, .. })),
        "a new request does not wait"
    );
}

#[test]
fn open_attempt_is_resolved_before_any_hold_is_checked() {
    let mut fixture = Fixture::new();
    let mut open = attempted(2, attempt("a", 1, AttemptState::Claimed));
    open.metadata.annotations = Some([(SUSPEND.to_owned(), "maybe".to_owned())].into());
    assert!(matches!(fixture.step(&open, 0), Step::Wait(_)));
    assert!(matches!(fixture.step(&open, 75), Step::Expire { .. }));
}

#[test]
fn every_switch_fails_closed() {
    let mut fixture = Fixture::new();
    for (key, value) in [
        ("dws.huaweicloud.com/suspended", "true"),
        ("dws.huaweicloud.com/Suspend", "true"),
        ("dws.huaweicloud.com/not-afer", "2026-12-01T18:00:00Z"),
        (SUSPEND, "maybe"),
        (NOT_AFTER, "never"),
        (CREDENTIALS_SECRET, "A B"),
    ] {
        assert_eq!(held(fixture.step(&annotated(key, value), 0)), Reason::InvalidAnnotation, "{key}: {value}");
    }
}

#[test]
fn not_after_blocks_after_its_instant_and_if_required_but_absent() {
    let mut fixture = Fixture::new();
    let object = annotated(NOT_AFTER, &at(10).to_string());
    assert!(matches!(fixture.step(&object, 10), Step::Call(_)));
    assert_eq!(held(fixture.step(&object, 11)), Reason::Expired);
    fixture.rules.require_not_after = true;
    assert!(matches!(fixture.step(&object, 10), Step::Call(_)));
    assert_eq!(held(fixture.step(&fresh(1), 0)), Reason::NotAfterMissing);
}

#[test]
fn revert_is_held_only_with_the_flag_and_until_a_new_trigger() {
    let mut fixture = Fixture::new();
    let mut past = attempt("a", 1, AttemptState::Answered);
    past.spec_hash = Some(journal::spec_hash(&spec()));
    let mut object = attempted(2, past);
    assert!(matches!(fixture.step(&object, 0), Step::Call(_)));
    fixture.rules.hold_reverts = true;
    assert_eq!(held(fixture.step(&object, 0)), Reason::AskedBefore);
    object.spec.trigger = Some("again".to_owned());
    assert!(matches!(fixture.step(&object, 0), Step::Call(_)));
}

#[test]
fn region_that_is_not_allowed_is_held() {
    let mut fixture = Fixture::new();
    let mut object = fresh(1);
    object.spec.region = Some("cn-south-1".to_owned());
    assert_eq!(held(fixture.step(&object, 0)), Reason::RegionNotAllowed);
}

#[test]
fn holds_are_checked_in_a_fixed_order() {
    let mut fixture = Fixture::new();
    fixture.rules.hold_reverts = true;
    fixture.rules.require_not_after = true;
    let mut past = attempt("a", 1, AttemptState::Answered);
    let mut object = attempted(2, past.clone());
    object.spec.region = Some("cn-south-1".to_owned());
    past.spec_hash = Some(journal::spec_hash(&object.spec));
    object.status.as_mut().unwrap().attempt = Some(Box::new(past));
    object.metadata.annotations = Some([(SUSPEND.to_owned(), "maybe".to_owned())].into());
    assert_eq!(held(fixture.step(&object, 0)), Reason::InvalidAnnotation);
    object.metadata.annotations = None;
    assert_eq!(held(fixture.step(&object, 0)), Reason::AskedBefore);
    object.spec.trigger = Some("again".to_owned());
    assert_eq!(held(fixture.step(&object, 0)), Reason::NotAfterMissing);
    object.metadata.annotations =
        Some([(NOT_AFTER.to_owned(), at(-1).to_string()), (SUSPEND.to_owned(), "true".to_owned())].into());
    assert_eq!(held(fixture.step(&object, 0)), Reason::Expired);
    object.metadata.annotations =
        Some([(NOT_AFTER.to_owned(), at(9).to_string()), (SUSPEND.to_owned(), "true".to_owned())].into());
    assert_eq!(held(fixture.step(&object, 0)), Reason::RegionNotAllowed);
    object.spec.region = None;
    assert!(matches!(fixture.step(&object, 0), Step::Preview(_)));
}

#[test]
fn invalid_journal_is_held_with_its_cause() {
    let mut fixture = Fixture::new();
    let mut foreign = attempt("a", 1, AttemptState::Claimed);
    foreign.uid = "another".to_owned();
    match fixture.step(&attempted(1, foreign), 0) {
        Step::Hold { reason: Reason::JournalInvalid, message } => {
            assert!(message.contains("another object"), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn journal_without_the_sent_attempt_is_hidden() {
    let mut fixture = Fixture::new();
    fixture.attempts.sending(UID, 1, fixture.start);
    assert!(is_hidden(&fixture.step(&fresh(1), 0)));
    assert!(matches!(fixture.step(&fresh(2), 0), Step::Call(_)), "another generation");
    let earlier = attempted(1, attempt("a", 1, AttemptState::NotSent));
    assert!(is_hidden(&fixture.step(&earlier, 0)), "an attempt before the one that was sent");
    fixture.attempts.sending(UID, 1, fixture.start);
    fixture.attempts.not_sent(UID, 1, 0.0, fixture.start);
    assert!(matches!(fixture.step(&fresh(1), 10), Step::Call(_)), "proven not sent");
    assert!(matches!(fixture.step(&earlier, 10), Step::Call(_)), "proven not sent");
}

fn is_hidden(step: &Step) -> bool {
    matches!(step, Step::Hidden(_))
}

#[test]
fn hidden_status_is_never_written() {
    for status in [None, Some(ClusterRedistributionStatus::default())] {
        let mut object = fresh(1);
        object.status = status;
        assert!(is_hidden(&Fixture::new().step(&object, 0)));
    }
}

#[test]
fn retraction_waits_for_a_complete_status() {
    let mut fixture = Fixture::new();
    fixture.attempts.abandon(UID, "a");
    let whole = attempted(1, attempt("a", 1, AttemptState::Claimed));
    let mut pruned = whole.clone();
    pruned.status.as_mut().unwrap().conditions.clear();
    assert!(is_hidden(&fixture.step(&pruned, 0)));
    assert_eq!(fixture.step(&whole, 0), Step::Retract { attempt_id: "a".to_owned() });
}

#[test]
fn older_generation_without_ready_waits_for_the_longest_grace() {
    let mut fixture = Fixture::new();
    let mut object = fresh(2);
    object.status = Some(ClusterRedistributionStatus { observed_generation: Some(1), ..Default::default() });
    assert_eq!(fixture.step(&object, 0), Step::Wait(journal::MAX_GRACE));
    assert!(matches!(fixture.step(&object, 390), Step::Call(_)));
}

#[test]
fn generation_reported_as_invalid_is_done() {
    let mut fixture = Fixture::new();
    let mut foreign = attempt("a", 1, AttemptState::Claimed);
    foreign.uid = "another".to_owned();
    let mut object = attempted(1, foreign);
    object.status = crate::protocol::transitions::held(object.status.as_ref(), 1, Reason::JournalInvalid, "why", at(0));
    assert_eq!(fixture.step(&object, 0), Step::Done);
}

#[test]
fn report_of_an_invalid_journal_is_hidden_without_its_observed_generation() {
    let mut object = attempted(1, attempt("a", 1, AttemptState::Claimed));
    object.status = crate::protocol::transitions::held(object.status.as_ref(), 1, Reason::JournalInvalid, "why", at(0));
    assert_eq!(Fixture::new().step(&object, 0), Step::Done);
    object.status.as_mut().unwrap().observed_generation = Some(-1);
    assert!(is_hidden(&Fixture::new().step(&object, 0)));
}
