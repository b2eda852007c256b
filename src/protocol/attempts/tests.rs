use super::*;
use crate::{
    api::AttemptState,
    testing::sample::{UID, attempt, attempted, fresh},
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn grace_counts_from_the_first_read_of_an_attempt() {
    let start = Instant::now();
    let mut attempts = AttemptTracker::default();
    let object = attempted(1, attempt("a", 1, AttemptState::Claimed));
    assert_eq!(attempts.known_for(UID, "a", start), Duration::ZERO);
    for second in 0..10 {
        attempts.note(&object, start + second * SECOND);
    }
    assert_eq!(attempts.known_for(UID, "a", start + 10 * SECOND), 10 * SECOND);
    attempts.note(&attempted(1, attempt("b", 1, AttemptState::Claimed)), start + 11 * SECOND);
    assert_eq!(attempts.known_for(UID, "b", start + 12 * SECOND), SECOND, "another attempt has a grace of its own");
}

#[test]
fn unknown_outcome_is_remembered_beyond_its_generation() {
    let start = Instant::now();
    let mut attempts = AttemptTracker::default();
    attempts.note(&attempted(1, attempt("a", 1, AttemptState::Unknown)), start);
    attempts.note(&attempted(2, attempt("a", 1, AttemptState::Unknown)), start + 5 * SECOND);
    assert_eq!(attempts.known_for(UID, "a", start + 6 * SECOND), 6 * SECOND);
}

#[test]
fn expired_claim_starts_the_cool_down() {
    let start = Instant::now();
    let mut attempts = AttemptTracker::default();
    attempts.note(&attempted(1, attempt("a", 1, AttemptState::Claimed)), start);
    attempts.note(&attempted(1, attempt("a", 1, AttemptState::Unknown)), start + 9 * SECOND);
    attempts.note(&attempted(2, attempt("a", 1, AttemptState::Unknown)), start + 10 * SECOND);
    assert_eq!(attempts.known_for(UID, "a", start + 10 * SECOND), SECOND);
}

#[test]
fn answered_or_deleted_object_is_forgotten() {
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
fn pruned_or_older_read_does_not_restart_the_grace() {
    let start = Instant::now();
    let mut attempts = AttemptTracker::default();
    let whole = versioned(10, attempted(1, attempt("a", 1, AttemptState::Claimed)));
    for second in 0..10 {
        attempts.note(&versioned(10, fresh(1)), start + second * SECOND);
        attempts.note(&whole, start + second * SECOND);
        attempts.note(&versioned(9, fresh(1)), start + second * SECOND);
    }
    assert_eq!(attempts.known_for(UID, "a", start + 10 * SECOND), 10 * SECOND);
    // An attempt read at a later version is known to be in that version too.
    attempts.note(&versioned(11, attempted(1, attempt("a", 1, AttemptState::Claimed))), start + 10 * SECOND);
    attempts.note(&versioned(11, fresh(1)), start + 10 * SECOND);
    assert_eq!(attempts.known_for(UID, "a", start + 11 * SECOND), 11 * SECOND);
    // An attempt absent from a newer version is gone; if it comes back, it counts as new.
    attempts.note(&versioned(12, fresh(1)), start + 11 * SECOND);
    attempts.note(&versioned(13, attempted(1, attempt("a", 1, AttemptState::Claimed))), start + 12 * SECOND);
    assert_eq!(attempts.known_for(UID, "a", start + 13 * SECOND), SECOND);
}

#[test]
fn key_of_a_lost_attempt_is_forgotten_once_a_read_lacks_it() {
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
fn second_loss_restarts_the_wait() {
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
fn sent_generation_is_remembered_after_the_object_is_gone() {
    let mut attempts = AttemptTracker::default();
    attempts.sending(UID, 1, Instant::now());
    attempts.forget(UID);
    assert!(attempts.may_have_sent(UID, 1), "a selector may bring it back");
}

#[test]
fn different_state_at_the_same_version_restarts_the_grace() {
    let start = Instant::now();
    let mut attempts = AttemptTracker::default();
    let mut pruned = attempt("a", 1, AttemptState::Claimed);
    pruned.state.clear();
    attempts.note(&versioned(10, attempted(1, pruned)), start);
    attempts.note(&versioned(10, attempted(1, attempt("a", 1, AttemptState::Claimed))), start + 5 * SECOND);
    assert_eq!(attempts.known_for(UID, "a", start + 6 * SECOND), SECOND, "a grace is only ever lengthened");
}

#[test]
fn back_off_doubles_up_to_five_minutes_and_restarts_per_generation() {
    let start = Instant::now();
    let mut attempts = AttemptTracker::default();
    let mut pauses = Vec::new();
    for _ in 0..10 {
        attempts.not_sent(UID, 1, 1.0, start);
        pauses.push(attempts.retry_in(UID, 1, start).unwrap().as_secs());
    }
    assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    assert_eq!(attempts.retry_in(UID, 1, start), Some(300 * SECOND));
    assert_eq!(attempts.retry_in(UID, 1, start + 300 * SECOND), None);
    assert_eq!(attempts.retry_in(UID, 2, start), None);
    attempts.not_sent(UID, 2, 0.0, start);
    assert_eq!(attempts.retry_in(UID, 2, start), Some(SECOND));
}

#[test]
fn only_the_last_abandoned_claims_are_remembered() {
    let mut attempts = AttemptTracker::default();
    let claimed = |number: usize| attempted(1, attempt(&format!("a{number}"), 1, AttemptState::Claimed));
    for number in 0..=MAX_ABANDONED {
        attempts.abandon(UID, &format!("a{number}"));
    }
    assert!(attempts.to_retract(&claimed(0)).is_none());
    assert!((1..=MAX_ABANDONED).all(|number| attempts.to_retract(&claimed(number)).is_some()));
}

#[test]
fn dry_run_pause_doubles_for_a_hidden_object() {
    let (mut attempts, start) = (AttemptTracker::default(), Instant::now());
    assert!(!attempts.crd_was_outdated());
    assert_eq!(attempts.hidden(UID, start), (true, 10 * SECOND));
    assert!(attempts.crd_was_outdated(), "every claim is preceded by a dry run from now on");
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
fn keep_only_drops_all_but_pending_live_and_cooled_down_objects() {
    let (mut attempts, start) = (AttemptTracker::default(), Instant::now());
    let fill = |attempts: &mut AttemptTracker| {
        attempts.note(&attempted(1, attempt("a", 1, AttemptState::Unknown)), start);
        attempts.abandon(UID, "a");
        let _ = attempts.hidden(UID, start);
        attempts.not_sent(UID, 1, 1.0, start);
    };
    let unknown = attempted(1, attempt("a", 1, AttemptState::Unknown));
    let remembers = |attempts: &AttemptTracker, at| {
        let is_known = attempts.known_for(UID, "a", at) > Duration::ZERO;
        let others = [
            attempts.to_retract(&unknown).is_some(),
            attempts.hidden_objects() == 1,
            attempts.retries.contains_key(UID),
        ];
        (is_known, others)
    };
    fill(&mut attempts);
    let (none, later) = (HashSet::new(), start + SECOND);
    attempts.keep_only(&[UID.to_owned()].into(), later);
    assert_eq!(remembers(&attempts, later), (true, [true; 3]), "it is pending");
    attempts.task_started(UID, "b");
    attempts.keep_only(&none, later);
    assert_eq!(remembers(&attempts, later), (true, [true; 3]), "its task is running");
    attempts.task_ended("b");
    attempts.keep_only(&none, later);
    assert_eq!(remembers(&attempts, later), (true, [false; 3]), "its next generation need not wait again");
    attempts.keep_only(&none, start + REMEMBER_COOLED_DOWN);
    assert_eq!(remembers(&attempts, later), (false, [false; 3]));
    attempts.sending(UID, 1, later);
    attempts.keep_only(&none, later);
    assert!(attempts.may_have_sent(UID, 1), "a sent generation is remembered whatever a list shows");
}
