use super::*;
use crate::{
    api::AttemptState,
    testing::sample::{UID, attempt, attempted, fresh},
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_first_sight_of_an_attempt_counts_however_often_it_is_seen() {
    let start = Instant::now();
    let mut memory = Memory::default();
    let object = attempted(1, attempt("a", 1, AttemptState::Claimed));
    assert_eq!(memory.known_for(UID, "a", start), Duration::ZERO);
    for second in 0..10 {
        memory.note(&object, start + second * SECOND);
    }
    assert_eq!(memory.known_for(UID, "a", start + 10 * SECOND), 10 * SECOND);
    memory.note(&attempted(1, attempt("b", 1, AttemptState::Claimed)), start + 11 * SECOND);
    assert_eq!(memory.known_for(UID, "b", start + 12 * SECOND), SECOND, "another attempt starts anew");
}

#[test]
fn an_unknown_outcome_is_remembered_beyond_its_own_generation() {
    let start = Instant::now();
    let mut memory = Memory::default();
    memory.note(&attempted(1, attempt("a", 1, AttemptState::Unknown)), start);
    memory.note(&attempted(2, attempt("a", 1, AttemptState::Unknown)), start + 5 * SECOND);
    assert_eq!(memory.known_for(UID, "a", start + 6 * SECOND), 6 * SECOND);
}

#[test]
fn a_claim_that_is_given_up_starts_the_quiet_period_and_does_not_end_it() {
    let start = Instant::now();
    let mut memory = Memory::default();
    memory.note(&attempted(1, attempt("a", 1, AttemptState::Claimed)), start);
    memory.note(&attempted(1, attempt("a", 1, AttemptState::Unknown)), start + 9 * SECOND);
    memory.note(&attempted(2, attempt("a", 1, AttemptState::Unknown)), start + 10 * SECOND);
    assert_eq!(memory.known_for(UID, "a", start + 10 * SECOND), SECOND);
}

#[test]
fn what_is_answered_or_gone_is_forgotten() {
    let start = Instant::now();
    let mut memory = Memory::default();
    memory.note(&attempted(1, attempt("a", 1, AttemptState::Claimed)), start);
    memory.note(&versioned(2, attempted(1, attempt("a", 1, AttemptState::Answered))), start);
    assert!(memory.seen.is_empty());
    memory.note(&attempted(1, attempt("a", 1, AttemptState::Claimed)), start);
    memory.give_up(UID, "a");
    memory.not_sent(UID, 1, 0.5, start);
    memory.forget(UID);
    assert!(memory.seen.is_empty() && memory.given_up.is_empty() && memory.retries.is_empty());
    memory.note(&fresh(1), start);
    assert!(memory.seen.is_empty());
}

fn versioned(version: u64, mut object: ClusterRedistribution) -> ClusterRedistribution {
    object.metadata.resource_version = Some(version.to_string());
    object
}

#[test]
fn a_view_that_prunes_the_attempt_or_is_older_does_not_start_its_grace_anew() {
    let start = Instant::now();
    let mut memory = Memory::default();
    let whole = versioned(10, attempted(1, attempt("a", 1, AttemptState::Claimed)));
    for second in 0..10 {
        memory.note(&versioned(10, fresh(1)), start + second * SECOND);
        memory.note(&whole, start + second * SECOND);
        memory.note(&versioned(9, fresh(1)), start + second * SECOND);
    }
    assert_eq!(memory.known_for(UID, "a", start + 10 * SECOND), 10 * SECOND);
    // Seen at a later version, it is known to be of that one too.
    memory.note(&versioned(11, attempted(1, attempt("a", 1, AttemptState::Claimed))), start + 10 * SECOND);
    memory.note(&versioned(11, fresh(1)), start + 10 * SECOND);
    assert_eq!(memory.known_for(UID, "a", start + 11 * SECOND), 11 * SECOND);
    // What is gone at a newer one is gone, and what comes back is new.
    memory.note(&versioned(12, fresh(1)), start + 11 * SECOND);
    memory.note(&versioned(13, attempted(1, attempt("a", 1, AttemptState::Claimed))), start + 12 * SECOND);
    assert_eq!(memory.known_for(UID, "a", start + 13 * SECOND), SECOND);
}

#[test]
fn what_stands_for_a_lost_attempt_is_forgotten_as_soon_as_it_is_not_seen() {
    let start = Instant::now();
    let mut memory = Memory::default();
    let mut lost = versioned(10, fresh(2));
    lost.status = crate::protocol::transitions::held(
        None,
        1,
        crate::api::Reason::JournalInvalid,
        "why",
        crate::testing::sample::at(0),
    );
    memory.note(&lost, start);
    memory.note(&versioned(9, fresh(2)), start + SECOND);
    memory.note(&lost, start + 2 * SECOND);
    assert_eq!(memory.known_for(UID, "lost at generation 1", start + 3 * SECOND), SECOND);
}

#[test]
fn another_loss_is_waited_for_anew() {
    let start = Instant::now();
    let mut memory = Memory::default();
    let lost_at = |generation| {
        let mut object = versioned(10, fresh(3));
        let reason = crate::api::Reason::JournalInvalid;
        object.status =
            crate::protocol::transitions::held(None, generation, reason, "why", crate::testing::sample::at(0));
        object
    };
    memory.note(&lost_at(1), start);
    memory.note(&lost_at(2), start + 390 * SECOND);
    let known = memory.known_for(UID, "lost at generation 2", start + 391 * SECOND);
    assert_eq!(known, SECOND);
}

#[test]
fn what_was_sent_is_remembered_also_of_an_object_that_is_gone() {
    let mut memory = Memory::default();
    memory.sending(UID, 1, Instant::now());
    memory.forget(UID);
    assert!(memory.may_have_sent(UID, 1), "a selector may bring it back");
}

#[test]
fn a_state_that_differs_at_the_same_version_starts_the_grace_anew() {
    let start = Instant::now();
    let mut memory = Memory::default();
    let mut pruned = attempt("a", 1, AttemptState::Claimed);
    pruned.state.clear();
    memory.note(&versioned(10, attempted(1, pruned)), start);
    memory.note(&versioned(10, attempted(1, attempt("a", 1, AttemptState::Claimed))), start + 5 * SECOND);
    assert_eq!(memory.known_for(UID, "a", start + 6 * SECOND), SECOND, "a grace is only ever lengthened");
}

#[test]
fn tries_come_later_each_time_up_to_five_minutes_and_anew_for_a_new_generation() {
    let start = Instant::now();
    let mut memory = Memory::default();
    let pauses: Vec<_> = (0..10).map(|_| memory.not_sent(UID, 1, 1.0, start).as_secs()).collect();
    assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    assert_eq!(memory.retry_in(UID, 1, start), Some(300 * SECOND));
    assert_eq!(memory.retry_in(UID, 1, start + 300 * SECOND), None);
    assert_eq!(memory.retry_in(UID, 2, start), None);
    assert_eq!(memory.not_sent(UID, 2, 0.0, start), SECOND);
}

#[test]
fn the_last_claims_given_up_are_remembered_and_no_more_of_them_than_can_be_under_way() {
    let mut memory = Memory::default();
    let claimed = |number: usize| attempted(1, attempt(&format!("a{number}"), 1, AttemptState::Claimed));
    for number in 0..=MOST_GIVEN_UP {
        memory.give_up(UID, &format!("a{number}"));
    }
    assert!(memory.to_recall(&claimed(0)).is_none());
    assert!((1..=MOST_GIVEN_UP).all(|number| memory.to_recall(&claimed(number)).is_some()));
}

#[test]
fn dry_runs_of_a_hidden_object_come_later_each_time() {
    let (mut memory, start) = (Memory::default(), Instant::now());
    assert!(!memory.crd_was_outdated());
    assert_eq!(memory.hidden(UID, start), (true, 10 * SECOND));
    assert!(memory.crd_was_outdated(), "every claim is tried out from now on");
    let mut now = start;
    let mut pauses = Vec::new();
    for _ in 0..7 {
        let (is_new, wait) = memory.hidden(UID, now);
        assert!(!is_new);
        pauses.push(wait.as_secs());
        now += wait;
        assert_eq!(memory.hidden(UID, now), (false, Duration::ZERO), "due");
    }
    assert_eq!(pauses, [10, 20, 40, 80, 160, 300, 300]);
    memory.whole(UID);
    assert_eq!(memory.hidden_objects(), 0);
    assert!(memory.crd_was_outdated(), "the process remembers it");
    assert!(memory.hidden(UID, now).0);
    memory.forget(UID);
    assert_eq!(memory.hidden_objects(), 0);
}

#[test]
fn what_a_whole_list_does_not_show_as_pending_is_forgotten_but_for_what_lives_and_what_is_quiet_long_enough() {
    let (mut memory, start) = (Memory::default(), Instant::now());
    let leave_behind = |memory: &mut Memory| {
        memory.note(&attempted(1, attempt("a", 1, AttemptState::Unknown)), start);
        memory.give_up(UID, "a");
        let _ = memory.hidden(UID, start);
        memory.not_sent(UID, 1, 1.0, start);
        let watch = memory.watches.of(UID, "a", SECOND, start);
        memory.watches.keep(UID, Watch { unmoved: 1, ..watch });
    };
    let unknown = attempted(1, attempt("a", 1, AttemptState::Unknown));
    let remembers = |memory: &Memory, at| {
        let sights = memory.known_for(UID, "a", at) > Duration::ZERO;
        let others = [
            memory.to_recall(&unknown).is_some(),
            memory.hidden_objects() == 1,
            memory.retries.contains_key(UID),
            memory.watches.is_watched(UID),
        ];
        (sights, others)
    };
    leave_behind(&mut memory);
    let (nobody, later) = (HashSet::new(), start + SECOND);
    memory.keep_only(&[UID.to_owned()].into(), later);
    assert_eq!(remembers(&memory, later), (true, [true; 4]), "it is pending");
    memory.task_started(UID, "b");
    memory.keep_only(&nobody, later);
    assert_eq!(remembers(&memory, later), (true, [true; 4]), "its task lives");
    memory.task_ended("b");
    memory.keep_only(&nobody, later);
    assert_eq!(remembers(&memory, later), (true, [false; 4]), "its next generation need not wait anew");
    memory.keep_only(&nobody, start + REMEMBER_QUIET);
    assert_eq!(remembers(&memory, later), (false, [false; 4]));
    memory.sending(UID, 1, later);
    memory.keep_only(&nobody, later);
    assert!(memory.may_have_sent(UID, 1), "what was sent is remembered whatever a list shows");
}
