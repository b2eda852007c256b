use super::*;

fn name(number: usize) -> ObjectName {
    ("team".to_owned(), format!("object-{number}"))
}

fn at(second: i64) -> Wished {
    Wished { second, seen: None }
}

#[test]
fn the_first_one_here_goes_first_whoever_asks_first() {
    let (mut line, now) = (Line::default(), Instant::now());
    for number in 0..3 {
        assert_eq!(line.wait((&name(number), at(7)), (true, false), 8, now), Stand::Here);
    }
    assert!(!line.is_first(&name(2), at(7)) && !line.is_first(&name(1), at(7)) && line.is_first(&name(0), at(7)));
    assert!(!line.is_first(&name(9), at(7)), "nor does anybody who was not seen before");
    line.leave(&name(0));
    assert!(line.is_first(&name(1), at(7)));
    line.step_back(&name(1));
    assert!(line.is_first(&name(2), at(7)), "who is not here keeps nobody back");
}

#[test]
fn an_older_object_comes_before_one_that_was_seen_first() {
    let (mut line, now) = (Line::default(), Instant::now());
    assert_eq!(line.wait((&name(1), at(8)), (true, false), 8, now), Stand::Here);
    assert!(line.is_first(&name(2), at(7)) && !line.is_first(&name(3), at(9)));
}

#[test]
fn of_one_second_the_one_that_was_seen_first_goes_first_whoever_asks_first() {
    let (mut line, now) = (Line::default(), Instant::now());
    let seen = |millis| Wished { second: 7, seen: Some(now + Duration::from_millis(millis)) };
    assert_eq!(line.wait((&name(2), seen(5)), (true, false), 8, now), Stand::Here);
    assert!(line.is_first(&name(1), seen(4)) && !line.is_first(&name(3), seen(6)));
    assert_eq!(line.wait((&name(1), seen(4)), (true, false), 8, now), Stand::Here);
    assert!(!line.is_first(&name(2), seen(5)));
}

#[test]
fn only_so_many_wait_here_and_the_others_are_called_up_in_their_order() {
    let (mut line, now) = (Line::default(), Instant::now());
    let stands: Vec<_> = (0..5).map(|number| line.wait((&name(number), at(7)), (true, false), 2, now)).collect();
    assert_eq!(stands.iter().filter(|stand| **stand == Stand::Here).count(), 2);
    assert_eq!(*stands.last().unwrap(), Stand::Behind { of: 5, quiet: PATIENCE + APART * 4 });
    assert!(line.call_up(2, now).is_empty(), "the first two are here");
    line.leave(&name(0));
    assert_eq!(line.call_up(2, now), [name(2)]);
    assert!(line.call_up(2, now).is_empty(), "once");
    assert_eq!(line.wait((&name(2), at(7)), (true, false), 2, now), Stand::Here);
}

#[test]
fn who_was_called_up_and_does_not_come_keeps_nobody_back_and_is_forgotten() {
    let (mut line, now) = (Line::default(), Instant::now());
    for number in 0..100 {
        assert!(matches!(line.wait((&name(number), at(7)), (false, false), 2, now), Stand::Behind { .. }));
    }
    let mut called = Vec::new();
    for round in 0..60 {
        called.extend(line.call_up(2, now + COMES_WITHIN * round));
    }
    assert_eq!(called, (0..100).map(name).collect::<Vec<_>>());
    assert!(line.call_up(2, now + COMES_WITHIN * 60 + GONE_AFTER).is_empty());
    assert!(line.waiting.is_empty() && line.places.is_empty());
}

#[test]
fn who_comes_late_has_kept_its_place() {
    let (mut line, now) = (Line::default(), Instant::now());
    for number in 0..4 {
        line.wait((&name(number), at(7)), (false, false), 1, now);
    }
    assert_eq!(line.call_up(1, now), [name(0)]);
    assert_eq!(line.call_up(1, now + COMES_WITHIN), [name(1)], "nobody waits for it");
    assert_eq!(line.wait((&name(1), at(7)), (true, false), 2, now + COMES_WITHIN), Stand::Here);
    assert_eq!(line.wait((&name(0), at(7)), (true, false), 2, now + COMES_WITHIN), Stand::Here);
    assert!(line.is_first(&name(0), at(7)) && !line.is_first(&name(1), at(7)));
}

#[test]
fn those_who_were_called_up_and_are_late_are_not_counted_as_ahead() {
    let (mut line, now) = (Line::default(), Instant::now());
    for number in 0..4 {
        line.wait((&name(number), at(7)), (false, false), 2, now);
    }
    assert_eq!(line.call_up(2, now).len(), 2);
    assert!(matches!(line.wait((&name(9), at(7)), (true, false), 2, now), Stand::Behind { of: 5, .. }));
    line.leave(&name(2));
    assert_eq!(line.wait((&name(9), at(7)), (true, false), 2, now + COMES_WITHIN), Stand::Here, "one is before it");
}

