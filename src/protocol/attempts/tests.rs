use super::*;
use crate::{
    api::AttemptState,
    testing::sample::{UID, attempt, attempted, fresh},
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_first_sight_of_an_attempt_counts_however_often_it_is_seen() {
    let start = Instant::now();
    let mut attempts = AttemptTracker::default();
    let object = attempted(1, attempt("a", 1, AttemptState::Claimed));
    assert_eq!(attempts.known_for(UID, "a", start), Duration::ZERO);
    for second in 0..10 {
        attempts.note(&object, start + second * SECOND);
    }
    assert_eq!(attempts.known_for(UID, "a", start + 10 * SECOND), 10 * SECOND);
    attempts.note(&attempted(1, attempt("b", 1, AttemptState::Claimed)), start + 11 * SECOND);
    assert_eq!(attempts.known_for(UID, "b", start + 12 * SECOND), SECOND, "another attempt starts anew");
}

#[test]
fn an_unknown_outcome_is_remembered_beyond_its_own_generation() {
    let start = Instant::now();
    let mut attempts = AttemptTracker::default();
    attempts.note(&attempted(1, attempt("a", 1, AttemptState::Unknown)), start);
    attempts.note(&attempted(2, attempt("a", 1, AttemptState::Unknown)), start + 5 * SECOND);
    assert_eq!(attempts.known_for(UID, "a", start + 6 * SECOND), 6 * SECOND);
}

#[test]
fn a_claim_that_is_given_up_starts_the_quiet_period_and_does_not_end_it() {
    let start = Instant::now();
    let mut attempts = AttemptTracker::default();
    attempts.note(&attempted(1, attempt("a", 1, AttemptState::Claimed)), start);
    attempts.note(&attempted(1, attempt("a", 1, AttemptState::Unknown)), start + 9 * SECOND);
    attempts.note(&attempted(2, attempt("a", 1, AttemptState::Unknown)), start + 10 * SECOND);
    assert_eq!(attempts.known_for(UID, "a", start + 10 * SECOND), SECOND);
}

#[test]
fn what_is_answered_or_gone_is_forgotten() {
    let start = Instant::now();
    let mut attempts = AttemptTracker::default();
    attempts.note(&attempted(1, attempt("a", 1, AttemptState::Claimed)), start);
    attempts.note(&versioned(2, attempted(1, attempt("a", 1, AttemptState::Answered))), start);
    assert!(attempts.seen.is_empty());
    attempts.note(&attempted(1, attempt("a", 1, AttemptState::Claimed)), start);
    attempts.abandon(UID, "a");
    attempts.not_sent(UID, 1, 0.5, start);
    attempts.forget(UID);
    assert!(attempts.seen.is_empty() && attempts.abandoned.is_empty() && attempts.retries.is_empty());
    attempts.note(&fresh(1), start);
    assert!(attempts.seen.is_empty());
}

fn versioned(version: u64, mut object: ClusterRedistribution) -> ClusterRedistribution {
    object.metadata.resource_version = Some(version.to_string());
    object
}

#[test]
fn a_view_that_prunes_the_attempt_or_is_older_does_not_start_its_grace_anew() {
    let start = Instant::now();
    let mut attempts = AttemptTracker::default();
    let whole = versioned(10, attempted(1, attempt("a", 1, AttemptState::Claimed)));
    for second in 0..10 {
        attempts.note(&versioned(10, fresh(1)), start + second * SECOND);
        attempts.note(&whole, start + second * SECOND);
        attempts.note(&versioned(9, fresh(1)), start + second * SECOND);
    }
    assert_eq!(attempts.known_for(UID, "a", start + 10 * SECOND), 10 * SECOND);
    // Seen at a later version, it is known to be of that one too.
    attempts.note(&versioned(11, attempted(1, attempt("a", 1, AttemptState::Claimed))), start + 10 * SECOND);
    attempts.note(&versioned(11, fresh(1)), start + 10 * SECOND);
    assert_eq!(attempts.known_for(UID, "a", start + 11 * SECOND), 11 * SECOND);
    // What is gone at a newer one is gone, and what comes back is new.
    attempts.note(&versioned(12, fresh(1)), start + 11 * SECOND);
    attempts.note(&versioned(13, attempted(1, attempt("a", 1, AttemptState::Claimed))), start + 12 * SECOND);
    assert_eq!(attempts.known_for(UID, "a", start + 13 * SECOND), SECOND);
}

#[test]
fn what_stands_for_a_lost_attempt_is_forgotten_as_soon_as_it_is_not_seen() {
    let start = Instant::now();
    let mut attempts = AttemptTracker::default();
    let mut lost = versioned(10, fresh(2));
    lost.status = crate::protocol::transitions::held(
        None,
        1,
        crate::api::Reason::JournalInvalid,
        "why",
        crate::testing::sample::at(0),
    );
    attempts.note(&lost, start);
    attempts.note(&versioned(9, fresh(2)), start + SECOND);
    attempts.note(&lost, start + 2 * SECOND);
    assert_eq!(attempts.known_for(UID, "lost at generation 1", start + 3 * SECOND), SECOND);
}

#[test]
fn another_loss_is_waited_for_anew() {
    let start = Instant::now();
    let mut attempts = AttemptTracker::default();
    let lost_at = |generation| {
        let mut object = versioned(10, fresh(3));
        let reason = crate::api::Reason::JournalInvalid;
        object.status =
            crate::protocol::transitions::held(None, generation, reason, "why", crate::testing::sample::at(0));
        object
    };
    attempts.note(&lost_at(1), start);
    attempts.note(&lost_at(2), start + 390 * SECOND);
    let known = attempts.known_for(UID, "lost at generation 2", start + 391 * SECOND);
    assert_eq!(known, SECOND);
}

#[test]
fn what_was_sent_is_remembered_also_of_an_object_that_is_gone() {
    let mut attempts = AttemptTracker::default();
    attempts.sending(UID, 1, Instant::now());
    attempts.forget(UID);
    assert!(attempts.may_have_sent(UID, 1), "a selector may bring it back");
}

#[test]
fn a_state_that_differs_at_the_same_version_starts_the_grace_anew() {
    let start = Instant::now();
    let mut attempts = AttemptTracker::default();
    let mut pruned = attempt("a", 1, AttemptState::Claimed);
    pruned.state.clear();
    attempts.note(&versioned(10, attempted(1, pruned)), start);
    attempts.note(&versioned(10, attempted(1, attempt("a", 1, AttemptState::Claimed))), start + 5 * SECOND);
    assert_eq!(attempts.known_for(UID, "a", start + 6 * SECOND), SECOND, "a grace is only ever lengthened");
}

#[test]
fn tries_come_later_each_time_up_to_five_minutes_and_anew_for_a_new_generation() {
    let start = Instant::now();
    let mut attempts = AttemptTracker::default();
    let pauses: Vec<_> = (0..10).map(|_| attempts.not_sent(UID, 1, 1.0, start).as_secs()).collect();
    assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    assert_eq!(attempts.retry_in(UID, 1, start), Some(300 * SECOND));
    assert_eq!(attempts.retry_in(UID, 1, start + 300 * SECOND), None);
    assert_eq!(attempts.retry_in(UID, 2, start), None);
    assert_eq!(attempts.not_sent(UID, 2, 0.0, start), SECOND);
}

#[test]
fn the_last_claims_given_up_are_remembered_and_no_more_of_them_than_can_be_under_way() {
    let mut attempts = AttemptTracker::default();
    let claimed = |number: usize| attempted(1, attempt(&format!("a{number}"), 1, AttemptState::Claimed));
    for number in 0..=MAX_ABANDONED {
        attempts.abandon(UID, &format!("a{number}"));
    }
    assert!(attempts.to_retract(&claimed(0)).is_none());
    assert!((1..=MAX_ABANDONED).all(|number| attempts.to_retract(&claimed(number)).is_some()));
}

#[test]
fn dry_runs_of_a_hidden_object_come_later_each_time() {
    let (mut attempts, start) = (AttemptTracker::default(), Instant::now());
    assert!(!attempts.crd_was_outdated());
    assert_eq!(attempts.hidden(UID, start), (true, 10 * SECOND));
    assert!(attempts.crd_was_outdated(), "every claim is tried out from now on");
    let mut now = start;
    let mut pauses = Vec::new();
    for _ in 0..7 {
        let (is_new, wait) = attempts.hidden(UID, now);
        assert!(!is_new);
        pauses.push(wait.as_secs());
        now += wait;
        assert_eq!(attempts.hidden(UID, now), (false, Duration::ZERO), "due");
    }
    assert_eq!(pauses, [10, 20, 40, 80, 160, 300, 300]);
    attempts.whole(UID);
    assert_eq!(attempts.hidden_objects(), 0);
    assert!(attempts.crd_was_outdated(), "the process remembers it");
    assert!(attempts.hidden(UID, now).0);
    attempts.forget(UID);
    assert_eq!(attempts.hidden_objects(), 0);
}

#[test]
fn what_a_whole_list_does_not_show_as_pending_is_forgotten_but_for_what_lives_and_what_is_quiet_long_enough() {
    let (mut attempts, start) = (AttemptTracker::default(), Instant::now());
    let leave_behind = |attempts: &mut AttemptTracker| {
        attempts.note(&attempted(1, attempt("a", 1, AttemptState::Unknown)), start);
        attempts.abandon(UID, "a");
        let _ = attempts.hidden(UID, start);
        attempts.not_sent(UID, 1, 1.0, start);
        let watch = attempts.schedule.entry(UID, "a", SECOND, start);
        attempts.schedule.keep(UID, Scheduled { unmoved: 1, ..watch });
    };
    let unknown = attempted(1, attempt("a", 1, AttemptState::Unknown));
    let remembers = |attempts: &AttemptTracker, at| {
        let sights = attempts.known_for(UID, "a", at) > Duration::ZERO;
        let others = [
            attempts.to_retract(&unknown).is_some(),
            attempts.hidden_objects() == 1,
            attempts.retries.contains_key(UID),
            attempts.schedule.is_scheduled(UID),
        ];
        (sights, others)
    };
    leave_behind(&mut attempts);
    let (nobody, later) = (HashSet::new(), start + SECOND);
    attempts.keep_only(&[UID.to_owned()].into(), later);
    assert_eq!(remembers(&attempts, later), (true, [true; 4]), "it is pending");
    attempts.task_started(UID, "b");
    attempts.keep_only(&nobody, later);
    assert_eq!(remembers(&attempts, later), (true, [true; 4]), "its task lives");
    attempts.task_ended("b");
    attempts.keep_only(&nobody, later);
    assert_eq!(remembers(&attempts, later), (true, [false; 4]), "its next generation need not wait anew");
    attempts.keep_only(&nobody, start + REMEMBER_QUIET);
    assert_eq!(remembers(&attempts, later), (false, [false; 4]));
    attempts.sending(UID, 1, later);
    attempts.keep_only(&nobody, later);
    assert!(attempts.may_have_sent(UID, 1), "what was sent is remembered whatever a list shows");
}
