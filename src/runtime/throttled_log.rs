//! PURE: which of many failures to log: the first at once, and then one every ten minutes while it goes on. Takes the
//! clock as an argument.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Pause between two lines about the same kind of failure.
const PAUSE: Duration = Duration::from_secs(600);
/// A kind of failure that did not occur for this long is over: its next occurrence is logged at once.
const OVER_AFTER: Duration = Duration::from_secs(180);

/// Throttles the log of failures that many objects meet, by kind. Nobody reports that a kind is over.
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
    /// A failure of this kind occurred. If it is to be logged: how many others of its kind occurred since the last
    /// line.
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
