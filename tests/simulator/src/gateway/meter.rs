//! How many requests the gateway accepts within a window. It must not know their content.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{Answer, refuse};

/// A limit of the gateway for each key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttle {
    pub limit: usize,
    /// The window, in seconds.
    pub seconds: u64,
    /// Whether the refusal has a Retry-After header.
    pub retry_after: bool,
}

/// The limit, and the accepted calls of each sender in its window.
#[derive(Default)]
pub struct Meter {
    pub limit: Option<Throttle>,
    windows: HashMap<String, (Instant, usize)>,
}

impl Meter {
    /// Accepts one more request of this key or user, or returns the time to wait. A window begins with the first
    /// accepted request, and all of them are forgotten at its end.
    pub fn pass(&mut self, name: &str, now: Instant) -> Result<(), Answer> {
        let Some(Throttle { limit, seconds, retry_after }) = self.limit else { return Ok(()) };
        let window = Duration::from_secs(seconds);
        let (begin, passed) = self.windows.entry(name.to_owned()).or_insert((now, 0));
        if now.saturating_duration_since(*begin) >= window {
            (*begin, *passed) = (now, 0);
        }
        if *passed < limit {
            *passed += 1;
            return Ok(());
        }
        let left = window.saturating_sub(now.saturating_duration_since(*begin));
        let text = format!(
            "The throttling threshold has been reached: policy user over ratelimit,limit:{limit},time:{seconds} second"
        );
        let answer = refuse(429, "0308", &text);
        Err(if retry_after { answer.header("Retry-After", &(left.as_secs() + 1).to_string()) } else { answer })
    }
}
