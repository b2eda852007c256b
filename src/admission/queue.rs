//! PURE: the queue of the objects that wait for one key. The object that was requested first is first; within one
//! second, the one that the watch showed first. The clock is an argument.
//!
//! Only a present object, whose worker waits, blocks others; just after a 429, when none is present, all queued ones
//! do. A woken object that does not come may be delayed: it keeps its place for a while but does not block others.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

use super::{
    MAX_WAIT,
    request::{ObjectName, RequestedAt},
};

/// An object reports that it waits later by this much for each object before it. A burst that moves on as fast as the
/// API server accepts calls then costs no writes other than those of its calls: each object has its turn before it
/// would report. At the rate of one key, which is five times slower, nearly all have reported long before their turn.
const REPORT_INTERVAL: Duration = Duration::from_millis(40);
/// Upper bound of that delay.
const MAX_REPORT_DELAY: Duration = Duration::from_secs(300);

/// How long a woken object still counts as expected.
const WAKE_TIMEOUT: Duration = Duration::from_secs(2);
/// A woken object that has not come after this is gone, and loses its place.
const EXPIRE_AFTER: Duration = Duration::from_secs(60);

/// Objects ahead are counted up to this number: it amounts to the longest delay of a report.
const MAX_COUNTED: usize = 7_500;

/// When an object was requested, and the order of arrival.
type Place = (RequestedAt, u64);

/// Objects that wait for one key, in their order.
#[derive(Debug, Default)]
pub struct Queue {
    next: u64,
    waiting: BTreeMap<Place, Waiter>,
    present: BTreeSet<Place>,
    places: HashMap<ObjectName, Place>,
    /// The object that retries by itself when a Retry-After time ends, in which none may call, and that end.
    timed_retry: Option<(Place, Instant)>,
}

#[derive(Debug)]
struct Waiter {
    object: ObjectName,
    /// From when on its status reports that it waits.
    report_after: Instant,
    /// When it was woken; it retries then. Not set while it is present.
    woken_at: Option<Instant>,
}

/// Position of an object in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Near enough to wait here with its worker.
    Present,
    /// So many are before it that its worker is more useful to others; it is woken later.
    Behind {
        /// Length of the queue.
        queued: usize,
        /// How long status does not report the wait yet.
        quiet: Duration,
    },
}

impl Queue {
    /// No present object is before it.
    pub fn is_first(&self, object: &ObjectName, requested_at: RequestedAt) -> bool {
        let place = self.places.get(object).copied().unwrap_or((requested_at, u64::MAX));
        self.present.first().is_none_or(|first| *first >= place)
    }

    /// No queued object is before it, present or not, except those that were woken and did not come.
    pub fn is_next(&self, object: &ObjectName, requested_at: RequestedAt, now: Instant) -> bool {
        let place = self.places.get(object).copied().unwrap_or((requested_at, u64::MAX));
        self.count_before(&place, 1, now) == 0
    }

    /// Takes a place, or keeps the one it has, and waits for the end of a Retry-After time, in which no object may
    /// call; the delay of its report counts from `end`. If at least `limit` are before it, it need not retry by itself:
    /// returns the length of the queue then.
    pub fn wait_until(
        &mut self,
        (object, requested_at): (&ObjectName, RequestedAt),
        limit: usize,
        (now, end): (Instant, Instant),
    ) -> Option<usize> {
        let place = self.place(object, requested_at, end);
        self.present.remove(&place);
        // Once per Retry-After time: status has just reported why nothing is called.
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

    /// A queued object retries by itself when the Retry-After time ends, in which none may call.
    pub fn has_timed_retry(&self, now: Instant) -> bool {
        self.timed_retry.is_some_and(|(place, end)| now < end + WAKE_TIMEOUT && self.waiting.contains_key(&place))
    }

    /// Takes a place, or keeps the one it has. At most `limit` objects are present, and only objects that
    /// `may_keep_waiting`. An object that `has_other_report` in its status must not show that for long.
    pub fn wait(
        &mut self,
        (object, requested_at): (&ObjectName, RequestedAt),
        (may_keep_waiting, has_other_report): (bool, bool),
        limit: usize,
        now: Instant,
    ) -> Position {
        let place = self.place(object, requested_at, now);
        self.timed_retry = self.timed_retry.filter(|(waiter, _)| *waiter != place);
        let quiet = self.waiting.get_mut(&place).map_or(Duration::ZERO, |waiter| {
            waiter.woken_at = None;
            if has_other_report {
                // Also if its status came to show that while it was queued.
                waiter.report_after = waiter.report_after.min(now + MAX_WAIT);
            }
            waiter.report_after.saturating_duration_since(now)
        });
        if may_keep_waiting && self.count_before(&place, limit, now) < limit {
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

    /// Number of expected objects before it, up to `limit`.
    fn count_before(&self, place: &Place, limit: usize, now: Instant) -> usize {
        self.waiting.range(..place).filter(|(place, waiter)| self.is_expected(place, waiter, now)).take(limit).count()
    }

    /// Number of queued objects before it, expected or not.
    fn count_ahead(&self, place: &Place) -> usize {
        if self.waiting.last_key_value().is_none_or(|(last, _)| last <= place) {
            return self.waiting.len().saturating_sub(usize::from(self.waiting.contains_key(place)));
        }
        self.waiting.range(..place).take(MAX_COUNTED).count()
    }

    /// The object is no longer present, and keeps its place.
    pub fn stop_waiting(&mut self, object: &ObjectName) {
        if let Some(place) = self.places.get(object) {
            self.present.remove(place);
        }
    }

    /// The object was admitted, or waits for something else. Returns whether it was queued.
    pub fn leave(&mut self, object: &ObjectName) -> bool {
        let place = self.places.remove(object);
        if let Some(place) = &place {
            self.present.remove(place);
            self.waiting.remove(place);
        }
        place.is_some()
    }

    /// Wakes those of the first `limit` objects that are not present.
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

    /// Present, not woken yet, or woken so recently that it may still come.
    fn is_expected(&self, place: &Place, waiter: &Waiter, now: Instant) -> bool {
        self.present.contains(place)
            || waiter.woken_at.is_none_or(|woken_at| now.saturating_duration_since(woken_at) < WAKE_TIMEOUT)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests;
