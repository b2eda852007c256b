use super::*;
use crate::{
    admission::{
        keys::{FORGET_KEY_AFTER, FORGET_REFUSED_AFTER},
        request::Rejection,
    },
    testing::mock,
};

const SECOND: Duration = Duration::from_secs(1);

fn candidate(number: usize, key: u8) -> Candidate {
    mock::candidate(&format!("object-{number}"), &format!("cluster-{number}"), key)
}

fn prove_key(core: &mut Core, key: u8, now: Instant) {
    let first = candidate(usize::MAX, key);
    core.enter(&first, false, now).unwrap();
    core.leave(&first, Some(KeyEffect::Good), now);
}

#[test]
fn a_cluster_never_has_two_calls_and_the_second_is_woken() {
    let now = Instant::now();
    let mut core = Core::new(8, 0.0);
    prove_key(&mut core, 1, now);
    let first = candidate(1, 1);
    let second = Candidate { object: ("other".to_owned(), "same-cluster".to_owned()), ..first.clone() };
    core.enter(&first, false, now).unwrap();
    assert_eq!(core.enter(&second, false, now), Err(Refusal::AnotherCall { by: first.object.clone() }));
    assert_eq!(core.leave(&first, Some(KeyEffect::Good), now), std::slice::from_ref(&second.object));
    core.enter(&second, false, now).unwrap();
}

#[test]
fn calls_in_flight_never_exceed_the_concurrency() {
    let now = Instant::now();
    let mut core = Core::new(3, 0.0);
    prove_key(&mut core, 1, now);
    for number in 0..3 {
        core.enter(&candidate(number, 1), false, now).unwrap();
    }
    assert_eq!(core.enter(&candidate(3, 1), false, now), Err(Refusal::Slot { wait: None }));
    assert_eq!(core.in_flight(), 3);
    assert_eq!(core.leave(&candidate(0, 1), None, now), [candidate(3, 1).object]);
    core.enter(&candidate(3, 1), false, now).unwrap();
}

#[test]
fn a_key_without_an_answer_yet_gets_one_call() {
    let now = Instant::now();
    let mut core = Core::new(8, 0.0);
    core.enter(&candidate(1, 1), false, now).unwrap();
    assert_eq!(core.enter(&candidate(2, 1), false, now), Err(Refusal::Slot { wait: None }));
    core.enter(&candidate(3, 2), false, now).unwrap();
    // Neither of these is an answer.
    core.leave(&candidate(1, 1), None, now);
    core.enter(&candidate(2, 1), false, now).unwrap();
    assert!(core.enter(&candidate(1, 1), false, now).is_err());
    core.leave(&candidate(2, 1), Some(KeyEffect::Good), now);
    core.enter(&candidate(1, 1), false, now).unwrap();
    core.enter(&candidate(2, 1), false, now).unwrap();
}

#[test]
fn a_wrong_key_costs_one_call_and_is_never_used_again() {
    let now = Instant::now();
    let mut core = Core::new(8, 0.0);
    core.enter(&candidate(0, 1), false, now).unwrap();
    core.leave(&candidate(0, 1), Some(KeyEffect::RejectedByGateway), now);
    for hours in [0, 1, 1000] {
        let later = now + 3600 * hours * SECOND;
        assert_eq!(
            core.enter(&candidate(1, 1), false, later),
            Err(Refusal::Rejected { why: Rejection::Wrong, wait: None })
        );
        core.enter(&candidate(2, 2), false, later).unwrap();
        core.leave(&candidate(2, 2), Some(KeyEffect::Good), later);
    }
}

