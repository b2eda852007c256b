//! Writes the finding of a poll into status, logs it and emits events. Never touches the journal.

use kube::runtime::events::EventType;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use tokio::time::sleep;

use super::Poller;
use crate::{
    api::{Attempt, ClusterRedistribution},
    controller::{Error, report::Reporter},
    observe::{
        self, Finding,
        status::{StatusChange, observed},
    },
    runtime::jitter::jittered,
    store::StoreError,
};

/// Tries to write a finding. One that could not be written is found again by a later poll.
const TRIES: u32 = 5;
/// Half of the first pause between the tries; each pause is twice as long as the one before.
const PAUSE: Duration = Duration::from_millis(25);

impl Poller {
    /// Writes a finding that is new, decided on the object in the API server. Returns whether polling ends.
    pub async fn write_finding(
        &self,
        object: &ClusterRedistribution,
        attempt: &Attempt,
        finding: &Finding,
    ) -> Result<bool, Error> {
        let now = Timestamp::now();
        if observed(&object.status.clone().unwrap_or_default(), attempt.generation, finding, now).is_none() {
            return Ok(false);
        }
        // Changes of a write that may or may not have been applied.
        let mut unreported = Vec::new();
        for tries in 0..TRIES {
            if tries > 0 {
                sleep(jittered(PAUSE * (1 << tries))).await;
            }
            let latest = match self.reporter.store.get(&object.key()).await {
                Ok(latest) => latest,
                Err(StoreError::Gone) => return Ok(true),
                Err(source) => return Err(Error::write(object, source)),
            };
            let is_same = latest.attempt().is_some_and(|there| there.id == attempt.id);
            let status = latest.status.clone().unwrap_or_default();
            let next = observed(&status, attempt.generation, finding, now).filter(|_| is_same);
            let is_over = is_same && observe::stage(&latest, now).is_none();
            let Some((next, changes)) = next else {
                for change in &unreported {
                    announce(&self.reporter, object, attempt, change);
                }
                return Ok(is_over);
            };
            // The current leader, or the next generation, polls by itself.
            if !self.role.may_begin() || observe::due(&latest, &self.decider.decide(&latest), now).is_none() {
                return Ok(false);
            }
            let written = ClusterRedistribution { status: Some(next.clone()), ..latest.clone() };
            match self.reporter.store.write(&latest, next).await {
                Ok(()) => {
                    for change in &changes {
                        announce(&self.reporter, object, attempt, change);
                    }
                    return Ok(observe::stage(&written, now).is_none());
                }
                // 404 also means that the kind has no status to write; the next read shows whether the object is gone.
                Err(StoreError::Conflict | StoreError::Gone) => {}
                Err(StoreError::Indeterminate(_) | StoreError::KindNotServed(_) | StoreError::Undecodable(_)) => {
                    unreported = changes;
                }
                Err(source) => return Err(Error::write(object, source)),
            }
        }
        // Another writer writes the object again and again. A later poll finds the same again.
        Ok(false)
    }
}

/// Logs a change and emits an event.
fn announce(reporter: &Reporter, object: &ClusterRedistribution, attempt: &Attempt, change: &StatusChange) {
    let (reason, event_type, message) = event_of(change);
    let ((namespace, name), generation) = (object.key().object_name(), attempt.generation);
    tracing::info!(namespace, name, generation, attempt = attempt.id, reason, message, "observed");
    reporter.events.emit_other(
        object,
        reason,
        event_type,
        reason,
        &format!("{message} (generation {generation}, attempt {})", attempt.id),
    );
}

/// Reason, type and message of the event.
fn event_of(change: &StatusChange) -> (&'static str, EventType, &str) {
    match change {
        StatusChange::Confirmed(message) => ("ConfirmedByObservation", EventType::Normal, message),
        StatusChange::Started(message) => ("RedistributionStarted", EventType::Normal, message),
        // A user who paused it knows of the pause; a pause by the cloud needs a person.
        StatusChange::Paused { message, by_cloud: false } => ("RedistributionPaused", EventType::Normal, message),
        StatusChange::Paused { message, by_cloud: true } => ("RedistributionPaused", EventType::Warning, message),
        StatusChange::Finished(message) => ("RedistributionFinished", EventType::Normal, message),
        StatusChange::Failed(message) => ("RedistributionFailed", EventType::Warning, message),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;
