//! Pauses of a random length, so that what failed together does not come back together. It must not be used for anything
//! that the law rests on.

use std::time::Duration;

/// Between half and all of `full`.
pub fn jittered(full: Duration) -> Duration {
    full.mul_f64(rand::random_range(0.5..=1.0))
}
