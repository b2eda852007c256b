//! PURE: who of the objects that wait for one key is first: the one that was asked for first, and of those of one second the
//! one that was seen first. The clock is an argument.
//!
//! Only who is here, with a worker that waits, keeps others back. Whoever was called up and does not come may be held up and
//! keeps its place for a while, but nobody waits for it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

use super::core::ObjectName;

/// Whoever was called up is waited for this long.
const COMES_WITHIN: Duration = Duration::from_secs(2);
/// And has lost its place after this: it is gone.
const GONE_AFTER: Duration = Duration::from_secs(60);

/// Longer lines are not counted to their end.
const MOST_COUNTED: usize = 1000;

/// Second in which it was asked for, and the order in which they were seen.
type Place = (i64, u64);

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
    since: Instant,
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
        /// How many, up to a thousand.
        ahead: usize,
        /// How long it has waited.
        waited: Duration,
    },
}

impl Line {
    /// Nobody who is here was before it.
    pub fn is_first(&self, object: &ObjectName, wished: i64) -> bool {
        let place = self.places.get(object).copied().unwrap_or((wished, u64::MAX));
        self.here.first().is_none_or(|first| *first >= place)
    }

    /// Takes a place, or keeps the one it has. Of those that wait here there are `most`, and those that `stay`.
    pub fn wait(&mut self, object: &ObjectName, wished: i64, stays: bool, most: usize, now: Instant) -> Stand {
        let place = self.places.get(object).copied().unwrap_or((wished, self.next));
        if self.places.insert(object.clone(), place).is_none() {
            self.next += 1;
            self.waiting.insert(place, Waiter { object: object.clone(), since: now, called: None });
        }
        let since = self.waiting.get_mut(&place).map_or(now, |waiter| {
            waiter.called = None;
            waiter.since
        });
        let ahead = self.waiting.range(..place).filter(|(place, waiter)| self.comes(place, waiter, now));
        if stays && ahead.take(most).count() < most {
            self.here.insert(place);
            return Stand::Here;
        }
        self.here.remove(&place);
        let ahead = self.waiting.range(..place).take(MOST_COUNTED).count();
        Stand::Behind { ahead, waited: now.saturating_duration_since(since) }
    }

    /// It waits here no longer, and keeps its place.
    pub fn step_back(&mut self, object: &ObjectName) {
        if let Some(place) = self.places.get(object) {
            self.here.remove(place);
        }
    }

    /// It is through, or waits for something else.
    pub fn leave(&mut self, object: &ObjectName) {
        if let Some(place) = self.places.remove(object) {
            self.here.remove(&place);
            self.waiting.remove(&place);
        }
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
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn name(number: usize) -> ObjectName {
        ("team".to_owned(), format!("object-{number}"))
    }

    #[test]
    fn the_first_one_here_goes_first_whoever_asks_first() {
        let (mut line, now) = (Line::default(), Instant::now());
        for number in 0..3 {
            assert_eq!(line.wait(&name(number), 7, true, 8, now), Stand::Here);
        }
        assert!(!line.is_first(&name(2), 7) && !line.is_first(&name(1), 7) && line.is_first(&name(0), 7));
        assert!(!line.is_first(&name(9), 7), "nor does anybody who was not seen before");
        line.leave(&name(0));
        assert!(line.is_first(&name(1), 7));
        line.step_back(&name(1));
        assert!(line.is_first(&name(2), 7), "who is not here keeps nobody back");
    }

    #[test]
    fn an_older_object_comes_before_one_that_was_seen_first() {
        let (mut line, now) = (Line::default(), Instant::now());
        assert_eq!(line.wait(&name(1), 8, true, 8, now), Stand::Here);
        assert!(line.is_first(&name(2), 7) && !line.is_first(&name(3), 9));
    }

    #[test]
    fn only_so_many_wait_here_and_the_others_are_called_up_in_their_order() {
        let (mut line, now) = (Line::default(), Instant::now());
        let stands: Vec<_> = (0..5).map(|number| line.wait(&name(number), 7, true, 2, now)).collect();
        assert_eq!(stands.iter().filter(|stand| **stand == Stand::Here).count(), 2);
        assert_eq!(*stands.last().unwrap(), Stand::Behind { ahead: 4, waited: Duration::ZERO });
        assert!(line.call_up(2, now).is_empty(), "the first two are here");
        line.leave(&name(0));
        assert_eq!(line.call_up(2, now), [name(2)]);
        assert!(line.call_up(2, now).is_empty(), "once");
        assert_eq!(line.wait(&name(2), 7, true, 2, now), Stand::Here);
    }

    #[test]
    fn who_was_called_up_and_does_not_come_keeps_nobody_back_and_is_forgotten() {
        let (mut line, now) = (Line::default(), Instant::now());
        for number in 0..100 {
            assert!(matches!(line.wait(&name(number), 7, false, 2, now), Stand::Behind { .. }));
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
            line.wait(&name(number), 7, false, 1, now);
        }
        assert_eq!(line.call_up(1, now), [name(0)]);
        assert_eq!(line.call_up(1, now + COMES_WITHIN), [name(1)], "nobody waits for it");
        assert_eq!(line.wait(&name(1), 7, true, 2, now + COMES_WITHIN), Stand::Here);
        assert_eq!(line.wait(&name(0), 7, true, 2, now + COMES_WITHIN), Stand::Here);
        assert!(line.is_first(&name(0), 7) && !line.is_first(&name(1), 7));
    }

    #[test]
    fn those_who_were_called_up_and_are_late_are_not_counted_as_ahead() {
        let (mut line, now) = (Line::default(), Instant::now());
        for number in 0..4 {
            line.wait(&name(number), 7, false, 2, now);
        }
        assert_eq!(line.call_up(2, now).len(), 2);
        assert!(matches!(line.wait(&name(9), 7, true, 2, now), Stand::Behind { ahead: 4, .. }));
        line.leave(&name(2));
        assert_eq!(line.wait(&name(9), 7, true, 2, now + COMES_WITHIN), Stand::Here, "one is before it");
    }

    #[test]
    fn a_place_is_kept_however_often_it_is_asked_for_and_says_how_long_it_was_waited_for() {
        let (mut line, now) = (Line::default(), Instant::now());
        line.wait(&name(0), 7, false, 1, now);
        line.wait(&name(1), 7, false, 1, now);
        let later = now + Duration::from_secs(5);
        let stand = line.wait(&name(1), 7, true, 1, later);
        assert_eq!(stand, Stand::Behind { ahead: 1, waited: Duration::from_secs(5) });
        assert_eq!(line.call_up(2, later), [name(0), name(1)]);
    }
}
