use super::*;

fn name(number: usize) -> ObjectName {
    ("team".to_owned(), format!("object-{number}"))
}

fn at(second: i64) -> RequestedAt {
    RequestedAt { second, seen: None }
}

#[test]
fn the_first_present_object_goes_first_in_any_order_of_asking() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    for number in 0..3 {
        assert_eq!(queue.wait((&name(number), at(7)), (true, false), 8, now), Position::Present);
    }
    assert!(!queue.is_first(&name(2), at(7)) && !queue.is_first(&name(1), at(7)) && queue.is_first(&name(0), at(7)));
    assert!(!queue.is_first(&name(9), at(7)), "nor does an object that was not seen before");
    queue.leave(&name(0));
    assert!(queue.is_first(&name(1), at(7)));
    queue.stop_waiting(&name(1));
    assert!(queue.is_first(&name(2), at(7)), "an object that is not present blocks none");
}

#[test]
fn an_older_object_goes_before_one_that_was_seen_first() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    assert_eq!(queue.wait((&name(1), at(8)), (true, false), 8, now), Position::Present);
    assert!(queue.is_first(&name(2), at(7)) && !queue.is_first(&name(3), at(9)));
}

#[test]
fn within_one_second_the_object_seen_first_goes_first() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    let seen = |millis| RequestedAt { second: 7, seen: Some(now + Duration::from_millis(millis)) };
    assert_eq!(queue.wait((&name(2), seen(5)), (true, false), 8, now), Position::Present);
    assert!(queue.is_first(&name(1), seen(4)) && !queue.is_first(&name(3), seen(6)));
    assert_eq!(queue.wait((&name(1), seen(4)), (true, false), 8, now), Position::Present);
    assert!(!queue.is_first(&name(2), seen(5)));
}

#[test]
fn objects_up_to_the_limit_are_present_and_others_are_woken_in_order() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    let positions: Vec<_> = (0..5).map(|number| queue.wait((&name(number), at(7)), (true, false), 2, now)).collect();
    assert_eq!(positions.iter().filter(|position| **position == Position::Present).count(), 2);
    assert_eq!(*positions.last().unwrap(), Position::Behind { queued: 5, quiet: MAX_WAIT + REPORT_INTERVAL * 4 });
    assert!(queue.wake_first(2, now).is_empty(), "the first two are present");
    queue.leave(&name(0));
    assert_eq!(queue.wake_first(2, now), [name(2)]);
    assert!(queue.wake_first(2, now).is_empty(), "once");
    assert_eq!(queue.wait((&name(2), at(7)), (true, false), 2, now), Position::Present);
}

#[test]
fn a_woken_object_that_does_not_come_blocks_none_and_is_forgotten() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    for number in 0..100 {
        assert!(matches!(queue.wait((&name(number), at(7)), (false, false), 2, now), Position::Behind { .. }));
    }
    let mut woken = Vec::new();
    for round in 0..60 {
        woken.extend(queue.wake_first(2, now + WAKE_TIMEOUT * round));
    }
    assert_eq!(woken, (0..100).map(name).collect::<Vec<_>>());
    assert!(queue.wake_first(2, now + WAKE_TIMEOUT * 60 + EXPIRE_AFTER).is_empty());
    assert!(queue.waiting.is_empty() && queue.places.is_empty());
}

#[test]
fn an_object_that_comes_late_keeps_its_place() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    for number in 0..4 {
        queue.wait((&name(number), at(7)), (false, false), 1, now);
    }
    assert_eq!(queue.wake_first(1, now), [name(0)]);
    assert_eq!(queue.wake_first(1, now + WAKE_TIMEOUT), [name(1)], "the late object blocks none");
    assert_eq!(queue.wait((&name(1), at(7)), (true, false), 2, now + WAKE_TIMEOUT), Position::Present);
    assert_eq!(queue.wait((&name(0), at(7)), (true, false), 2, now + WAKE_TIMEOUT), Position::Present);
    assert!(queue.is_first(&name(0), at(7)) && !queue.is_first(&name(1), at(7)));
}

#[test]
fn woken_objects_that_are_late_are_not_counted_as_ahead() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    for number in 0..4 {
        queue.wait((&name(number), at(7)), (false, false), 2, now);
    }
    assert_eq!(queue.wake_first(2, now).len(), 2);
    assert!(matches!(queue.wait((&name(9), at(7)), (true, false), 2, now), Position::Behind { queued: 5, .. }));
    queue.leave(&name(2));
    assert_eq!(
        queue.wait((&name(9), at(7)), (true, false), 2, now + WAKE_TIMEOUT),
        Position::Present,
        "one is before it"
    );
}

#[test]
fn repeated_waits_keep_the_place_and_the_time_of_the_report() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    queue.wait((&name(0), at(7)), (false, false), 1, now);
    queue.wait((&name(1), at(7)), (false, false), 1, now);
    let later = now + MAX_WAIT;
    let position = queue.wait((&name(1), at(7)), (true, false), 1, later);
    assert_eq!(position, Position::Behind { queued: 2, quiet: REPORT_INTERVAL });
    let position = queue.wait((&name(1), at(7)), (true, false), 1, later + REPORT_INTERVAL);
    assert_eq!(position, Position::Behind { queued: 2, quiet: Duration::ZERO });
    assert_eq!(queue.wake_first(2, later), [name(0), name(1)]);
}

