//! PURE: which endpoints are known to be away, and who may find out whether they still are. One probe at a time for each,
//! later each time: an outage of the cloud then costs neither claims nor writes. The clock is an argument.

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
    /// None: somebody tries it, and nothing is known against it.
    failures: u32,
    next_probe: Instant,
}

/// Endpoints that did not answer, or are being tried. See the module.
#[derive(Debug, Default)]
pub struct EndpointHealth(HashMap<String, Unreachable>);

/// Whether an endpoint may be claimed for.
#[derive(Debug, PartialEq, Eq)]
pub enum Health {
    /// Nothing is known against it.
    Open,
    /// It failed before: probe it now, and say how that went.
    Probe,
    /// It failed before, and it is too early or another one is probing.
    Wait(Duration),
    /// Nothing is known against it, but another one is just finding out.
    Probing(Duration),
}

impl EndpointHealth {
    /// May a claim be made towards this endpoint? `suspect`: the object's last try did not get through.
    pub fn health(&mut self, endpoint: &str, suspect: bool, now: Instant) -> Health {
        match self.0.get_mut(endpoint) {
            None if !suspect => Health::Open,
            None => {
                self.0.insert(endpoint.to_owned(), Unreachable { failures: 0, next_probe: now + FIRST_PROBE });
                Health::Probe
            }
            Some(unreachable) => {
                let rest = unreachable.next_probe.saturating_duration_since(now);
                if !rest.is_zero() {
                    return if unreachable.failures == 0 { Health::Probing(rest) } else { Health::Wait(rest) };
                }
                // Taken by this one; the others look again when it is through.
                unreachable.next_probe =
                    now + FIRST_PROBE.saturating_mul(1 << unreachable.failures.min(5)).min(LAST_PROBE);
                Health::Probe
            }
        }
    }

    /// A probe or a call found the endpoint unreachable. Returns the pause until the next probe.
    pub fn unreachable(&mut self, endpoint: &str, now: Instant) -> Duration {
        let known = self.0.entry(endpoint.to_owned()).or_insert(Unreachable { failures: 0, next_probe: now });
        let pause = FIRST_PROBE.saturating_mul(1 << known.failures.min(5)).min(LAST_PROBE);
        known.failures = known.failures.saturating_add(1);
        known.next_probe = now + pause;
        pause
    }

    /// It failed, and nobody has got through since. Asking takes nobody's turn to try.
    pub fn is_unreachable(&self, endpoint: &str) -> bool {
        self.0.get(endpoint).is_some_and(|known| known.failures > 0)
    }

    /// A probe or a call got through. Returns whether it had been away.
    pub fn reachable(&mut self, endpoint: &str) -> bool {
        self.0.remove(endpoint).is_some()
    }
}
