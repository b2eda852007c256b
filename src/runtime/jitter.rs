//! Pauses of a random length, so that requests that failed together are not repeated together. The guarantee must not
//! depend on them.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

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
    ExponentialBuilder::default()
        .with_min_delay(first)
        .with_max_delay(longest)
        .with_factor(2.0)
        .without_max_times()
        .build()
}
