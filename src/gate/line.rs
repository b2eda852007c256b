//! PURE: who of the objects that wait for one key is first: the one that was asked for first, and of those of one second the
//! one that the watch showed first. The clock is an argument.
//!
//! Only who is here, with a worker that waits, keeps others back. Whoever was called up and does not come may be held up and
//! keeps its place for a while, but nobody waits for it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

use super::{PATIENCE, core::ObjectName};

/// Whoever has others before it says that it waits later by this much for each of them. A crowd that moves on as fast as the API
/// server takes calls then costs no write more than its calls, since each is called before it would have said anything; at the
/// pace of one key, which is five times slower, nearly all have said it long before their turn.
const APART: Duration = Duration::from_millis(40);
/// And nobody later than this.
const MOST_QUIET: Duration = Duration::from_secs(300);

/// Whoever was called up is waited for this long.
const COMES_WITHIN: Duration = Duration::from_secs(2);
/// And has lost its place after this: it is gone.
const GONE_AFTER: Duration = Duration::from_secs(60);

/// Longer lines are not counted to their end: as many as make up the longest silence.
const MOST_COUNTED: usize = 7_500;

/// When an object was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wished {
    /// Second in which it was asked for.
    pub second: i64,
    /// When it was seen: the watch brings those of one second in their order, and the queue and the workers may not.
    pub seen: Option<Instant>,
}

/// When it was asked for, and the order in which they came here.
type Place = (Wished, u64);

/// See the module.
#[derive(Debug, Default)]
pub struct Line {
    next: u64,
    waiting: BTreeMap<Place, Waiter>,
    here: BTreeSet<Place>,
    places: HashMap<ObjectName, Place>,
}

#[derive(Debug)]
struct Waiter {
    object: ObjectName,
    /// From when on it is to be said that it waits.
    told_from: Instant,
    /// Looks again when it is called up, unless it is here.
    called: Option<Instant>,
}

/// Where somebody stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// Near enough to wait here.
    Here,
    /// So many are before it that its worker is of more use to others; it is called up.
    Behind {
        /// How many are in line.
        of: usize,
        /// How long nothing is to be said of that yet.
        quiet: Duration,
    },
}

impl Line {
    /// Nobody who is here was before it.
    pub fn is_first(&self, object: &ObjectName, wished: Wished) -> bool {
        let place = self.places.get(object).copied().unwrap_or((wished, u64::MAX));
        self.here.first().is_none_or(|first| *first >= place)
    }

    /// Takes a place, or keeps the one it has. Of those that wait here there are `most`, and those that `stay`. Whoever `shows`
    /// something else than that it waits must not show that for long.
    pub fn wait(
        &mut self,
        (object, wished): (&ObjectName, Wished),
        (stays, shows): (bool, bool),
        most: usize,
        now: Instant,
    ) -> Stand {
        let place = self.places.get(object).copied().unwrap_or((wished, self.next));
        if self.places.insert(object.clone(), place).is_none() {
            self.next += 1;
            let apart = APART * u32::try_from(self.ahead(&place)).unwrap_or(u32::MAX);
            let told_from = now + PATIENCE + apart.min(MOST_QUIET);
            self.waiting.insert(place, Waiter { object: object.clone(), told_from, called: None });
        }
        let quiet = self.waiting.get_mut(&place).map_or(Duration::ZERO, |waiter| {
            waiter.called = None;
            if shows {
                // Also if it was said while it stood here.
                waiter.told_from = waiter.told_from.min(now + PATIENCE);
            }
            waiter.told_from.saturating_duration_since(now)
        });
        let ahead = self.waiting.range(..place).filter(|(place, waiter)| self.comes(place, waiter, now));
        if stays && ahead.take(most).count() < most {
            self.here.insert(place);
            return Stand::Here;
        }
        self.here.remove(&place);
        Stand::Behind { of: self.waiting.len(), quiet }
    }

    fn ahead(&self, place: &Place) -> usize {
        if self.waiting.last_key_value().is_none_or(|(last, _)| last <= place) {
            return self.waiting.len().saturating_sub(usize::from(self.waiting.contains_key(place)));
        }
        self.waiting.range(..place).take(MOST_COUNTED).count()
    }

    /// It waits here no longer, and keeps its place.
    pub fn step_back(&mut self, object: &ObjectName) {
        if let Some(place) = self.places.get(object) {
            self.here.remove(place);
        }
    }

    /// It is through, or waits for something else. Whether it was in line.
    pub fn leave(&mut self, object: &ObjectName) -> bool {
        let place = self.places.remove(object);
        if let Some(place) = &place {
            self.here.remove(place);
            self.waiting.remove(place);
        }
        place.is_some()
    }

    /// Calls up as many as are not here of the first `most`.
    pub fn call_up(&mut self, most: usize, now: Instant) -> Vec<ObjectName> {
        let called_for =
            |waiter: &Waiter| waiter.called.map_or(Duration::ZERO, |called| now.saturating_duration_since(called));
        while let Some(entry) = self.waiting.first_entry().filter(|entry| called_for(entry.get()) >= GONE_AFTER) {
            self.places.remove(&entry.remove().object);
        }
        let late = |waiter: &Waiter| called_for(waiter) >= COMES_WITHIN;
        let mut woken = Vec::new();
        for (place, waiter) in self.waiting.iter_mut().filter(|(_, waiter)| !late(waiter)).take(most) {
            if !self.here.contains(place) && waiter.called.is_none() {
                waiter.called = Some(now);
                woken.push(waiter.object.clone());
            }
        }
        woken
    }

    fn comes(&self, place: &Place, waiter: &Waiter, now: Instant) -> bool {
        self.here.contains(place)
            || waiter.called.is_none_or(|called| now.saturating_duration_since(called) < COMES_WITHIN)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
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
    fn how_long_nothing_is_said_depends_on_those_before_and_not_on_those_behind_and_never_hides_what_is_not_so_any_more()
     {
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
}
