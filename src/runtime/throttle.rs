//! Pauses of a random length, so that requests that failed together are not repeated together, and limits of how many equal
//! events, reports and lines of the log are written. The guarantee must not depend on them.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// Pause between two lines about the same kind of failure.
const PAUSE: Duration = Duration::from_secs(600);
/// A kind of failure that did not occur for this long is over: its next occurrence is logged at once.
const OVER_AFTER: Duration = Duration::from_secs(180);

/// A random time between half of `full` and `full`.
pub fn jittered(full: Duration) -> Duration {
    full.mul_f64(rand::random_range(0.5..=1.0))
}

/// A random time from `least`, at least a second, to twice that.
pub fn jittered_at_least(least: Duration) -> Duration {
    jittered(least.max(Duration::from_secs(1)) * 2)
}

/// Pauses that double from `first` to `longest`; the caller adds the jitter.
pub fn doubling(first: Duration, longest: Duration) -> ExponentialBackoff {
    ExponentialBuilder::new().with_min_delay(first).with_max_delay(longest).without_max_times().build()
}

/// Lets a burst through, and then one in each interval.
#[derive(Debug)]
pub struct WriteLimit {
    burst: u32,
    interval: Duration,
    /// When the interval of everything let through so far ends; in the past if nothing was for a while.
    paid_until: Option<Instant>,
}

impl WriteLimit {
    pub const fn new(burst: u32, interval: Duration) -> Self {
        Self { burst, interval, paid_until: None }
    }

    pub fn allows(&mut self, now: Instant) -> bool {
        let paid_until = self.paid_until.map_or(now, |paid_until| paid_until.max(now)) + self.interval;
        let allowed = paid_until.saturating_duration_since(now) <= self.interval * self.burst;
        if allowed {
            self.paid_until = Some(paid_until);
        }
        allowed
    }
}

/// Throttles the log of failures that many objects meet, by kind.
#[derive(Debug, Default)]
pub struct ThrottledLog(HashMap<&'static str, Failing>);

#[derive(Debug)]
struct Failing {
    logged: Instant,
    last: Instant,
    /// Occurrences since the last line.
    suppressed: u64,
}

impl ThrottledLog {
    /// Returns how many others of this kind occurred since the last line, if this failure is to be logged.
    pub fn failed(&mut self, kind: &'static str, now: Instant) -> Option<u64> {
        let since = |instant| now.saturating_duration_since(instant);
        let mut suppressed = 0;
        if let Some(failing) = self.0.get_mut(kind).filter(|failing| since(failing.last) < OVER_AFTER) {
            failing.last = now;
            if since(failing.logged) < PAUSE {
                failing.suppressed = failing.suppressed.saturating_add(1);
                return None;
            }
            suppressed = failing.suppressed;
        }
        self.0.insert(kind, Failing { logged: now, last: now, suppressed: 0 });
        Some(suppressed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BURST: u32 = 25;
    const INTERVAL: Duration = Duration::from_millis(200);

    #[test]
    fn many_at_once_get_a_burst_and_then_one_in_each_interval() {
        let (mut limit, start) = (WriteLimit::new(BURST, INTERVAL), Instant::now());
        let allowed = (0..1000).filter(|_| limit.allows(start)).count();
        assert_eq!(allowed, BURST as usize);
        let later = (1..=100).filter(|tick| limit.allows(start + INTERVAL * *tick)).count();
        assert_eq!(later, 100);
    }

    #[test]
    fn one_in_each_interval_is_always_allowed() {
        let (mut limit, start) = (WriteLimit::new(BURST, INTERVAL), Instant::now());
        assert!((0..10_000).all(|call| limit.allows(start + INTERVAL * call)));
    }

    #[test]
    fn after_a_pause_there_is_one_burst_and_not_more() {
        let (mut limit, start) = (WriteLimit::new(BURST, INTERVAL), Instant::now());
        assert!(limit.allows(start));
        let late = start + INTERVAL * 1000;
        assert_eq!((0..1000).filter(|_| limit.allows(late)).count(), BURST as usize);
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
