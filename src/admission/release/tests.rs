use std::time::Duration;

use super::*;
use crate::{
    admission::request::{Candidate, Refusal, RequestedAt},
    cloud::outcome::KeyEffect,
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

/// One object of a burst, requested one second after another.
fn in_burst(number: u8) -> Candidate {
    Candidate { requested_at: RequestedAt { second: number.into(), seen: None }, ..candidate(number.into(), 1) }
}

/// A core whose key 1 was just asked to wait for a second; three objects know of it.
fn throttled_core(now: Instant) -> Core {
    let mut core = Core::new(2, 0.0);
    prove_key(&mut core, 1, now);
    core.enter(&in_burst(0), false, now).unwrap();
    core.leave(&in_burst(0), Some(KeyEffect::Throttled(SECOND)), now);
    for number in [3, 1, 2] {
        let refusal = core.enter(&in_burst(number), true, now).unwrap_err();
        assert_eq!(refusal, Refusal::Throttled { wait: SECOND, behind: Duration::ZERO });
    }
    core
}

fn names(numbers: &[u8]) -> Vec<ObjectName> {
    numbers.iter().map(|number| in_burst(*number).object).collect()
}

#[test]
fn after_a_429_the_order_of_requests_continues_whichever_retries_first() {
    let now = Instant::now();
    let (mut core, over, key) = (throttled_core(now), now + SECOND, in_burst(0).key);
    assert!(matches!(core.enter(&in_burst(9), true, over), Err(Refusal::Queued { .. })), "three are ahead of it");
    assert_eq!(core.resume(key, over), names(&[1, 2, 3]));
    assert!(core.resume(key, over).is_empty(), "once");
    assert_eq!(core.enter(&in_burst(2), true, over), Err(Refusal::Slot { wait: Some(3 * SECOND) }));
    core.enter(&in_burst(1), true, over).unwrap();
    core.enter(&in_burst(2), true, over).unwrap();
    assert_eq!(core.leave(&in_burst(1), Some(KeyEffect::Good), over), names(&[9]));
    assert!(matches!(core.enter(&in_burst(9), true, over), Err(Refusal::Slot { .. })), "another woken object is due");
    core.enter(&in_burst(3), true, over).unwrap();
    core.leave(&in_burst(2), Some(KeyEffect::Good), over);
    core.enter(&in_burst(9), true, over).unwrap();
}

#[test]
fn an_object_that_does_not_return_after_a_429_blocks_for_three_seconds() {
    let now = Instant::now();
    let (mut core, over, key) = (throttled_core(now), now + SECOND, in_burst(0).key);
    core.enter(&in_burst(4), false, now).unwrap_err();
    for (seconds, woken) in [(0, names(&[1, 2, 3])), (1, Vec::new()), (2, names(&[4, 9]))] {
        assert!(core.enter(&in_burst(9), false, over + seconds * SECOND).is_err(), "{seconds} s");
        assert_eq!(core.resume(key, over + seconds * SECOND), woken, "{seconds} s");
    }
    core.enter(&in_burst(9), false, over + 3 * SECOND).unwrap();
}

#[test]
fn with_one_permit_a_second_object_is_present_if_the_first_does_not_come() {
    let now = Instant::now();
    let mut core = Core::new(1, 0.0);
    core.enter(&in_burst(0), false, now).unwrap();
    core.leave(&in_burst(0), Some(KeyEffect::Throttled(SECOND)), now);
    core.enter(&in_burst(1), true, now).unwrap_err();
    let over = now + SECOND;
    assert_eq!(core.enter(&in_burst(2), true, over), Err(Refusal::Slot { wait: Some(3 * SECOND) }));
    assert_eq!(core.resume(in_burst(0).key, over), names(&[1]), "the other one is present");
    core.enter(&in_burst(2), true, over + 3 * SECOND).unwrap();
}

#[test]
fn during_a_429_one_object_is_woken_and_wakes_the_others_at_its_end() {
    let now = Instant::now();
    let mut core = Core::new(2, 0.0);
    prove_key(&mut core, 1, now);
    for number in [0, 1] {
        core.enter(&in_burst(number), true, now).unwrap();
    }
    for number in [2, 3] {
        assert_eq!(core.enter(&in_burst(number), true, now), Err(Refusal::Slot { wait: None }));
        core.stop_waiting(&in_burst(number));
    }
    let throttled = Err(Refusal::Throttled { wait: SECOND, behind: Duration::ZERO });
    assert_eq!(core.leave(&in_burst(0), Some(KeyEffect::Throttled(SECOND)), now), names(&[2]));
    assert_eq!(core.enter(&in_burst(2), true, now), throttled);
    assert!(core.leave(&in_burst(1), Some(KeyEffect::Good), now).is_empty(), "one object knows of the window");
    assert_eq!(
        core.forget(&in_burst(2).object, now),
        Some(names(&[3])),
        "it is gone: another one must learn of the window"
    );
    assert_eq!(core.enter(&in_burst(3), true, now), throttled);
    let over = now + SECOND;
    assert!(core.enter(&in_burst(4), false, over).is_err());
    core.enter(&in_burst(3), true, over).unwrap();
    assert_eq!(core.resume(in_burst(0).key, over), names(&[4]));
}

#[test]
fn a_free_permit_wakes_objects_of_other_keys_than_the_throttled_one() {
    let now = Instant::now();
    for other in 2..20 {
        let mut core = Core::new(1, 0.0);
        core.enter(&in_burst(0), false, now).unwrap();
        for number in [1, 2] {
            core.enter(&in_burst(number), false, now).unwrap_err();
        }
        let woken = core.leave(&in_burst(0), Some(KeyEffect::Throttled(60 * SECOND)), now);
        assert_eq!(woken, names(&[1]), "it does not come");
        let (calls, waits, later) = (candidate(10, 100), candidate(11, other), now + 3 * SECOND);
        core.enter(&calls, false, later).unwrap();
        core.enter(&waits, false, later).unwrap_err();
        assert_eq!(core.leave(&calls, Some(KeyEffect::Good), later), [waits.object], "key {other}");
    }
}

#[test]
fn while_all_permits_are_taken_no_object_is_woken_after_a_429() {
    let now = Instant::now();
    let (mut core, over, key) = (throttled_core(now), now + SECOND, in_burst(0).key);
    prove_key(&mut core, 2, over);
    for number in [10, 11] {
        core.enter(&candidate(number, 2), false, over).unwrap();
    }
    assert!(core.enter(&in_burst(9), true, over).is_err());
    assert!(core.resume(key, over).is_empty());
    assert_eq!(
        core.leave(&candidate(10, 2), Some(KeyEffect::Good), over),
        names(&[1, 2]),
        "the end of a call wakes them"
    );
}

#[test]
fn after_a_second_429_all_objects_wait_again_in_the_same_order() {
    let now = Instant::now();
    let (mut core, over, key) = (throttled_core(now), now + SECOND, in_burst(0).key);
    core.enter(&in_burst(1), true, over).unwrap();
    core.leave(&in_burst(1), Some(KeyEffect::Throttled(SECOND)), over);
    for number in [3, 2] {
        assert_eq!(
            core.enter(&in_burst(number), true, over),
            Err(Refusal::Throttled { wait: SECOND, behind: Duration::ZERO })
        );
    }
    assert!(core.resume(key, over).is_empty());
    assert!(matches!(core.enter(&in_burst(3), true, over + SECOND), Err(Refusal::Slot { .. })));
    assert_eq!(core.resume(key, over + SECOND), names(&[2]));
    core.enter(&in_burst(2), true, over + SECOND).unwrap();
}

#[test]
fn after_a_429_only_the_next_retry_at_once_and_the_rate_limit_applies() {
    let now = Instant::now();
    let mut core = Core::new(2, 5.0);
    core.enter(&in_burst(0), false, now).unwrap();
    core.leave(&in_burst(0), Some(KeyEffect::Throttled(SECOND)), now);
    let waits: Vec<_> = (1..=4).map(|number| core.enter(&in_burst(number), true, now).unwrap_err()).collect();
    let each = core.interval;
    let after = [Duration::ZERO, Duration::ZERO, 3 * each, 4 * each];
    assert_eq!(waits, after.map(|behind| Refusal::Throttled { wait: SECOND, behind }));
    let over = now + SECOND;
    core.enter(&in_burst(1), true, over).unwrap();
    core.leave(&in_burst(1), Some(KeyEffect::Good), over);
    assert_eq!(core.enter(&in_burst(2), true, over), Err(Refusal::Slot { wait: Some(each) }), "the rate limit applies");
}

#[test]
fn no_object_is_woken_after_a_429_for_a_key_that_was_refused_since() {
    let now = Instant::now();
    let (mut core, over, key) = (throttled_core(now), now + SECOND, in_burst(0).key);
    core.enter(&in_burst(4), true, now).unwrap_err();
    core.enter(&in_burst(1), true, over).unwrap();
    core.leave(&in_burst(1), Some(KeyEffect::RejectedByGateway), over);
    assert!(core.resume(key, over).is_empty());
}
