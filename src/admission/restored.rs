//! PURE: what attempts in status record about their credential source and this process did not receive itself: the
//! Retry-After time of a 429, and the gateway's 401. Without it each restart would meet the same 429 with another
//! object and use that up. Status names the source, not the key; it counts for the key once the source is read. Both
//! clocks are arguments.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use k8s_openapi::jiff::Timestamp;

use super::keys::Keys;
use crate::{
    api::{Attempt, ClusterRedistribution, MAX_RETRY_AFTER},
    cloud::auth::KeyIdentity,
    credentials::{CredentialSource, lockout::REFUSAL_LASTS},
};

/// Longer than their record in status may count.
const REMEMBER_OWN: Duration = Duration::from_secs(1800);

#[derive(Debug, Default)]
pub struct RestoredHolds {
    /// By attempt id, so that an attempt that is seen again counts neither twice nor for longer.
    holds: HashMap<String, RestoredHold>,
    /// Attempts of this process, by id.
    own_attempts: HashMap<String, Instant>,
}

#[derive(Debug)]
struct RestoredHold {
    source: CredentialSource,
    endpoint: String,
    effect: Effect,
    /// By this process's clock, counted from the first sight of the attempt.
    until: Instant,
    /// By the wall clock: seen again after that, the attempt no longer counts.
    ends_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Throttled,
    Refused,
}

impl RestoredHolds {
    pub fn note_own(&mut self, attempt_id: &str, now: Instant) {
        self.own_attempts.retain(|_, since| now.saturating_duration_since(*since) < REMEMBER_OWN);
        self.own_attempts.insert(attempt_id.to_owned(), now);
    }

    /// Adds what is new in an object's attempt.
    pub fn add(&mut self, object: &ClusterRedistribution, now: Instant, wall: Timestamp) {
        let Some(attempt) = object.attempt() else { return };
        let Some((effect, lasts)) = effect(attempt) else { return };
        if self.own_attempts.contains_key(&attempt.id) || self.holds.contains_key(&attempt.id) {
            return;
        }
        let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
        let source = attempt.credentials.as_deref().and_then(|text| CredentialSource::parse(text, namespace));
        let (Some(source), Some(endpoint), Some(finished)) = (source, &attempt.endpoint, &attempt.finished_time) else {
            return;
        };
        let ends_at = finished.0 + lasts;
        // With a wall clock that is off, the time left is still at most the whole time.
        let left = Duration::try_from(ends_at.duration_since(wall)).unwrap_or_default().min(lasts);
        if left.is_zero() {
            return;
        }
        self.holds.retain(|_, hold| hold.until > now || hold.ends_at > wall);
        let hold = RestoredHold { source, endpoint: endpoint.clone(), effect, until: now + left, ends_at };
        self.holds.insert(attempt.id.clone(), hold);
    }

    /// The source was read and holds this key (`true`: an access key). Refusals count against access keys only.
    pub fn apply(
        &self,
        source: &CredentialSource,
        endpoint: &str,
        (key, is_access_key): (KeyIdentity, bool),
        keys: &mut Keys,
        now: Instant,
    ) {
        let is_due = |hold: &RestoredHold| hold.source == *source && hold.endpoint == endpoint && hold.until > now;
        for (id, hold) in self.holds.iter().filter(|(_, hold)| is_due(hold)) {
            match hold.effect {
                Effect::Throttled => keys.throttle(key, hold.until),
                Effect::Refused if is_access_key => keys.refused(key, id, hold.until),
                Effect::Refused => {}
            }
        }
    }
}

/// What an answer means for its credential source, and for how long.
fn effect(attempt: &Attempt) -> Option<(Effect, Duration)> {
    match attempt.status_code? {
        429 => {
            let seconds = attempt.retry_after_seconds?.clamp(0, MAX_RETRY_AFTER);
            Some((Effect::Throttled, Duration::from_secs(seconds.unsigned_abs())))
        }
        // A 401 with a DWS error code comes from the service, so it is no refusal by the gateway.
        401 if !attempt.error_code.as_deref().is_some_and(|code| code.starts_with("DWS.")) => {
            Some((Effect::Refused, REFUSAL_LASTS))
        }
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