#[test]
fn a_key_that_worked_before_is_tried_by_one_object_after_five_minutes() {
    let now = Instant::now();
    let mut core = Core::new(8, 0.0);
    prove_key(&mut core, 1, now);
    core.enter(&candidate(0, 1), false, now).unwrap();
    core.leave(&candidate(0, 1), Some(KeyEffect::RejectedByGateway), now);
    assert_eq!(
        core.enter(&candidate(1, 1), false, now + 299 * SECOND),
        Err(Refusal::Rejected { why: Rejection::WorkedBefore, wait: Some(SECOND) })
    );
    let later = now + 300 * SECOND;
    core.enter(&candidate(1, 1), false, later).unwrap();
    assert!(matches!(core.enter(&candidate(2, 1), false, later), Err(Refusal::Rejected { .. })));
    core.leave(&candidate(1, 1), Some(KeyEffect::RejectedByGateway), later);
    assert!(matches!(core.enter(&candidate(2, 1), false, later + 299 * SECOND), Err(Refusal::Rejected { .. })));
    core.enter(&candidate(2, 1), false, later + 300 * SECOND).unwrap();
    core.leave(&candidate(2, 1), Some(KeyEffect::Good), later);
    core.enter(&candidate(3, 1), false, later).unwrap();
}

#[test]
fn a_key_refused_for_the_clock_is_tried_by_one_after_five_minutes() {
    let now = Instant::now();
    let mut core = Core::new(8, 0.0);
    core.enter(&candidate(0, 1), false, now).unwrap();
    core.leave(&candidate(0, 1), Some(KeyEffect::ClockSkew), now);
    assert!(matches!(
        core.enter(&candidate(1, 1), false, now),
        Err(Refusal::Rejected { why: Rejection::Clock, wait: Some(_) })
    ));
    core.enter(&candidate(1, 1), false, now + 300 * SECOND).unwrap();
}

#[test]
fn a_429_makes_all_objects_of_that_key_wait_and_no_others() {
    let now = Instant::now();
    let mut core = Core::new(8, 0.0);
    core.enter(&candidate(0, 1), false, now).unwrap();
    core.leave(&candidate(0, 1), Some(KeyEffect::Throttled(30 * SECOND)), now);
    assert_eq!(
        core.enter(&candidate(1, 1), false, now + 10 * SECOND),
        Err(Refusal::Throttled { wait: 20 * SECOND, behind: Duration::ZERO })
    );
    core.enter(&candidate(2, 2), false, now + 10 * SECOND).unwrap();
    core.enter(&candidate(1, 1), false, now + 30 * SECOND).unwrap();
}

#[test]
fn the_rate_limit_applies_to_each_key_separately() {
    let now = Instant::now();
    let mut core = Core::new(100, 5.0);
    prove_key(&mut core, 1, now);
    let mut admitted = 0;
    for step in 0..1000 {
        let time = now + Duration::from_millis(200) + step * Duration::from_millis(10);
        if core.enter(&candidate(admitted, 1), false, time).is_ok() {
            core.leave(&candidate(admitted, 1), Some(KeyEffect::Good), time);
            admitted += 1;
        }
    }
    assert_eq!(admitted, 50, "5 a second for 10 seconds");
    core.enter(&candidate(9999, 2), false, now + Duration::from_millis(201)).unwrap();
}

#[test]
fn an_unreachable_endpoint_gets_one_probe_at_a_time_with_back_off() {
    let now = Instant::now();
    let mut core = Core::new(8, 0.0);
    assert_eq!(core.health("a", false, now), Health::Open);
    core.unreachable("a", now);
    assert_eq!(core.health("a", false, now), Health::Wait(2 * SECOND));
    assert_eq!(core.health("b", false, now), Health::Open, "only the endpoint that failed");
    assert_eq!(core.health("a", false, now + 2 * SECOND), Health::Probe);
    assert!(matches!(core.health("a", false, now + 2 * SECOND), Health::Wait(_)), "another one is probing");
    let pauses: Vec<_> = (0..7).map(|_| core.unreachable("a", now).as_secs()).collect();
    assert_eq!(pauses, [4, 8, 16, 32, 60, 60, 60]);
    core.wait(&("team".to_owned(), "x".to_owned()));
    assert_eq!(core.reachable("a").len(), 1);
    assert_eq!(core.health("a", false, now), Health::Open);
}

