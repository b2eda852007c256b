//! PURE: which endpoints are known to be unreachable, and which object may probe them. One probe at a time for each
//! endpoint, with a growing back-off: an outage of the cloud then costs neither claims nor writes. The clock is an
//! argument.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// First pause before an unreachable endpoint is probed again.
const FIRST_PROBE: Duration = Duration::from_secs(2);
/// Longest such pause.
const LAST_PROBE: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Unreachable {
    /// Failed probes and calls in a row; 0 while the first probe is under way.
    failures: u32,
    next_probe: Instant,
}

/// The endpoints that did not answer, or are being probed.
#[derive(Debug, Default)]
pub struct EndpointHealth(HashMap<String, Unreachable>);

/// Whether an object may claim a call to an endpoint.
#[derive(Debug, PartialEq, Eq)]
pub enum Health {
    /// No failure is known.
    Open,
    /// It failed before: probe it now, and report the result.
    Probe,
    /// It failed before, and either the back-off is not over or another object is probing. Holds the time to wait.
    Wait(Duration),
    /// No failure is known, but another object is probing it now. Holds the time to wait.
    Probing(Duration),
}

impl EndpointHealth {
    /// Whether a call to this endpoint may be claimed. `suspect`: the object's last attempt did not connect.
    pub fn health(&mut self, endpoint: &str, suspect: bool, now: Instant) -> Health {
        match self.0.get_mut(endpoint) {
            None if !suspect => Health::Open,
            None => {
                self.0.insert(endpoint.to_owned(), Unreachable { failures: 0, next_probe: now + FIRST_PROBE });
                Health::Probe
            }
            Some(unreachable) => {
                let wait = unreachable.next_probe.saturating_duration_since(now);
                if !wait.is_zero() {
                    return if unreachable.failures == 0 { Health::Probing(wait) } else { Health::Wait(wait) };
                }
                // This object probes; the others ask again when the probe is over.
                unreachable.next_probe =
                    now + FIRST_PROBE.saturating_mul(1 << unreachable.failures.min(5)).min(LAST_PROBE);
                Health::Probe
            }
        }
    }

    /// Records that a probe or a call found the endpoint unreachable. Returns the back-off until the next probe.
    pub fn unreachable(&mut self, endpoint: &str, now: Instant) -> Duration {
        let unreachable = self.0.entry(endpoint.to_owned()).or_insert(Unreachable { failures: 0, next_probe: now });
        let pause = FIRST_PROBE.saturating_mul(1 << unreachable.failures.min(5)).min(LAST_PROBE);
        unreachable.failures = unreachable.failures.saturating_add(1);
        unreachable.next_probe = now + pause;
        pause
    }

    /// Whether it failed and no connection has succeeded since. Does not use up the next probe.
    pub fn is_unreachable(&self, endpoint: &str) -> bool {
        self.0.get(endpoint).is_some_and(|unreachable| unreachable.failures > 0)
    }

    /// Records that a probe or a call connected. Returns whether the endpoint was unreachable or being probed before.
    pub fn reachable(&mut self, endpoint: &str) -> bool {
        self.0.remove(endpoint).is_some()
    }
}
