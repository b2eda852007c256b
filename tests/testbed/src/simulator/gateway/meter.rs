//! How many requests the gateway lets through within a window. It must not know what they ask for.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{Answer, refuse};

/// A limit of the gateway for each key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throttle {
    /// Calls within the window.
    pub limit: usize,
    /// The window, in seconds.
    pub seconds: u64,
    /// Whether the refusal says how long to wait in a header.
    pub retry_after: bool,
}

/// What is limited, and who has passed how often. Calls have one, reads another.
#[derive(Default)]
pub struct Meter {
    pub limit: Option<Throttle>,
    passed: HashMap<String, VecDeque<Instant>>,
}

impl Meter {
    /// Lets one more of this key or user through, or tells how long to wait.
    pub fn pass(&mut self, name: &str, now: Instant) -> Result<(), Answer> {
        let Some(Throttle { limit, seconds, retry_after }) = self.limit else { return Ok(()) };
        let window = Duration::from_secs(seconds);
        let passed = self.passed.entry(name.to_owned()).or_default();
        passed.retain(|at| now.saturating_duration_since(*at) < window);
        if passed.len() < limit {
            passed.push_back(now);
            return Ok(());
        }
        let text = format!(
            "The throttling threshold has been reached: policy user over ratelimit,limit:{limit},time:{seconds} second"
        );
        let answer = refuse(429, "0308", &text);
        let oldest = passed.front().map_or(window, |at| window.saturating_sub(now.saturating_duration_since(*at)));
        Err(if retry_after { answer.header("Retry-After", &(oldest.as_secs() + 1).to_string()) } else { answer })
    }
}