#[test]
fn a_suspect_object_probes_its_endpoint_even_after_a_restart() {
    let now = Instant::now();
    let mut core = Core::new(8, 0.0);
    assert_eq!(core.health("a", true, now), Health::Probe);
    assert!(matches!(core.health("a", true, now), Health::Probing(_)), "nothing is known against it yet");
    assert!(matches!(core.health("a", false, now), Health::Probing(_)));
    core.unreachable("a", now);
    assert!(matches!(core.health("a", false, now), Health::Wait(_)), "now a failure is known");
}

#[test]
fn a_waiting_object_is_woken_once() {
    let now = Instant::now();
    let mut core = Core::new(1, 0.0);
    core.enter(&candidate(0, 1), false, now).unwrap();
    for _ in 0..5 {
        assert!(core.enter(&candidate(1, 1), false, now).is_err());
    }
    assert_eq!(core.leave(&candidate(0, 1), None, now).len(), 1);
    core.enter(&candidate(1, 1), false, now).unwrap();
    assert!(core.leave(&candidate(1, 1), None, now).is_empty());
}

#[test]
fn unused_keys_expire_and_refused_keys_only_after_a_day_without_use() {
    let now = Instant::now();
    let mut core = Core::new(8, 0.0);
    for key in 0..100 {
        prove_key(&mut core, key, now);
    }
    core.enter(&candidate(0, 200), false, now).unwrap();
    core.leave(&candidate(0, 200), Some(KeyEffect::RejectedByGateway), now);
    // A waiting object asks again and again.
    for half in 1..=4 {
        let later = now + FORGET_REFUSED_AFTER * half / 2;
        assert!(core.enter(&candidate(0, 200), false, later).is_err());
        prove_key(&mut core, 201, later);
    }
    assert_eq!(core.keys.len(), 2);
    let last = now + FORGET_REFUSED_AFTER * 2;
    prove_key(&mut core, 202, last + 2 * FORGET_KEY_AFTER);
    assert_eq!(core.keys.len(), 2, "the other proven key is forgotten");
    prove_key(&mut core, 202, last + FORGET_REFUSED_AFTER);
    assert_eq!(core.keys.len(), 1);
}

#[test]
fn a_release_wakes_one_of_its_cluster_and_as_many_as_could_enter() {
    let now = Instant::now();
    let mut core = Core::new(2, 0.0);
    prove_key(&mut core, 1, now);
    let (first, second) = (candidate(1, 1), candidate(2, 1));
    core.enter(&first, false, now).unwrap();
    core.enter(&second, false, now).unwrap();
    for number in 10..15 {
        let same_cluster = Candidate { object: ("team".to_owned(), format!("same-cluster-{number}")), ..first.clone() };
        assert!(matches!(core.enter(&same_cluster, false, now), Err(Refusal::AnotherCall { .. })));
        assert!(matches!(core.enter(&candidate(number, 1), false, now), Err(Refusal::Slot { .. })));
    }
    let names = |woken: Vec<ObjectName>| woken.into_iter().map(|(_, name)| name).collect::<Vec<_>>();
    assert_eq!(names(core.leave(&second, None, now)), ["object-10", "object-11"]);
    assert_eq!(
        names(core.leave(&first, None, now)),
        ["same-cluster-10"],
        "two woken objects are due for the two permits"
    );
    core.enter(&candidate(10, 1), true, now).unwrap();
    core.enter(&candidate(11, 1), true, now).unwrap();
    assert_eq!(names(core.leave(&candidate(10, 1), None, now)), ["object-12", "object-13"]);
}