#[test]
fn objects_of_a_burst_report_their_wait_one_by_one_or_not_at_all() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    let quiet = |queue: &mut Queue, number, when| match queue.wait((&name(number), at(7)), (false, false), 8, when) {
        Position::Behind { quiet, .. } => quiet,
        Position::Present => panic!("it does not stay"),
    };
    let burst: Vec<_> = (0..7_500).map(|number| quiet(&mut queue, number, now)).collect();
    assert_eq!((burst[0], burst[25]), (MAX_WAIT, MAX_WAIT + Duration::from_secs(1)));
    assert!(burst.is_sorted_by(|one, other| *one + REPORT_INTERVAL == *other));
    for number in 0..7_499 {
        queue.leave(&name(number));
    }
    assert_eq!(quiet(&mut queue, 10_000, now), MAX_WAIT + REPORT_INTERVAL, "admitted objects delay no report");
}

#[test]
fn objects_ahead_delay_a_report_unless_status_shows_something_else() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    for number in 0..8_000 {
        queue.wait((&name(number), at(7)), (false, false), 8, now);
    }
    let mut quiet =
        |number, requested_at, shows| match queue.wait((&name(number), requested_at), (false, shows), 8, now) {
            Position::Behind { quiet, .. } => quiet,
            Position::Present => panic!("it does not stay"),
        };
    assert_eq!(quiet(8_001, at(6), false), MAX_WAIT, "it is older than all others");
    assert_eq!(quiet(8_002, at(8), false), MAX_WAIT + MAX_REPORT_DELAY);
    assert_eq!(quiet(8_003, at(8), true), MAX_WAIT, "its status shows something else");
    assert_eq!(quiet(8_002, at(8), true), MAX_WAIT, "or has come to show that in the meantime");
}

#[test]
fn an_object_that_waits_for_a_window_keeps_its_place_and_is_woken_again() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    for number in 0..2 {
        queue.wait((&name(number), at(7)), (false, false), 1, now);
    }
    assert_eq!(queue.wake_first(1, now), [name(0)]);
    let much_later = now + EXPIRE_AFTER;
    assert_eq!(queue.wait_until((&name(2), at(6)), 1, (now, much_later)), None, "it is the first");
    assert_eq!(queue.wait_until((&name(0), at(7)), 1, (now, much_later)), Some(3));
    assert!(!queue.is_next(&name(0), at(7), much_later) && queue.is_next(&name(2), at(6), much_later));
    assert_eq!(queue.wake_first(2, much_later), [name(2), name(0)]);
    assert!(!queue.is_next(&name(1), at(7), much_later), "those before it are due");
    assert!(queue.is_next(&name(1), at(7), much_later + WAKE_TIMEOUT));
}

#[test]
fn the_window_of_a_429_does_not_count_towards_the_delay_of_a_report() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    let end = now + EXPIRE_AFTER;
    queue.wait((&name(1), at(7)), (false, false), 1, now);
    for number in [0, 1, 2, 1] {
        queue.wait_until((&name(number), at(7)), 1, (now, end));
    }
    let mut quiet = |number, when| match queue.wait((&name(number), at(7)), (false, false), 1, when) {
        Position::Behind { quiet, .. } => quiet,
        Position::Present => panic!("it does not stay"),
    };
    assert_eq!(
        (quiet(1, end), quiet(2, end)),
        (MAX_WAIT, MAX_WAIT + REPORT_INTERVAL * 2),
        "the first object in the queue comes first"
    );
    queue.leave(&name(1));
    queue.wait_until((&name(2), at(7)), 1, (now, end));
    let position = queue.wait((&name(2), at(7)), (false, false), 1, end);
    assert_eq!(position, Position::Behind { queued: 2, quiet: MAX_WAIT + REPORT_INTERVAL * 2 }, "set once per window");
}

#[test]
fn a_timed_retry_holds_until_its_object_comes_is_late_or_is_gone() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    let end = now + EXPIRE_AFTER;
    assert_eq!(queue.wait_until((&name(0), at(7)), 1, (now, end)), None);
    assert_eq!(queue.wait_until((&name(1), at(7)), 1, (now, end)), Some(2), "it will be woken");
    assert!(queue.has_timed_retry(end) && !queue.has_timed_retry(end + WAKE_TIMEOUT), "the object does not come");
    queue.wait((&name(0), at(7)), (false, false), 1, now);
    assert!(!queue.has_timed_retry(now), "it came, and waits for its turn");
    queue.wait_until((&name(0), at(7)), 1, (now, end));
    assert!(queue.has_timed_retry(now));
    queue.leave(&name(0));
    assert!(!queue.has_timed_retry(now), "it is gone");
}
