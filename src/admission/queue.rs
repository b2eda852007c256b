//! PURE: who of the objects that wait for one key is first: the one that was asked for first, and of those of one second the
//! one that the watch showed first. The clock is an argument.
//!
//! Only who is here, with a worker that waits, keeps others back; just after a 429, when nobody is, all in queue do. Whoever
//! was woken and does not come may be held up and keeps its place for a while, but nobody waits for it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

use super::{
    MAX_WAIT,
    request::{ObjectName, RequestedAt},
};

/// Whoever has others before it says that it waits later by this much for each of them. A burst that moves on as fast as the API
/// server takes calls then costs no write more than its calls, since each is called before it would have said anything; at the
/// pace of one key, which is five times slower, nearly all have said it long before their turn.
const REPORT_INTERVAL: Duration = Duration::from_millis(40);
/// And nobody later than this.
const MAX_REPORT_DELAY: Duration = Duration::from_secs(300);

/// Whoever was woken is waited for this long.
const WAKE_TIMEOUT: Duration = Duration::from_secs(2);
/// And has lost its place after this: it is gone.
const EXPIRE_AFTER: Duration = Duration::from_secs(60);

/// Longer queues are not counted to their end: as many as make up the longest silence.
const MAX_COUNTED: usize = 7_500;

/// When it was asked for, and the order in which they came here.
type Place = (RequestedAt, u64);

/// See the module.
#[derive(Debug, Default)]
pub struct Queue {
    next: u64,
    waiting: BTreeMap<Place, Waiter>,
    present: BTreeSet<Place>,
    places: HashMap<ObjectName, Place>,
    /// Who looks again by itself as soon as a time is over in which nobody may call, and when that is.
    timed_retry: Option<(Place, Instant)>,
}

#[derive(Debug)]
struct Waiter {
    object: ObjectName,
    /// From when on it is to be said that it waits.
    report_after: Instant,
    /// Looks again when it is woken, unless it is here.
    woken_at: Option<Instant>,
}

/// Where somebody stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Near enough to wait here.
    Present,
    /// So many are before it that its worker is of more use to others; it is woken.
    Behind {
        /// How many are in queue.
        queued: usize,
        /// How long nothing is to be said of that yet.
        quiet: Duration,
    },
}

impl Queue {
    /// Nobody who is here was before it.
    pub fn is_first(&self, object: &ObjectName, requested_at: RequestedAt) -> bool {
        let place = self.places.get(object).copied().unwrap_or((requested_at, u64::MAX));
        self.present.first().is_none_or(|first| *first >= place)
    }

    /// Nobody in queue was before it, here or not, apart from those who were woken and did not come.
    pub fn is_next(&self, object: &ObjectName, requested_at: RequestedAt, now: Instant) -> bool {
        let place = self.places.get(object).copied().unwrap_or((requested_at, u64::MAX));
        self.count_before(&place, 1, now) == 0
    }

    /// Takes a place, or keeps the one it has, and comes back after a time in which nobody may call; how long nothing is said
    /// of others counts from its end (`end`). If `most` are before it, it need not come by itself: returns how many are in
    /// queue then.
    pub fn wait_until(
        &mut self,
        (object, requested_at): (&ObjectName, RequestedAt),
        limit: usize,
        (now, end): (Instant, Instant),
    ) -> Option<usize> {
        let place = self.place(object, requested_at, end);
        self.present.remove(&place);
        // Once for each such time: it has just been said why nothing is called.
        let reset = self.waiting.get(&place).filter(|waiter| waiter.report_after < end + MAX_WAIT);
        let report_after = reset.map(|_| self.report_after(&place, end));
        if let Some(waiter) = self.waiting.get_mut(&place) {
            waiter.woken_at = None;
            waiter.report_after = report_after.unwrap_or(waiter.report_after);
        }
        if self.count_before(&place, limit, now) >= limit {
            return Some(self.waiting.len());
        }
        if !self.has_timed_retry(now) {
            self.timed_retry = Some((place, end));
        }
        None
    }

    /// Somebody in queue looks by itself when the time is over in which nobody may call.
    pub fn has_timed_retry(&self, now: Instant) -> bool {
        self.timed_retry.is_some_and(|(place, end)| now < end + WAKE_TIMEOUT && self.waiting.contains_key(&place))
    }