#[test]
fn objects_that_wait_for_the_trial_of_a_refused_key_are_woken_by_its_end() {
    let now = Instant::now();
    let mut core = Core::new(8, 0.0);
    prove_key(&mut core, 1, now);
    core.enter(&candidate(0, 1), false, now).unwrap();
    core.leave(&candidate(0, 1), Some(KeyEffect::RejectedByGateway), now);
    let later = now + 300 * SECOND;
    core.enter(&candidate(1, 1), false, later).unwrap();
    for number in 2..5 {
        let refusal = core.enter(&candidate(number, 1), false, later);
        assert_eq!(refusal, Err(Refusal::Rejected { why: Rejection::WorkedBefore, wait: None }), "no polling");
    }
    core.enter(&candidate(9, 2), false, later).unwrap();
    assert!(core.leave(&candidate(9, 2), None, later).is_empty(), "the outcome of other keys does not concern them");
    assert_eq!(core.leave(&candidate(1, 1), Some(KeyEffect::Good), later).len(), 3);
}

#[test]
fn a_locked_key_is_tried_again_by_one_object_even_if_it_never_worked() {
    let now = Instant::now();
    let mut core = Core::new(8, 0.0);
    core.enter(&candidate(0, 1), false, now).unwrap();
    core.leave(&candidate(0, 1), Some(KeyEffect::LockedByGateway), now);
    assert!(matches!(
        core.enter(&candidate(1, 1), false, now),
        Err(Refusal::Rejected { why: Rejection::Locked, wait: Some(_) })
    ));
    let later = now + 300 * SECOND;
    core.enter(&candidate(1, 1), false, later).unwrap();
    core.leave(&candidate(1, 1), Some(KeyEffect::RejectedByGateway), later);
    let for_good = core.enter(&candidate(2, 1), false, later + 3600 * SECOND);
    assert_eq!(for_good, Err(Refusal::Rejected { why: Rejection::Wrong, wait: None }), "wrong, and not only locked");
}

#[test]
fn a_neutral_answer_ends_no_trial_and_clears_no_refusal() {
    let now = Instant::now();
    let mut core = Core::new(8, 0.0);
    for effect in [KeyEffect::Neutral, KeyEffect::Throttled(Duration::ZERO)] {
        core.enter(&candidate(0, 1), false, now).unwrap();
        core.leave(&candidate(0, 1), Some(effect), now);
        core.enter(&candidate(1, 1), false, now).unwrap();
        let refusal = core.enter(&candidate(2, 1), false, now).unwrap_err();
        assert!(matches!(refusal, Refusal::Slot { .. }), "{effect:?}: one at a time, and not {refusal:?}");
        // Otherwise its place in the queue would block the next ones.
        core.forget(&candidate(2, 1).object, now);
        core.leave(&candidate(1, 1), None, now);
    }
    core.enter(&candidate(0, 1), false, now).unwrap();
    core.leave(&candidate(0, 1), Some(KeyEffect::ClockSkew), now);
    let later = now + 300 * SECOND;
    core.enter(&candidate(1, 1), false, later).unwrap();
    core.enter(&candidate(3, 2), false, later).unwrap();
    core.leave(&candidate(1, 1), Some(KeyEffect::Neutral), later);
    core.enter(&candidate(1, 1), false, later).unwrap();
    assert!(matches!(core.enter(&candidate(2, 1), false, later), Err(Refusal::Rejected { .. })), "still on trial");
}

#[test]
fn of_two_429_windows_the_longer_one_applies() {
    let now = Instant::now();
    let mut core = Core::new(8, 0.0);
    prove_key(&mut core, 1, now);
    core.enter(&candidate(0, 1), false, now).unwrap();
    core.enter(&candidate(1, 1), false, now).unwrap();
    core.leave(&candidate(0, 1), Some(KeyEffect::Throttled(30 * SECOND)), now);
    core.leave(&candidate(1, 1), Some(KeyEffect::Throttled(SECOND)), now);
    assert_eq!(
        core.enter(&candidate(2, 1), false, now + SECOND),
        Err(Refusal::Throttled { wait: 29 * SECOND, behind: Duration::ZERO })
    );
}

