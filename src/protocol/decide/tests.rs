use super::*;
use crate::{
    api::{Attempt, AttemptState, ClusterRedistributionStatus},
    protocol::annotations::{CREDENTIALS_SECRET, SUSPEND},
    testing::sample::{UID, at, attempt, attempted, fresh, spec},
};

const SECOND: Duration = Duration::from_secs(1);

struct Bench {
    attempts: AttemptTracker,
    rules: Rules,
    start: Instant,
}

impl Bench {
    fn new() -> Self {
        let regions = Regions::new(Some("cn-north-4"), &[], &[]).unwrap();
        let rules =
            Rules { require_not_after: false, hold_reverts: false, grace: 75 * SECOND, regions, observe: false };
        Self { attempts: AttemptTracker::default(), rules, start: Instant::now() }
    }

    /// Looks at the object `second` seconds after the start, as the controller does.
    fn look(&mut self, object: &ClusterRedistribution, second: u32) -> Step {
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
fn a_fresh_object_is_claimed_and_a_closed_one_left_alone() {
    let mut bench = Bench::new();
    assert!(matches!(bench.look(&fresh(1), 0), Step::Call(Plan { probe_first: false, .. })));
    for state in [AttemptState::Answered, AttemptState::Unknown] {
        assert_eq!(bench.look(&attempted(1, attempt("a", 1, state)), 0), Step::Done);
    }
}

#[test]
fn an_object_that_is_being_deleted_is_left_alone_in_every_state() {
    use AttemptState::{Answered, Claimed, NotSent, Unknown};
    let mut bench = Bench::new();
    for mut object in [fresh(1)]
        .into_iter()
        .chain([Claimed, Unknown, NotSent, Answered].map(|state| attempted(1, attempt("a", 1, state))))
    {
        object.metadata.deletion_timestamp = Some(crate::protocol::conditions::to_second(at(0)));
        assert_eq!(bench.look(&object, 1000), Step::Done);
    }
}

#[test]
fn a_claim_nobody_finished_is_settled_only_after_this_process_has_seen_it_for_the_grace() {
    for generation in [1, 2] {
        let mut bench = Bench::new();
        let open = attempted(generation, attempt("a", 1, AttemptState::Claimed));
        assert_eq!(bench.look(&open, 0), Step::Wait(75 * SECOND));
        assert_eq!(bench.look(&open, 74), Step::Wait(SECOND));
        assert_eq!(bench.look(&open, 75), Step::Expire { attempt_id: "a".to_owned() });
    }
}

#[test]
fn the_larger_of_both_graces_is_waited_and_the_longest_if_none_is_named() {
    let mut bench = Bench::new();
    let with = |seconds| attempted(1, Attempt { grace_seconds: seconds, ..attempt("a", 1, AttemptState::Claimed) });
    assert_eq!(bench.look(&with(Some(5)), 0), Step::Wait(75 * SECOND));
    assert_eq!(bench.look(&with(Some(200)), 0), Step::Wait(200 * SECOND));
    assert_eq!(bench.look(&with(None), 0), Step::Wait(journal::MAX_GRACE));
}

#[test]
fn a_claim_whose_task_lives_here_is_never_settled() {
    let mut bench = Bench::new();
    bench.attempts.task_started(UID, "a");
    let open = attempted(1, attempt("a", 1, AttemptState::Claimed));
    assert!(matches!(bench.look(&open, 0), Step::Wait(_)));
    assert!(matches!(bench.look(&open, 100_000), Step::Wait(_)));
    bench.attempts.task_ended("a");
    assert!(matches!(bench.look(&open, 100_001), Step::Expire { .. }));
}

#[test]
fn a_claim_this_process_gave_up_is_recalled_at_once() {
    let mut bench = Bench::new();
    bench.attempts.abandon(UID, "a");
    assert_eq!(
        bench.look(&attempted(1, attempt("a", 1, AttemptState::Claimed)), 0),
        Step::Retract { attempt_id: "a".to_owned() }
    );
    for (generation, state) in [(1, AttemptState::Unknown), (2, AttemptState::Unknown), (2, AttemptState::Claimed)] {
        let step = bench.look(&attempted(generation, attempt("a", 1, state)), 0);
        assert_eq!(step, Step::Retract { attempt_id: "a".to_owned() }, "only this process can say it: {state:?}");
    }
    for state in [AttemptState::Answered, AttemptState::NotSent] {
        let mut known = attempt("a", 1, state);
        known.closed = Some(true);
        assert_eq!(bench.look(&attempted(1, known), 0), Step::Done, "{state:?}");
    }
    let mut foreign = attempt("a", 1, AttemptState::Unknown);
    foreign.uid = "another".to_owned();
    assert_eq!(held(bench.look(&attempted(1, foreign), 0)), Reason::JournalInvalid);
}

#[test]
fn the_next_generation_waits_for_the_grace_of_an_unknown_one_and_for_nothing_else() {
    use AttemptState::{Answered, NotSent, Unknown};
    let mut bench = Bench::new();
    let newer = attempted(2, attempt("a", 1, Unknown));
    assert_eq!(bench.look(&newer, 0), Step::Wait(75 * SECOND));
    assert!(matches!(bench.look(&newer, 75), Step::Call(_)));
    for state in [Answered, NotSent] {
        assert!(matches!(bench.look(&attempted(2, attempt("b", 1, state)), 0), Step::Call(_)));
    }
}

#[test]
fn not_sent_is_tried_again_after_its_pause_and_looks_for_the_endpoint_first() {
    let mut bench = Bench::new();
    let not_sent = attempted(1, attempt("a", 1, AttemptState::NotSent));
    assert!(
        matches!(bench.look(&not_sent, 0), Step::Call(Plan { probe_first: true, .. })),
        "nothing remembered: a restart"
    );
    bench.attempts.not_sent(UID, 1, 1.0, bench.start);
    assert_eq!(bench.look(&not_sent, 1), Step::Wait(SECOND));
    assert!(matches!(bench.look(&not_sent, 2), Step::Call(_)));
    let mut edited = not_sent.clone();
    edited.metadata.generation = Some(2);
    assert!(
        matches!(bench.look(&edited, 1), Step::Call(Plan { probe_first: false, .. })),
        "a new request does not wait"
    );
}

#[test]
fn what_is_open_is_settled_before_any_hold_is_weighed() {
    let mut bench = Bench::new();
    let mut open = attempted(2, attempt("a", 1, AttemptState::Claimed));
    open.metadata.annotations = Some([(SUSPEND.to_owned(), "maybe".to_owned())].into());
    assert!(matches!(bench.look(&open, 0), Step::Wait(_)));
    assert!(matches!(bench.look(&open, 75), Step::Expire { .. }));
}

#[test]
fn every_switch_fails_closed() {
    let mut bench = Bench::new();
    for (key, value) in [
        ("dws.huaweicloud.com/suspended", "true"),
        ("dws.huaweicloud.com/Suspend", "true"),
        ("dws.huaweicloud.com/not-afer", "2026-12-01T18:00:00Z"),
        (SUSPEND, "maybe"),
        (NOT_AFTER, "never"),
        (CREDENTIALS_SECRET, "A B"),
    ] {
        assert_eq!(held(bench.look(&annotated(key, value), 0)), Reason::InvalidAnnotation, "{key}: {value}");
    }
}

#[test]
fn not_after_holds_from_its_instant_on_and_its_absence_only_if_it_is_required() {
    let mut bench = Bench::new();
    let object = annotated(NOT_AFTER, &at(10).to_string());
    assert!(matches!(bench.look(&object, 10), Step::Call(_)));
    assert_eq!(held(bench.look(&object, 11)), Reason::Expired);
    bench.rules.require_not_after = true;
    assert!(matches!(bench.look(&object, 10), Step::Call(_)));
    assert_eq!(held(bench.look(&fresh(1), 0)), Reason::NotAfterMissing);
}

#[test]
fn a_revert_is_held_only_if_asked_for_and_a_new_trigger_frees_it() {
    let mut bench = Bench::new();
    let mut past = attempt("a", 1, AttemptState::Answered);
    past.spec_hash = Some(journal::spec_hash(&spec()));
    let mut object = attempted(2, past);
    assert!(matches!(bench.look(&object, 0), Step::Call(_)));
    bench.rules.hold_reverts = true;
    assert_eq!(held(bench.look(&object, 0)), Reason::AskedBefore);
    object.spec.trigger = Some("again".to_owned());
    assert!(matches!(bench.look(&object, 0), Step::Call(_)));
}

#[test]
fn a_region_that_is_not_allowed_is_held() {
    let mut bench = Bench::new();
    let mut object = fresh(1);
    object.spec.region = Some("cn-south-1".to_owned());
    assert_eq!(held(bench.look(&object, 0)), Reason::RegionNotAllowed);
}

#[test]
fn holds_are_weighed_in_a_fixed_order() {
    let mut bench = Bench::new();
    bench.rules.hold_reverts = true;
    bench.rules.require_not_after = true;
    let mut past = attempt("a", 1, AttemptState::Answered);
    let mut object = attempted(2, past.clone());
    object.spec.region = Some("cn-south-1".to_owned());
    past.spec_hash = Some(journal::spec_hash(&object.spec));
    object.status.as_mut().unwrap().attempt = Some(past);
    object.metadata.annotations = Some([(SUSPEND.to_owned(), "maybe".to_owned())].into());
    assert_eq!(held(bench.look(&object, 0)), Reason::InvalidAnnotation);
    object.metadata.annotations = None;
    assert_eq!(held(bench.look(&object, 0)), Reason::AskedBefore);
    object.spec.trigger = Some("again".to_owned());
    assert_eq!(held(bench.look(&object, 0)), Reason::NotAfterMissing);
    object.metadata.annotations =
        Some([(NOT_AFTER.to_owned(), at(-1).to_string()), (SUSPEND.to_owned(), "true".to_owned())].into());
    assert_eq!(held(bench.look(&object, 0)), Reason::Expired);
    object.metadata.annotations =
        Some([(NOT_AFTER.to_owned(), at(9).to_string()), (SUSPEND.to_owned(), "true".to_owned())].into());
    assert_eq!(held(bench.look(&object, 0)), Reason::RegionNotAllowed);
    object.spec.region = None;
    assert!(matches!(bench.look(&object, 0), Step::Preview(_)));
}

#[test]
fn an_invalid_journal_is_held_and_says_why() {
    let mut bench = Bench::new();
    let mut foreign = attempt("a", 1, AttemptState::Claimed);
    foreign.uid = "another".to_owned();
    match bench.look(&attempted(1, foreign), 0) {
        Step::Hold { reason: Reason::JournalInvalid, message } => {
            assert!(message.contains("another object"), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_journal_that_does_not_show_what_this_process_sent_is_not_believed() {
    let mut bench = Bench::new();
    bench.attempts.sending(UID, 1, bench.start);
    assert!(is_hidden(&bench.look(&fresh(1), 0)));
    assert!(matches!(bench.look(&fresh(2), 0), Step::Call(_)), "another generation");
    let earlier_try = attempted(1, attempt("a", 1, AttemptState::NotSent));
    assert!(is_hidden(&bench.look(&earlier_try, 0)), "a try before the one that was sent");
    bench.attempts.sending(UID, 1, bench.start);
    bench.attempts.not_sent(UID, 1, 0.0, bench.start);
    assert!(matches!(bench.look(&fresh(1), 10), Step::Call(_)), "proven not sent");
    assert!(matches!(bench.look(&earlier_try, 10), Step::Call(_)), "proven not sent");
}

#[test]
fn what_was_called_is_looked_at_only_with_observe_and_never_leads_to_anything_else() {
    let mut bench = Bench::new();
    let mut called = attempted(1, attempt("a", 1, AttemptState::Unknown));
    let status = called.status.as_mut().unwrap();
    status.attempt.as_mut().unwrap().baseline = Some(crate::api::Baseline::default());
    let _ = crate::protocol::conditions::set_at(&mut status.conditions, 1, Reason::OutcomeUnknown, "why", at(0));
    assert_eq!(bench.look(&called, 0), Step::Done);
    bench.rules.observe = true;
    assert_eq!(bench.look(&called, 0), Step::Observe(Stage::Settling));
    assert_eq!(bench.look(&called, 1_000_000), Step::Observe(Stage::Settling));
    assert_eq!(bench.look(&attempted(1, attempt("a", 1, AttemptState::Unknown)), 0), Step::Done, "without a baseline");
    let mut open = called.clone();
    open.status.as_mut().unwrap().attempt.as_mut().unwrap().state = "Claimed".to_owned();
    assert!(matches!(bench.look(&open, 0), Step::Wait(_)), "what is open is settled first");
    let mut newer = called.clone();
    newer.metadata.generation = Some(2);
    assert!(!matches!(bench.look(&newer, 1_000_000), Step::Observe(_)), "the next request is no look");
    called.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(0)));
    assert_eq!(bench.look(&called, 0), Step::Done);
}

fn is_hidden(step: &Step) -> bool {
    matches!(step, Step::Hidden(_))
}

#[test]
fn a_status_that_the_installed_crd_hides_is_never_written_upon() {
    for status in [None, Some(ClusterRedistributionStatus::default())] {
        let mut object = fresh(1);
        object.status = status;
        assert!(is_hidden(&Bench::new().look(&object, 0)));
    }
}

#[test]
fn a_retraction_waits_until_the_view_is_whole() {
    let mut bench = Bench::new();
    bench.attempts.abandon(UID, "a");
    let whole = attempted(1, attempt("a", 1, AttemptState::Claimed));
    let mut pruned = whole.clone();
    pruned.status.as_mut().unwrap().conditions.clear();
    assert!(is_hidden(&bench.look(&pruned, 0)));
    assert_eq!(bench.look(&whole, 0), Step::Retract { attempt_id: "a".to_owned() });
}

#[test]
fn an_older_observed_generation_without_ready_waits_for_the_longest_grace() {
    let mut bench = Bench::new();
    let mut object = fresh(2);
    object.status = Some(ClusterRedistributionStatus { observed_generation: Some(1), ..Default::default() });
    assert_eq!(bench.look(&object, 0), Step::Wait(journal::MAX_GRACE));
    assert!(matches!(bench.look(&object, 390), Step::Call(_)));
}

#[test]
fn a_generation_that_is_said_to_be_invalid_is_left_alone() {
    let mut bench = Bench::new();
    let mut foreign = attempt("a", 1, AttemptState::Claimed);
    foreign.uid = "another".to_owned();
    let mut object = attempted(1, foreign);
    object.status = crate::protocol::transitions::held(object.status.as_ref(), 1, Reason::JournalInvalid, "why", at(0));
    assert_eq!(bench.look(&object, 0), Step::Done);
}
