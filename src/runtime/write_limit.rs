//! PURE: how many of many equal things (events, lines of the log) may be written: a burst, and then one in each
//! interval. Takes the clock as an argument.

use std::time::{Duration, Instant};

/// Lets a burst through, and then one in each interval.
#[derive(Debug)]
pub struct WriteLimit {
    burst: u32,
    interval: Duration,
    /// When the interval of everything let through so far ends; in the past if nothing was for a while.
    paid_until: Option<Instant>,
}

impl WriteLimit {
    /// `burst` at once, and then one in each `interval`.
    pub const fn new(burst: u32, interval: Duration) -> Self {
        Self { burst, interval, paid_until: None }
    }

    /// Whether one more may be written.
    pub fn allows(&mut self, now: Instant) -> bool {
        let paid_until = self.paid_until.map_or(now, |paid_until| paid_until.max(now)) + self.interval;
        let allowed = paid_until.saturating_duration_since(now) <= self.interval * self.burst;
        if allowed {
            self.paid_until = Some(paid_until);
        }
        allowed
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
}