#[test]
fn a_request_in_addition_to_the_call_counts_in_the_rate_limit() {
    let now = Instant::now();
    let mut core = Core::new(8, 1.0);
    prove_key(&mut core, 1, now);
    let later = now + 10 * SECOND;
    core.enter(&candidate(0, 1), false, later).unwrap();
    core.spend(candidate(0, 1).key, later);
    let wait = Some(core.interval * 2);
    assert_eq!(core.enter(&candidate(1, 1), false, later), Err(Refusal::Slot { wait }));
}

#[test]
fn an_ended_token_puts_the_next_on_trial_and_refused_ones_back_off() {
    let now = Instant::now();
    let mut core = Core::new(8, 0.0);
    prove_key(&mut core, 1, now);
    core.enter(&candidate(1, 1), false, now).unwrap();
    core.leave(&candidate(1, 1), Some(KeyEffect::TokenEnded), now);
    core.enter(&candidate(2, 1), false, now).unwrap();
    assert_eq!(core.enter(&candidate(3, 1), false, now), Err(Refusal::Slot { wait: None }));
    core.leave(&candidate(2, 1), Some(KeyEffect::TokenRefused), now);
    let refusal = Refusal::Rejected { why: Rejection::Token, wait: Some(Duration::from_secs(300)) };
    assert_eq!(core.enter(&candidate(3, 1), false, now), Err(refusal));
    let later = now + Duration::from_secs(300);
    core.enter(&candidate(3, 1), false, later).unwrap();
    assert_eq!(
        core.enter(&candidate(2, 1), false, later),
        Err(Refusal::Rejected { why: Rejection::Token, wait: None })
    );
    core.leave(&candidate(3, 1), Some(KeyEffect::Good), later);
    core.enter(&candidate(1, 1), false, later).unwrap();
    core.enter(&candidate(2, 1), false, later).unwrap();
}

#[test]
fn a_slightly_late_call_keeps_its_slot_and_a_pause_starts_new_slots() {
    let now = Instant::now();
    let mut core = Core::new(8, 5.0);
    let slot = core.interval;
    prove_key(&mut core, 1, now);
    let late = now + slot + slot / 20;
    core.enter(&candidate(0, 1), false, late).unwrap();
    assert_eq!(
        core.enter(&candidate(1, 1), true, late),
        Err(Refusal::Slot { wait: Some(slot.saturating_sub(slot / 20)) })
    );
    core.enter(&candidate(1, 1), true, now + slot * 2).unwrap();
    core.enter(&candidate(2, 1), true, now + slot * 10).unwrap();
    let refusal = core.enter(&candidate(3, 1), true, now + slot * 10);
    assert_eq!(refusal, Err(Refusal::Slot { wait: Some(slot) }), "no two at once to make up for a pause");
}

#[test]
fn objects_go_in_order_of_creation_even_if_a_later_one_asks_first() {
    let now = Instant::now();
    let mut core = Core::new(2, 5.0);
    prove_key(&mut core, 1, now);
    for number in 0..2 {
        assert!(matches!(core.enter(&candidate(number, 1), true, now), Err(Refusal::Slot { .. })));
    }
    for number in 2..10 {
        assert!(matches!(core.enter(&candidate(number, 1), true, now), Err(Refusal::Queued { .. })), "{number}");
    }
    let mut order = Vec::new();
    for slot in 1..=10 {
        let time = now + core.interval * slot;
        let next = order.len();
        for later in (next + 1..10).rev() {
            assert!(core.enter(&candidate(later, 1), true, time).is_err(), "{later} before {next}");
        }
        core.enter(&candidate(next, 1), true, time).unwrap();
        order.push(next);
        core.leave(&candidate(next, 1), Some(KeyEffect::Good), time);
    }
    assert_eq!(order.len(), 10);
}

