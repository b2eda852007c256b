use std::time::{Duration, Instant};

use super::{FIRST, MAX, Pauses, STEADY, WatchErrors};

/// The pauses, in milliseconds, while each try fails at once.
fn pauses(watches: usize, is_gone: bool, tries: usize) -> Vec<u128> {
    let (mut pauses, mut now) = (Pauses::new(watches), Instant::now());
    let next = |_| {
        let pause = pauses.after_failure(is_gone, now);
        now += pause;
        pause.as_millis()
    };
    (0..tries).map(next).collect()
}

#[test]
fn pauses_grow_to_their_maximum_while_each_try_fails() {
    assert_eq!(pauses(1, false, 8), [500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000]);
}

#[test]
fn pauses_grow_with_the_number_of_watches_up_to_five_minutes() {
    assert_eq!(pauses(20, false, 9).last(), Some(&60_000));
    assert_eq!(pauses(1000, false, 20).last(), Some(&300_000));
}

#[test]
fn pauses_start_again_after_a_steady_time() {
    let (mut pauses, start) = (Pauses::new(1), Instant::now());
    for _ in 0..10 {
        pauses.after_failure(false, start);
    }
    assert_eq!(pauses.after_failure(false, start + MAX + STEADY), FIRST);
}

#[test]
fn a_first_410_has_no_pause_and_later_ones_do() {
    assert_eq!(pauses(1, true, 4), [0, 500, 1000, 2000]);
}

#[test]
fn an_error_is_logged_once_and_again_when_it_changes() {
    let (mut errors, now) = (WatchErrors::default(), Instant::now());
    let logged = ["403", "403", "404", "404", "403"].map(|error| errors.failed(0, error.to_owned(), now));
    assert_eq!(logged, [true, false, true, false, true]);
}

#[test]
fn an_error_that_changes_with_each_try_is_logged_once_in_two_minutes() {
    let (mut errors, start) = (WatchErrors::default(), Instant::now());
    let logged = (0..600).filter(|second| errors.failed(0, second.to_string(), start + Duration::from_secs(*second)));
    assert_eq!(logged.count(), 7);
}

#[test]
fn twenty_watches_that_fail_at_once_are_logged_in_four_lines() {
    let (mut errors, start) = (WatchErrors::default(), Instant::now());
    let mut logged = 0;
    for second in 0..600 {
        for watch in 0..20 {
            logged += u32::from(errors.failed(watch, format!("403 in {watch}"), start + Duration::from_secs(second)));
        }
    }
    assert_eq!((logged, errors.failing().count()), (4, 20));
}

#[test]
fn the_recovery_of_all_watches_is_logged_once_after_a_failure() {
    let (mut errors, now) = (WatchErrors::default(), Instant::now());
    assert!(!errors.recovered(0));
    for watch in [0, 1] {
        assert!(errors.failed(watch, "403".to_owned(), now));
    }
    assert_eq!([0, 1, 1].map(|watch| errors.recovered(watch)), [false, true, false]);
}
