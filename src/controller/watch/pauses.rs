//! PURE: the back-off before a failed watch is opened again. Takes the clock as an argument; the caller adds the
//! jitter.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// First pause. Short, since a user may wait for an object, and only the watch shows it.
const FIRST: Duration = Duration::from_millis(500);
/// Longest pause of a single watch: one request per ten seconds is no burden for an API server that recovers.
const MAX: Duration = Duration::from_secs(10);
/// Longest pause per watch, if there are several: all of them together make less than one request a second.
const PAUSE_PER_WATCH: Duration = Duration::from_secs(3);
/// Longest pause for any number of watches.
const MAX_OF_MANY: Duration = Duration::from_secs(300);
/// After this long without a failure the pauses start again. Received data is no sign of recovery: a list whose second
/// page fails starts again and again.
const STEADY: Duration = Duration::from_secs(10);

/// The back-off of one watch.
#[derive(Debug)]
pub struct Pauses {
    builder: ExponentialBuilder,
    backoff: ExponentialBackoff,
    /// When the last pause ended.
    last_try: Option<Instant>,
}

impl Pauses {
    /// The back-off of one of this many watches.
    pub fn new(watches: usize) -> Self {
        let all = PAUSE_PER_WATCH.saturating_mul(u32::try_from(watches).unwrap_or(u32::MAX));
        let longest = MAX.max(all).min(MAX_OF_MANY);
        let builder = ExponentialBuilder::default().with_min_delay(FIRST).with_max_delay(longest).with_factor(2.0);
        let builder = builder.without_max_times();
        Self { builder, backoff: builder.build(), last_try: None }
    }

    /// The pause after a failure. After a 410 (`is_gone`) there is none, since a new list fixes it; but there is one if
    /// the list does not help.
    pub fn after_failure(&mut self, is_gone: bool, now: Instant) -> Duration {
        let was_steady = self.last_try.is_none_or(|last_try| now.saturating_duration_since(last_try) >= STEADY);
        if was_steady {
            self.backoff = self.builder.build();
        }
        let pause = if was_steady && is_gone { Duration::ZERO } else { self.backoff.next().unwrap_or(MAX_OF_MANY) };
        self.last_try = Some(now + pause);
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
    fn pauses_start_again_after_a_steady_time() {
        let (mut pauses, start) = (Pauses::new(1), Instant::now());
        for _ in 0..10 {
            pauses.after_failure(false, start);
        }
        assert_eq!(pauses.after_failure(false, start + MAX + STEADY), FIRST);
    }

    #[test]
    fn a_first_410_has_no_pause_and_later_ones_do() {
        assert_eq!(pauses(1, true, 4), [0, 500, 1000, 2000]);
    }
}