#[test]
fn a_place_is_kept_however_often_it_is_asked_for_and_so_is_the_time_from_which_on_it_is_told() {
    let (mut line, now) = (Line::default(), Instant::now());
    line.wait((&name(0), at(7)), (false, false), 1, now);
    line.wait((&name(1), at(7)), (false, false), 1, now);
    let later = now + PATIENCE;
    let stand = line.wait((&name(1), at(7)), (true, false), 1, later);
    assert_eq!(stand, Stand::Behind { of: 2, quiet: APART });
    let stand = line.wait((&name(1), at(7)), (true, false), 1, later + APART);
    assert_eq!(stand, Stand::Behind { of: 2, quiet: Duration::ZERO });
    assert_eq!(line.call_up(2, later), [name(0), name(1)]);
}

#[test]
fn a_crowd_says_that_it_waits_one_after_the_other_and_not_at_all_where_it_moves_on_faster_than_that() {
    let (mut line, now) = (Line::default(), Instant::now());
    let quiet = |line: &mut Line, number, when| match line.wait((&name(number), at(7)), (false, false), 8, when) {
        Stand::Behind { quiet, .. } => quiet,
        Stand::Here => panic!("it does not stay"),
    };
    let crowd: Vec<_> = (0..7_500).map(|number| quiet(&mut line, number, now)).collect();
    assert_eq!((crowd[0], crowd[25]), (PATIENCE, PATIENCE + Duration::from_secs(1)));
    assert!(crowd.is_sorted_by(|one, other| *one + APART == *other));
    for number in 0..7_499 {
        line.leave(&name(number));
    }
    assert_eq!(quiet(&mut line, 10_000, now), PATIENCE + APART, "those who are through delay nobody");
}

#[test]
fn how_long_nothing_is_said_depends_on_those_before_and_not_on_those_behind_and_never_hides_what_is_not_so_any_more() {
    let (mut line, now) = (Line::default(), Instant::now());
    for number in 0..8_000 {
        line.wait((&name(number), at(7)), (false, false), 8, now);
    }
    let mut quiet = |number, wished, shows| match line.wait((&name(number), wished), (false, shows), 8, now) {
        Stand::Behind { quiet, .. } => quiet,
        Stand::Here => panic!("it does not stay"),
    };
    assert_eq!(quiet(8_001, at(6), false), PATIENCE, "it is older than all");
    assert_eq!(quiet(8_002, at(8), false), PATIENCE + MOST_QUIET);
    assert_eq!(quiet(8_003, at(8), true), PATIENCE, "its status says something else");
    assert_eq!(quiet(8_002, at(8), true), PATIENCE, "or has come to say so in the meantime");
}

#[test]
fn who_has_to_come_later_keeps_its_place_and_is_called_up_again() {
    let (mut line, now) = (Line::default(), Instant::now());
    for number in 0..2 {
        line.wait((&name(number), at(7)), (false, false), 1, now);
    }
    assert_eq!(line.call_up(1, now), [name(0)]);
    let much_later = now + GONE_AFTER;
    assert_eq!(line.comes_later((&name(2), at(6)), 1, (now, much_later)), None, "it is the first");
    assert_eq!(line.comes_later((&name(0), at(7)), 1, (now, much_later)), Some(3));
    assert!(!line.is_next(&name(0), at(7), much_later) && line.is_next(&name(2), at(6), much_later));
    assert_eq!(line.call_up(2, much_later), [name(2), name(0)]);
    assert!(!line.is_next(&name(1), at(7), much_later), "they are on their way");
    assert!(line.is_next(&name(1), at(7), much_later + COMES_WITHIN));
}

#[test]
fn the_time_in_which_nobody_may_call_is_not_counted_as_time_in_which_others_were_first() {
    let (mut line, now) = (Line::default(), Instant::now());
    let over = now + GONE_AFTER;
    line.wait((&name(1), at(7)), (false, false), 1, now);
    for number in [0, 1, 2, 1] {
        line.comes_later((&name(number), at(7)), 1, (now, over));
    }
    let mut quiet = |number, when| match line.wait((&name(number), at(7)), (false, false), 1, when) {
        Stand::Behind { quiet, .. } => quiet,
        Stand::Here => panic!("it does not stay"),
    };
    assert_eq!((quiet(1, over), quiet(2, over)), (PATIENCE, PATIENCE + APART * 2), "the first of the line came first");
    line.leave(&name(1));
    line.comes_later((&name(2), at(7)), 1, (now, over));
    let stand = line.wait((&name(2), at(7)), (false, false), 1, over);
    assert_eq!(stand, Stand::Behind { of: 2, quiet: PATIENCE + APART * 2 }, "set once for each such time");
}

#[test]
fn somebody_knows_when_the_time_is_over_until_it_is_gone_has_come_or_does_not_come() {
    let (mut line, now) = (Line::default(), Instant::now());
    let over = now + GONE_AFTER;
    assert_eq!(line.comes_later((&name(0), at(7)), 1, (now, over)), None);
    assert_eq!(line.comes_later((&name(1), at(7)), 1, (now, over)), Some(2), "it is called up");
    assert!(line.is_awake(over) && !line.is_awake(over + COMES_WITHIN), "and does not come");
    line.wait((&name(0), at(7)), (false, false), 1, now);
    assert!(!line.is_awake(now), "it has come, and waits for its turn");
    line.comes_later((&name(0), at(7)), 1, (now, over));
    assert!(line.is_awake(now));
    line.leave(&name(0));
    assert!(!line.is_awake(now), "it is gone");
}
