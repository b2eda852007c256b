//! Which endpoints are known to be unreachable, and when the next request may try them: one at a time, with a growing
//! back-off, so that an outage of the cloud costs neither claims nor writes.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::runtime::locks::{Lock, Locks};

/// First pause before an unreachable endpoint is tried again.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// Longest such pause.
const MAX_PAUSE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
struct Unreachable {
    /// Failures in a row.
    failures: u32,
    next: Instant,
}

/// The endpoints that could not be reached, by name.
#[derive(Debug, Default)]
pub struct EndpointHealth {
    unreachable: Mutex<HashMap<String, Unreachable>>,
    probes: Locks<String>,
}

impl EndpointHealth {
    /// Returns at once if no failure is known. Else waits for the request that tries the endpoint now, and returns the
    /// right to be the next one to try it, or the time until that is due.
    pub async fn enter(&self, endpoint: &str) -> Result<Option<Lock<String>>, Duration> {
        if !self.is_unreachable(endpoint) {
            return Ok(None);
        }
        let probe = self.probes.lock(endpoint.to_owned()).await;
        let known = self.known().get(endpoint).copied();
        match known.map(|known| known.next.saturating_duration_since(Instant::now())) {
            None => Ok(None),
            Some(wait) if wait.is_zero() => Ok(Some(probe)),
            Some(wait) => Err(wait),
        }
    }

    /// A connection failed. Returns the pause until the next one. Failures of requests that began together count once.
    pub fn failed(&self, endpoint: &str) -> Duration {
        let (mut known, now) = (self.known(), Instant::now());
        let endpoint = known.entry(endpoint.to_owned()).or_insert(Unreachable { failures: 0, next: now });
        if endpoint.next <= now {
            endpoint.next = now + FIRST_PAUSE.saturating_mul(1 << endpoint.failures.min(5)).min(MAX_PAUSE);
            endpoint.failures = endpoint.failures.saturating_add(1);
        }
        endpoint.next.saturating_duration_since(now)
    }

    /// A connection succeeded. Returns whether the endpoint was unreachable before.
    pub fn reached(&self, endpoint: &str) -> bool {
        self.known().remove(endpoint).is_some()
    }

    /// Whether the last connection failed.
    pub fn is_unreachable(&self, endpoint: &str) -> bool {
        self.known().contains_key(endpoint)
    }

    /// What lies behind the lock is whole after each change.
    fn known(&self) -> MutexGuard<'_, HashMap<String, Unreachable>> {
        self.unreachable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn an_endpoint_that_failed_is_tried_by_one_after_its_pause() {
        let health = EndpointHealth::default();
        assert!(matches!(health.enter("a").now_or_never(), Some(Ok(None))));
        assert_eq!(health.failed("a"), FIRST_PAUSE);
        assert!(health.failed("a") <= FIRST_PAUSE, "failures that began together count once");
        assert!(matches!(health.enter("a").now_or_never(), Some(Err(_))));
        assert!(matches!(health.enter("b").now_or_never(), Some(Ok(None))));
        for known in health.known().values_mut() {
            known.next = Instant::now();
        }
        let probe = health.enter("a").now_or_never();
        assert!(matches!(probe, Some(Ok(Some(_)))));
        assert!(health.enter("a").now_or_never().is_none(), "one at a time");
        assert!(health.reached("a") && !health.reached("a"));
        drop(probe);
        assert!(matches!(health.enter("a").now_or_never(), Some(Ok(None))));
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        let health = EndpointHealth::default();
        let mut pauses = Vec::new();
        for _ in 0..7 {
            pauses.push(health.failed("a").as_secs());
            health.known().values_mut().for_each(|known| known.next = Instant::now());
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60]);
    }
}
