//! Waiting for a condition with a deadline. A fixed sleep must never replace a condition: on a slow machine it is too
//! short, on a quick one wasted.

use std::{fmt::Display, time::Duration};

use tokio::time::{Instant, sleep, timeout_at};

/// The expected condition did not come in time.
#[derive(Debug, thiserror::Error)]
#[error("expected within {deadline:?}: {what}; last seen: {last_seen}")]
pub struct Overdue {
    pub what: String,
    pub deadline: Duration,
    pub last_seen: String,
}

/// Calls `look` until it returns `Ok`, and returns that value.
pub async fn eventually<T, E, F>(deadline: Duration, what: &str, look: F) -> T
where
    F: AsyncFnMut() -> Result<T, E>,
    E: Display,
{
    match try_eventually(deadline, what, look).await {
        Ok(seen) => seen,
        Err(overdue) => panic!("{overdue}"),
    }
}

/// As [`eventually`], with an error instead of a panic.
pub async fn try_eventually<T, E, F>(deadline: Duration, what: &str, mut look: F) -> Result<T, Overdue>
where
    F: AsyncFnMut() -> Result<T, E>,
    E: Display,
{
    let end = Instant::now() + deadline;
    let mut pause = Duration::from_millis(5);
    let mut last_seen = String::from("nothing");
    loop {
        match timeout_at(end, look()).await {
            Ok(Ok(seen)) => return Ok(seen),
            Ok(Err(seen)) => last_seen = seen.to_string(),
            Err(_) => last_seen += " (and one more look did not return in time)",
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Overdue { what: what.to_owned(), deadline, last_seen });
        }
        sleep(pause.min(left)).await;
        pause = (pause * 2).min(Duration::from_millis(200));
    }
}
