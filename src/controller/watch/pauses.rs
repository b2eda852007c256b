//! PURE: how long to wait before a watch that failed is opened again. The clock is an argument, and chance is left to the
//! caller.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// First pause. Short, since nothing else wakes an object whose user waits.
const FIRST: Duration = Duration::from_millis(500);
/// Longest pause of a single watch: one request each ten seconds is no burden for an API server that comes back.
const MAX: Duration = Duration::from_secs(10);
/// Of several watches each waits longer, so that all of them together make less than one request a second.
const EACH: Duration = Duration::from_secs(3);
/// However many there are.
const AT_MOST: Duration = Duration::from_secs(300);
/// After so long without a failure the pauses begin anew. What was received is no measure of that: a list begins again and
/// again where its second page fails.
const STEADY: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub struct Pauses {
    builder: ExponentialBuilder,
    growing: ExponentialBackoff,
    /// When the last pause was over.
    tried: Option<Instant>,
}

impl Pauses {
    /// Of one of so many watches.
    pub fn new(watches: usize) -> Self {
        let all = EACH.saturating_mul(u32::try_from(watches).unwrap_or(u32::MAX));
        let longest = MAX.max(all).min(AT_MOST);
        let builder = ExponentialBuilder::default().with_min_delay(FIRST).with_max_delay(longest).with_factor(2.0);
        let builder = builder.without_max_times();
        Self { builder, growing: builder.build(), tried: None }
    }

    /// The pause after a failure. After a 410 (`is_gone`) there is none, since a list makes up for it; but where that does
    /// not help, there is.
    pub fn after_failure(&mut self, is_gone: bool, now: Instant) -> Duration {
        let was_steady = self.tried.is_none_or(|tried| now.saturating_duration_since(tried) >= STEADY);
        if was_steady {
            self.growing = self.builder.build();
        }
        let pause = if was_steady && is_gone { Duration::ZERO } else { self.growing.next().unwrap_or(AT_MOST) };
        self.tried = Some(now + pause);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pauses, in milliseconds, while each try fails at once.
    fn pauses(watches: usize, is_gone: bool, tries: usize) -> Vec<u128> {
        let (mut pauses, mut now) = (Pauses::new(watches), Instant::now());
        let next = |_| {
            let pause = pauses.after_failure(is_gone, now);
            now += pause;
            pause.as_millis()
        };
        (0..tries).map(next).collect()
    }

    #[test]
    fn pauses_grow_to_their_maximum_while_each_try_fails() {
        assert_eq!(pauses(1, false, 8), [500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000]);
    }

    #[test]
    fn pauses_grow_with_the_number_of_watches_up_to_five_minutes() {
        assert_eq!(pauses(20, false, 9).last(), Some(&60_000));
        assert_eq!(pauses(1000, false, 20).last(), Some(&300_000));
    }

    #[test]
    fn pauses_begin_anew_after_a_steady_time() {
        let (mut pauses, start) = (Pauses::new(1), Instant::now());
        for _ in 0..10 {
            pauses.after_failure(false, start);
        }
        assert_eq!(pauses.after_failure(false, start + MAX + STEADY), FIRST);
    }

    #[test]
    fn pauses_are_left_out_after_one_410_and_not_after_the_next() {
        assert_eq!(pauses(1, true, 4), [0, 500, 1000, 2000]);
    }
}
