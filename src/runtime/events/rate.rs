//! PURE: how many events about what goes well are worth their price. The clock is an argument.

use std::time::{Duration, Instant};

/// So many at once.
const BURST: u32 = 25;
/// And then one in this time: as many as calls, at the default pace of one key. A burst beyond that is counted in metrics
/// and shown by status; nobody reads an event of each, and each would cost the API server as much as a write of status.
const EACH: Duration = Duration::from_millis(200);

/// See the module.
#[derive(Debug, Default)]
pub struct RateLimit {
    /// When everything that was let through is paid for; in the past if nothing was for a while.
    paid: Option<Instant>,
}

impl RateLimit {
    /// May one more be written?
    pub fn allows(&mut self, now: Instant) -> bool {
        let paid = self.paid.map_or(now, |paid| paid.max(now)) + EACH;
        let allowed = paid.saturating_duration_since(now) <= EACH * BURST;
        if allowed {
            self.paid = Some(paid);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_gets_a_burst_and_then_one_each_fifth_of_a_second() {
        let (mut pace, start) = (RateLimit::default(), Instant::now());
        let allowed = (0..1000).filter(|_| pace.allows(start)).count();
        assert_eq!(allowed, BURST as usize);
        let later = (1..=100).filter(|tick| pace.allows(start + EACH * *tick)).count();
        assert_eq!(later, 100);
    }

    #[test]
    fn calls_at_the_default_pace_lose_no_event() {
        let (mut pace, start) = (RateLimit::default(), Instant::now());
        assert!((0..10_000).all(|call| pace.allows(start + EACH * call)));
    }

    #[test]
    fn after_a_rest_there_is_one_burst_and_not_more() {
        let (mut pace, start) = (RateLimit::default(), Instant::now());
        assert!(pace.allows(start));
        let late = start + EACH * 1000;
        assert_eq!((0..1000).filter(|_| pace.allows(late)).count(), BURST as usize);
    }
}