    /// Takes a place, or keeps the one it has. Of those that wait here there are `most`, and those that `stay`. Whoever `shows`
    /// something else than that it waits must not show that for long.
    pub fn wait(
        &mut self,
        (object, requested_at): (&ObjectName, RequestedAt),
        (stays, shows): (bool, bool),
        limit: usize,
        now: Instant,
    ) -> Position {
        let place = self.place(object, requested_at, now);
        self.timed_retry = self.timed_retry.filter(|(waiter, _)| *waiter != place);
        let quiet = self.waiting.get_mut(&place).map_or(Duration::ZERO, |waiter| {
            waiter.woken_at = None;
            if shows {
                // Also if it was said while it stood here.
                waiter.report_after = waiter.report_after.min(now + MAX_WAIT);
            }
            waiter.report_after.saturating_duration_since(now)
        });
        if stays && self.count_before(&place, limit, now) < limit {
            self.present.insert(place);
            return Position::Present;
        }
        self.present.remove(&place);
        Position::Behind { queued: self.waiting.len(), quiet }
    }

    fn place(&mut self, object: &ObjectName, requested_at: RequestedAt, now: Instant) -> Place {
        let place = self.places.get(object).copied().unwrap_or((requested_at, self.next));
        if self.places.insert(object.clone(), place).is_none() {
            self.next += 1;
            let report_after = self.report_after(&place, now);
            self.waiting.insert(place, Waiter { object: object.clone(), report_after, woken_at: None });
        }
        place
    }

    fn report_after(&self, place: &Place, since: Instant) -> Instant {
        let delay = REPORT_INTERVAL * u32::try_from(self.count_ahead(place)).unwrap_or(u32::MAX);
        since + MAX_WAIT + delay.min(MAX_REPORT_DELAY)
    }

    /// How many that come are before it; counted up to `most`.
    fn count_before(&self, place: &Place, limit: usize, now: Instant) -> usize {
        self.waiting.range(..place).filter(|(place, waiter)| self.is_expected(place, waiter, now)).take(limit).count()
    }

    fn count_ahead(&self, place: &Place) -> usize {
        if self.waiting.last_key_value().is_none_or(|(last, _)| last <= place) {
            return self.waiting.len().saturating_sub(usize::from(self.waiting.contains_key(place)));
        }
        self.waiting.range(..place).take(MAX_COUNTED).count()
    }

    /// It waits here no longer, and keeps its place.
    pub fn stop_waiting(&mut self, object: &ObjectName) {
        if let Some(place) = self.places.get(object) {
            self.present.remove(place);
        }
    }

    /// It is through, or waits for something else. Whether it was in queue.
    pub fn leave(&mut self, object: &ObjectName) -> bool {
        let place = self.places.remove(object);
        if let Some(place) = &place {
            self.present.remove(place);
            self.waiting.remove(place);
        }
        place.is_some()
    }

    /// Calls up as many as are not here of the first `most`.
    pub fn wake_first(&mut self, limit: usize, now: Instant) -> Vec<ObjectName> {
        let since_wake = |waiter: &Waiter| {
            waiter.woken_at.map_or(Duration::ZERO, |woken_at| now.saturating_duration_since(woken_at))
        };
        while let Some(entry) = self.waiting.first_entry().filter(|entry| since_wake(entry.get()) >= EXPIRE_AFTER) {
            self.places.remove(&entry.remove().object);
        }
        let is_late = |waiter: &Waiter| since_wake(waiter) >= WAKE_TIMEOUT;
        let mut woken = Vec::new();
        for (place, waiter) in self.waiting.iter_mut().filter(|(_, waiter)| !is_late(waiter)).take(limit) {
            if !self.present.contains(place) && waiter.woken_at.is_none() {
                waiter.woken_at = Some(now);
                woken.push(waiter.object.clone());
            }
        }
        woken
    }

    fn is_expected(&self, place: &Place, waiter: &Waiter, now: Instant) -> bool {
        self.present.contains(place)
            || waiter.woken_at.is_none_or(|woken_at| now.saturating_duration_since(woken_at) < WAKE_TIMEOUT)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests;
