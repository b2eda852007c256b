//! PURE: which failures of watches to log: a new error, not one that goes on. Takes the clock as an argument.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::runtime::write_limit::WriteLimit;

/// Burst size: lines that may be logged at once.
const BURST: u32 = 3;
/// Interval after the burst, one line in each, even if the error changes with every try.
const INTERVAL: Duration = Duration::from_secs(120);

/// The failing watches and what was logged of them.
#[derive(Debug)]
pub struct WatchErrors {
    /// By watch: its last error, and whether that was logged.
    failing: BTreeMap<usize, (String, bool)>,
    lines: WriteLimit,
    /// A failure was logged since all watches last worked.
    has_logged: bool,
}

impl Default for WatchErrors {
    fn default() -> Self {
        Self { failing: BTreeMap::new(), lines: WriteLimit::new(BURST, INTERVAL), has_logged: false }
    }
}

impl WatchErrors {
    /// A watch failed. Returns whether to log it; the line then covers all watches that fail now.
    pub fn failed(&mut self, watch: usize, error: String, now: Instant) -> bool {
        let is_logged = self.failing.get(&watch).is_some_and(|(last, is_logged)| *is_logged && *last == error);
        self.failing.insert(watch, (error, is_logged));
        if is_logged || !self.lines.allows(now) {
            return false;
        }
        for (_, is_logged) in self.failing.values_mut() {
            *is_logged = true;
        }
        self.has_logged = true;
        true
    }

    /// The watches that fail.
    pub fn failing(&self) -> impl Iterator<Item = usize> {
        self.failing.keys().copied()
    }

    /// A watch works. Returns whether to log that all of them do.
    pub fn recovered(&mut self, watch: usize) -> bool {
        self.failing.remove(&watch).is_some() && self.failing.is_empty() && std::mem::take(&mut self.has_logged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_logged_once_and_again_when_it_changes() {
        let (mut errors, now) = (WatchErrors::default(), Instant::now());
        let logged = ["403", "403", "404", "404", "403"].map(|error| errors.failed(0, error.to_owned(), now));
        assert_eq!(logged, [true, false, true, false, true]);
    }

    #[test]
    fn an_error_that_changes_with_each_try_is_logged_once_in_two_minutes() {
        let (mut errors, start) = (WatchErrors::default(), Instant::now());
        let logged =
            (0..600).filter(|second| errors.failed(0, second.to_string(), start + Duration::from_secs(*second)));
        assert_eq!(logged.count(), 7);
    }

    #[test]
    fn twenty_watches_that_fail_at_once_are_logged_in_four_lines() {
        let (mut errors, start) = (WatchErrors::default(), Instant::now());
        let mut logged = 0;
        for second in 0..600 {
            for watch in 0..20 {
                logged +=
                    u32::from(errors.failed(watch, format!("403 in {watch}"), start + Duration::from_secs(second)));
            }
        }
        assert_eq!((logged, errors.failing().count()), (4, 20));
    }

    #[test]
    fn the_recovery_of_all_watches_is_logged_once_after_a_failure() {
        let (mut errors, now) = (WatchErrors::default(), Instant::now());
        assert!(!errors.recovered(0));
        for watch in [0, 1] {
            assert!(errors.failed(watch, "403".to_owned(), now));
        }
        assert_eq!([0, 1, 1].map(|watch| errors.recovered(watch)), [false, true, false]);
    }
}
