//! Sources that could not be read: the failure is shared by all objects of the source until its next read, which comes
//! later each time. The clock is an argument.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use super::{CredentialSource, CredentialsError};

/// First pause: a user may be about to create the Secret.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// Longest pause.
const MAX_PAUSE: Duration = Duration::from_secs(300);
/// A source that was not asked for so long is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(3600);

#[derive(Debug)]
struct Failure {
    error: CredentialsError,
    next: Instant,
    backoff: ExponentialBackoff,
}

/// The failures, by source.
#[derive(Debug, Default)]
pub struct Failures(HashMap<CredentialSource, Failure>);

impl Failures {
    /// Why this source is not read now, and how long.
    pub fn known(&self, source: &CredentialSource, now: Instant) -> Option<(CredentialsError, Duration)> {
        let failure = self.0.get(source)?;
        let wait = failure.next.saturating_duration_since(now);
        (!wait.is_zero()).then(|| (failure.error.clone(), wait))
    }

    /// A read failed. Returns the pause until the next one. Failures of reads that began together count once.
    pub fn failed(&mut self, source: &CredentialSource, error: &CredentialsError, now: Instant) -> Duration {
        self.0.retain(|_, failure| now.saturating_duration_since(failure.next) < FORGET_AFTER);
        let backoff = || {
            let builder = ExponentialBuilder::default().with_min_delay(FIRST_PAUSE).with_max_delay(MAX_PAUSE);
            builder.with_factor(2.0).without_max_times().build()
        };
        let new = || Failure { error: error.clone(), next: now, backoff: backoff() };
        let failure = self.0.entry(source.clone()).or_insert_with(new);
        failure.error = error.clone();
        if failure.next <= now {
            failure.next = now + failure.backoff.next().unwrap_or(MAX_PAUSE);
        }
        failure.next.saturating_duration_since(now)
    }

    /// The pause of this source is over.
    #[cfg(test)]
    pub fn make_due(&mut self, source: &CredentialSource) {
        if let Some(failure) = self.0.get_mut(source) {
            failure.next = Instant::now();
        }
    }

    /// A read succeeded. Returns whether the last one had failed.
    pub fn succeeded(&mut self, source: &CredentialSource) -> bool {
        self.0.remove(source).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_shared_until_the_next_read_which_comes_later_each_time() {
        let (mut failures, mut now) = (Failures::default(), Instant::now());
        let source = CredentialSource::Secret { namespace: "team".to_owned(), name: "dws".to_owned() };
        let error = || CredentialsError::NotFound("Secret team/dws".to_owned());
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let pause = failures.failed(&source, &error(), now);
            assert_eq!(failures.failed(&source, &error(), now), pause, "failures that began together count once");
            assert_eq!(failures.known(&source, now).map(|(_, wait)| wait), Some(pause));
            assert!(failures.known(&CredentialSource::Controller, now).is_none());
            now += pause;
            assert!(failures.known(&source, now).is_none());
            pauses.push(pause.as_secs());
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300]);
        assert!(failures.succeeded(&source) && !failures.succeeded(&source));
        assert_eq!(failures.failed(&source, &error(), now), FIRST_PAUSE);
    }
}
