//! Pauses of a random length, so that requests that failed together are not repeated together. The guarantee must not
//! depend on them.

use std::time::Duration;

/// A random time between half of `full` and `full`.
pub fn jittered(full: Duration) -> Duration {
    full.mul_f64(rand::random_range(0.5..=1.0))
}
