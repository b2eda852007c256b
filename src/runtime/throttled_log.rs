//! PURE: which of many failures to log: the first at once, and then one every ten minutes while it goes on. Takes the
//! clock as an argument.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Pause between two lines about the same failure.
const PAUSE: Duration = Duration::from_secs(600);
/// A kind of failure that did not occur for this long is over: its next occurrence is logged at once.
const OVER_AFTER: Duration = Duration::from_secs(180);

/// Throttles the log of one failure.
#[derive(Debug, Default)]
pub struct Throttle {
    logged: Option<Instant>,
    /// Occurrences since the last line.
    suppressed: u64,
}

impl Throttle {
    /// The failure occurred. If it is to be logged: how often it occurred since the last line.
    pub fn failed(&mut self, now: Instant) -> Option<u64> {
        if self.logged.is_some_and(|logged| now.saturating_duration_since(logged) < PAUSE) {
            self.suppressed = self.suppressed.saturating_add(1);
            return None;
        }
        self.logged = Some(now);
        Some(std::mem::take(&mut self.suppressed))
    }

    /// The failure is over: its next occurrence is logged at once.
    pub fn recovered(&mut self) {
        *self = Self::default();
    }
}

/// Throttles the log of failures that many objects meet, by kind. Nobody reports that a kind is over.
#[derive(Debug, Default)]
pub struct ThrottledLog(HashMap<&'static str, (Throttle, Instant)>);

impl ThrottledLog {
    /// A failure of this kind occurred. If it is to be logged: how many others of its kind occurred since the last
    /// line.
    pub fn failed(&mut self, kind: &'static str, now: Instant) -> Option<u64> {
        let (throttle, last) = self.0.entry(kind).or_insert_with(|| (Throttle::default(), now));
        if now.saturating_duration_since(*last) >= OVER_AFTER {
            throttle.recovered();
        }
        *last = now;
        throttle.failed(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_is_logged_at_once_every_ten_minutes_and_after_recovery() {
        let (start, mut throttle) = (Instant::now(), Throttle::default());
        let at = |second| start + Duration::from_secs(second);
        let logged: Vec<_> = (0..1300).filter(|second| throttle.failed(at(*second)).is_some()).collect();
        assert_eq!(logged, [0, 600, 1200]);
        throttle.recovered();
        assert_eq!(throttle.failed(at(1301)), Some(0));
    }

    #[test]
    fn one_failure_that_is_rare_and_not_over_is_still_throttled() {
        let (start, mut throttle) = (Instant::now(), Throttle::default());
        let logged: Vec<_> =
            [0, 200, 400, 700].map(|second| throttle.failed(start + Duration::from_secs(second))).into();
        assert_eq!(logged, [Some(0), None, None, Some(2)]);
    }

    #[test]
    fn a_kind_is_logged_at_once_every_ten_minutes_and_after_a_pause() {
        let (start, mut log) = (Instant::now(), ThrottledLog::default());
        let mut failed = |kind, second| log.failed(kind, start + Duration::from_secs(second));
        let logged: Vec<_> =
            (0..1300).filter_map(|second| failed("refused", second).map(|more| (second, more))).collect();
        assert_eq!(logged, [(0, 0), (600, 599), (1200, 599)]);
        assert_eq!((failed("unclear", 1300), failed("refused", 1300)), (Some(0), None));
        assert_eq!(failed("refused", 1300 + 180), Some(0));
    }
}
