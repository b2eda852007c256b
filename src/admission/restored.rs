//! PURE: what the attempts in status tell of sources of credentials that this process has not heard itself: the window of a
//! 429, and the gateway's 401. Without it each restart would meet the same window with another object and use that up. Status
//! names the source, not the key; what it tells reaches the key once the source is read. Both clocks are arguments.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use k8s_openapi::jiff::Timestamp;

use super::{Admission, keys::REFUSALS_COUNT_FOR};
use crate::{
    api::{Attempt, ClusterRedistribution, MAX_RETRY_AFTER},
    cloud::identity::KeyIdentity,
    credentials::CredentialSource,
};

/// How long it is remembered which attempts were made here: longer than what is told of them may count.
const REMEMBER_OWN: Duration = Duration::from_secs(1800);

/// What was told. See the module.
#[derive(Debug, Default)]
pub struct RestoredHolds {
    /// By attempt id, so that no attempt counts twice or for longer when it is seen again.
    words: HashMap<String, RestoredHold>,
    /// Attempts of this process: it has heard the answer itself.
    own: HashMap<String, Instant>,
}

#[derive(Debug)]
pub(super) struct RestoredHold {
    source: CredentialSource,
    endpoint: String,
    pub(super) effect: Effect,
    /// By this process's clock, from when it was first seen.
    pub(super) until: Instant,
    /// By the wall clock: seen again after that, it says nothing.
    ends: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Throttled,
    Refused,
}

impl RestoredHolds {
    /// This attempt is made here.
    pub fn own(&mut self, attempt_id: &str, now: Instant) {
        self.own.retain(|_, since| now.saturating_duration_since(*since) < REMEMBER_OWN);
        self.own.insert(attempt_id.to_owned(), now);
    }

    /// Takes in what an object's attempt tells, if it is news.
    pub fn hear(&mut self, object: &ClusterRedistribution, now: Instant, wall: Timestamp) {
        let Some(attempt) = object.attempt() else { return };
        let Some((effect, lasts)) = effect(attempt) else { return };
        if self.own.contains_key(&attempt.id) || self.words.contains_key(&attempt.id) {
            return;
        }
        let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
        let source = attempt.credentials.as_deref().and_then(|text| CredentialSource::parse(text, namespace));
        let (Some(source), Some(endpoint), Some(finished)) = (source, &attempt.endpoint, &attempt.finished_time) else {
            return;
        };
        let ends = finished.0 + lasts;
        // What a wall clock that is off makes of it is no longer than the whole.
        let left = Duration::try_from(ends.duration_since(wall)).unwrap_or_default().min(lasts);
        if left.is_zero() {
            return;
        }
        self.words.retain(|_, word| word.until > now || word.ends > wall);
        let word = RestoredHold { source, endpoint: endpoint.clone(), effect, until: now + left, ends };
        self.words.insert(attempt.id.clone(), word);
    }

    pub(super) fn of<'a>(
        &'a self,
        source: &'a CredentialSource,
        endpoint: &'a str,
    ) -> impl Iterator<Item = (&'a String, &'a RestoredHold)> {
        self.words.iter().filter(move |(_, word)| word.source == *source && word.endpoint == endpoint)
    }
}

/// What an answer said of its source, and for how long.
fn effect(attempt: &Attempt) -> Option<(Effect, Duration)> {
    match attempt.status_code? {
        429 => {
            let seconds = attempt.retry_after_seconds?.clamp(0, MAX_RETRY_AFTER);
            Some((Effect::Throttled, Duration::from_secs(seconds.unsigned_abs())))
        }
        // One with a code of the service was let through by the gateway.
        401 if !attempt.error_code.as_deref().is_some_and(|code| code.starts_with("DWS.")) => {
            Some((Effect::Refused, REFUSALS_COUNT_FOR))
        }
        _ => None,
    }
}

impl Admission {
    /// This attempt is made here: its answer was heard.
    pub fn own(&self, attempt_id: &str) {
        self.lock().told.own(attempt_id, Instant::now());
    }

    /// Takes in what an object's attempt tells of its source.
    pub fn hear(&self, object: &ClusterRedistribution) {
        // Of most there is nothing to hear.
        if object.attempt().and_then(effect).is_some() {
            self.lock().told.hear(object, Instant::now(), Timestamp::now());
        }
    }

    /// A source was read and holds this key: what was told of the source counts for it.
    pub fn recall(&self, source: &CredentialSource, endpoint: &str, key: (KeyIdentity, bool)) {
        self.lock().recall(source, endpoint, key, Instant::now());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
