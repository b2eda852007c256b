//! PURE: what is said of watches that fail: what is new, not what goes on. The clock is an argument.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// So many lines at once,
const BURST: u32 = 3;
/// and then one in this time, also where the error changes with every try.
const EACH: Duration = Duration::from_secs(120);

/// See the module.
#[derive(Debug, Default)]
pub struct WatchErrors {
    /// By watch: its last error, and whether that was said.
    failing: BTreeMap<usize, (String, bool)>,
    /// When every line so far is paid for.
    paid: Option<Instant>,
    /// Something was said since all of them worked.
    is_known: bool,
}

impl WatchErrors {
    /// A watch failed. Returns whether to say so; then it is said of all that fail now.
    pub fn failed(&mut self, watch: usize, error: String, now: Instant) -> bool {
        let is_said = self.failing.get(&watch).is_some_and(|(last, is_said)| *is_said && *last == error);
        self.failing.insert(watch, (error, is_said));
        if is_said || !self.may_speak(now) {
            return false;
        }
        for (_, is_said) in self.failing.values_mut() {
            *is_said = true;
        }
        self.is_known = true;
        true
    }

    /// The watches that fail.
    pub fn failing(&self) -> impl Iterator<Item = usize> {
        self.failing.keys().copied()
    }

    /// A watch works. Returns whether to say that all of them do.
    pub fn works(&mut self, watch: usize) -> bool {
        self.failing.remove(&watch).is_some() && self.failing.is_empty() && std::mem::take(&mut self.is_known)
    }

    fn may_speak(&mut self, now: Instant) -> bool {
        let paid = self.paid.map_or(now, |paid| paid.max(now)) + EACH;
        let may = paid.saturating_duration_since(now) <= EACH * BURST;
        if may {
            self.paid = Some(paid);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_said_once_and_again_when_it_changes() {
        let (mut trouble, now) = (WatchErrors::default(), Instant::now());
        let said = ["403", "403", "404", "404", "403"].map(|error| trouble.failed(0, error.to_owned(), now));
        assert_eq!(said, [true, false, true, false, true]);
    }

    #[test]
    fn an_error_that_changes_with_each_try_is_said_once_in_two_minutes() {
        let (mut trouble, start) = (WatchErrors::default(), Instant::now());
        let said =
            (0..600).filter(|second| trouble.failed(0, second.to_string(), start + Duration::from_secs(*second)));
        assert_eq!(said.count(), 7);
    }

    #[test]
    fn twenty_watches_that_fail_at_once_are_said_in_four_lines() {
        let (mut trouble, start) = (WatchErrors::default(), Instant::now());
        let mut said = 0;
        for second in 0..600 {
            for watch in 0..20 {
                said +=
                    u32::from(trouble.failed(watch, format!("403 in {watch}"), start + Duration::from_secs(second)));
            }
        }
        assert_eq!((said, trouble.failing().count()), (4, 20));
    }

    #[test]
    fn that_all_work_again_is_said_once_and_only_where_a_failure_was() {
        let (mut trouble, now) = (WatchErrors::default(), Instant::now());
        assert!(!trouble.works(0));
        for watch in [0, 1] {
            assert!(trouble.failed(watch, "403".to_owned(), now));
        }
        assert_eq!([0, 1, 1].map(|watch| trouble.works(watch)), [false, true, false]);
    }
}
