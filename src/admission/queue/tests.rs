use super::*;

fn name(number: usize) -> ObjectName {
    ("team".to_owned(), format!("object-{number}"))
}

fn at(second: i64) -> RequestedAt {
    RequestedAt { second, seen: None }
}

#[test]
fn the_first_one_here_goes_first_whoever_asks_first() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    for number in 0..3 {
        assert_eq!(queue.wait((&name(number), at(7)), (true, false), 8, now), Position::Present);
    }
    assert!(!queue.is_first(&name(2), at(7)) && !queue.is_first(&name(1), at(7)) && queue.is_first(&name(0), at(7)));
    assert!(!queue.is_first(&name(9), at(7)), "nor does anybody who was not seen before");
    queue.leave(&name(0));
    assert!(queue.is_first(&name(1), at(7)));
    queue.stop_waiting(&name(1));
    assert!(queue.is_first(&name(2), at(7)), "who is not here keeps nobody back");
}

#[test]
fn an_older_object_comes_before_one_that_was_seen_first() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    assert_eq!(queue.wait((&name(1), at(8)), (true, false), 8, now), Position::Present);
    assert!(queue.is_first(&name(2), at(7)) && !queue.is_first(&name(3), at(9)));
}

#[test]
fn of_one_second_the_one_that_was_seen_first_goes_first_whoever_asks_first() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    let seen = |millis| RequestedAt { second: 7, seen: Some(now + Duration::from_millis(millis)) };
    assert_eq!(queue.wait((&name(2), seen(5)), (true, false), 8, now), Position::Present);
    assert!(queue.is_first(&name(1), seen(4)) && !queue.is_first(&name(3), seen(6)));
    assert_eq!(queue.wait((&name(1), seen(4)), (true, false), 8, now), Position::Present);
    assert!(!queue.is_first(&name(2), seen(5)));
}

#[test]
fn only_so_many_wait_here_and_the_others_are_called_up_in_their_order() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    let positions: Vec<_> = (0..5).map(|number| queue.wait((&name(number), at(7)), (true, false), 2, now)).collect();
    assert_eq!(positions.iter().filter(|position| **position == Position::Present).count(), 2);
    assert_eq!(*positions.last().unwrap(), Position::Behind { queued: 5, quiet: MAX_WAIT + REPORT_INTERVAL * 4 });
    assert!(queue.wake_first(2, now).is_empty(), "the first two are here");
    queue.leave(&name(0));
    assert_eq!(queue.wake_first(2, now), [name(2)]);
    assert!(queue.wake_first(2, now).is_empty(), "once");
    assert_eq!(queue.wait((&name(2), at(7)), (true, false), 2, now), Position::Present);
}

#[test]
fn who_was_called_up_and_does_not_come_keeps_nobody_back_and_is_forgotten() {
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
fn who_comes_late_has_kept_its_place() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    for number in 0..4 {
        queue.wait((&name(number), at(7)), (false, false), 1, now);
    }
    assert_eq!(queue.wake_first(1, now), [name(0)]);
    assert_eq!(queue.wake_first(1, now + WAKE_TIMEOUT), [name(1)], "nobody waits for it");
    assert_eq!(queue.wait((&name(1), at(7)), (true, false), 2, now + WAKE_TIMEOUT), Position::Present);
    assert_eq!(queue.wait((&name(0), at(7)), (true, false), 2, now + WAKE_TIMEOUT), Position::Present);
    assert!(queue.is_first(&name(0), at(7)) && !queue.is_first(&name(1), at(7)));
}

#[test]
fn those_who_were_called_up_and_are_late_are_not_counted_as_ahead() {
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
fn a_place_is_kept_however_often_it_is_asked_for_and_so_is_the_time_from_which_on_it_is_told() {
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
fn a_crowd_says_that_it_waits_one_after_the_other_and_not_at_all_where_it_moves_on_faster_than_that() {
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
    assert_eq!(quiet(&mut queue, 10_000, now), MAX_WAIT + REPORT_INTERVAL, "those who are through delay nobody");
}

#[test]
fn how_long_nothing_is_said_depends_on_those_before_and_not_on_those_behind_and_never_hides_what_is_not_so_any_more() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    for number in 0..8_000 {
        queue.wait((&name(number), at(7)), (false, false), 8, now);
    }
    let mut quiet =
        |number, requested_at, shows| match queue.wait((&name(number), requested_at), (false, shows), 8, now) {
            Position::Behind { quiet, .. } => quiet,
            Position::Present => panic!("it does not stay"),
        };
    assert_eq!(quiet(8_001, at(6), false), MAX_WAIT, "it is older than all");
    assert_eq!(quiet(8_002, at(8), false), MAX_WAIT + MAX_REPORT_DELAY);
    assert_eq!(quiet(8_003, at(8), true), MAX_WAIT, "its status says something else");
    assert_eq!(quiet(8_002, at(8), true), MAX_WAIT, "or has come to say so in the meantime");
}

#[test]
fn who_has_to_come_later_keeps_its_place_and_is_called_up_again() {
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
    assert!(!queue.is_next(&name(1), at(7), much_later), "they are on their way");
    assert!(queue.is_next(&name(1), at(7), much_later + WAKE_TIMEOUT));
}

#[test]
fn the_time_in_which_nobody_may_call_is_not_counted_as_time_in_which_others_were_first() {
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
        "the first of the queue came first"
    );
    queue.leave(&name(1));
    queue.wait_until((&name(2), at(7)), 1, (now, end));
    let position = queue.wait((&name(2), at(7)), (false, false), 1, end);
    assert_eq!(
        position,
        Position::Behind { queued: 2, quiet: MAX_WAIT + REPORT_INTERVAL * 2 },
        "set once for each such time"
    );
}

#[test]
fn somebody_knows_when_the_time_is_over_until_it_is_gone_has_come_or_does_not_come() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    let end = now + EXPIRE_AFTER;
    assert_eq!(queue.wait_until((&name(0), at(7)), 1, (now, end)), None);
    assert_eq!(queue.wait_until((&name(1), at(7)), 1, (now, end)), Some(2), "it is woken");
    assert!(queue.has_timed_retry(end) && !queue.has_timed_retry(end + WAKE_TIMEOUT), "and does not come");
    queue.wait((&name(0), at(7)), (false, false), 1, now);
    assert!(!queue.has_timed_retry(now), "it has come, and waits for its turn");
    queue.wait_until((&name(0), at(7)), 1, (now, end));
    assert!(queue.has_timed_retry(now));
    queue.leave(&name(0));
    assert!(!queue.has_timed_retry(now), "it is gone");
}