#[test]
fn a_call_admitted_on_its_slot_is_sent_on_it_however_long_its_claim_took() {
    let now = Instant::now();
    let mut core = Core::new(8, 5.0);
    let slot = core.interval;
    prove_key(&mut core, 1, now);
    let key = candidate(0, 1).key;
    assert_eq!(core.slot(key, now + slot / 2), Duration::ZERO, "late by half a slot");
    assert_eq!(core.slot(key, now + slot), slot / 2, "on the slot, but too close to the previous one");
    assert_eq!(core.slot(key, now + slot * 10), Duration::ZERO, "a pause gives no credit");
    assert_eq!(core.slot(key, now + slot * 10), slot);
    assert_eq!(Core::new(8, 0.0).slot(key, now), Duration::ZERO, "no rate limit, no slot");
}

#[test]
fn an_object_that_is_gone_or_waits_for_a_cluster_blocks_no_other() {
    let now = Instant::now();
    let mut core = Core::new(1, 0.0);
    prove_key(&mut core, 1, now);
    core.enter(&candidate(0, 1), true, now).unwrap();
    let same_cluster = Candidate { object: ("team".to_owned(), "same-cluster".to_owned()), ..candidate(0, 1) };
    assert!(matches!(core.enter(&same_cluster, true, now), Err(Refusal::AnotherCall { .. })));
    for number in 1..50 {
        assert!(core.enter(&candidate(number, 1), true, now).is_err());
    }
    for number in 1..49 {
        let woken = core.forget(&candidate(number, 1).object, now).unwrap();
        assert_eq!(woken, [candidate(number + 1, 1).object], "no other release may ever wake it");
    }
    assert_eq!(
        core.leave(&candidate(0, 1), Some(KeyEffect::Good), now),
        [same_cluster.object],
        "the other one was woken"
    );
    core.enter(&candidate(49, 1), true, now).unwrap();
}

#[test]
fn a_free_permit_wakes_no_more_than_could_enter_for_any_number_of_keys() {
    let now = Instant::now();
    let mut core = Core::new(3, 0.0);
    for key in 0..50 {
        prove_key(&mut core, key, now);
    }
    for number in 0..3 {
        core.enter(&candidate(number, 0), true, now).unwrap();
    }
    for key in 1..50 {
        for number in 0..5 {
            assert!(core.enter(&candidate(usize::from(key) * 100 + number, key), false, now).is_err());
        }
    }
    assert_eq!(core.leave(&candidate(0, 0), Some(KeyEffect::Good), now).len(), 3);
}

#[test]
fn an_object_with_a_new_key_leaves_the_old_queue_and_the_next_is_woken() {
    let now = Instant::now();
    let mut core = Core::new(1, 0.0);
    prove_key(&mut core, 1, now);
    core.enter(&candidate(0, 1), true, now).unwrap();
    for number in 1..10 {
        assert!(core.enter(&candidate(number, 1), true, now).is_err());
    }
    let changed = candidate(1, 2);
    assert_eq!(core.leave_queues(&changed.object, Some(changed.key), now).unwrap(), [candidate(2, 1).object]);
    assert!(core.enter(&changed, true, now).is_err());
    assert!(
        core.leave_queues(&changed.object, Some(changed.key), now).is_none(),
        "it keeps its place in the new key's queue"
    );
    core.leave(&candidate(0, 1), Some(KeyEffect::Good), now);
    core.enter(&changed, true, now).unwrap();
}

#[test]
fn an_object_that_is_gone_is_not_woken_for_its_cluster() {
    let now = Instant::now();
    let mut core = Core::new(8, 0.0);
    prove_key(&mut core, 1, now);
    core.enter(&candidate(0, 1), true, now).unwrap();
    let same_cluster = |name: &str| Candidate { object: ("team".to_owned(), name.to_owned()), ..candidate(0, 1) };
    for name in ["gone", "next"] {
        assert!(matches!(core.enter(&same_cluster(name), true, now), Err(Refusal::AnotherCall { .. })));
    }
    assert_eq!(core.forget(&same_cluster("gone").object, now), None);
    assert_eq!(core.leave(&candidate(0, 1), Some(KeyEffect::Good), now), [same_cluster("next").object]);
}
