//! Writes down what a look after a call has seen, and tells people. It never touches the journal.

use kube::runtime::events::EventType;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use tokio::time::sleep;

use crate::{
    api::{Attempt, ClusterRedistribution},
    controller::{Error, context::Context, prepare::object_name},
    observe::{
        self, Finding,
        status::{StatusChange, observed},
    },
    protocol::decide::Step,
    runtime::jitter::jittered,
    store::{API_TIMEOUT, WriteError},
};

/// Tries to write what was seen. What could not be written is seen again.
const TRIES: u32 = 5;
/// Half of the first pause between them; each is twice as long as the one before.
const PAUSE: Duration = Duration::from_millis(25);

/// Writes what was seen where that is new, decided on the object as it lies in the API server. Returns whether nothing is
/// looked for any more.
pub async fn say(
    context: &Context,
    object: &ClusterRedistribution,
    attempt: &Attempt,
    finding: &Finding,
) -> Result<bool, Error> {
    let now = Timestamp::now();
    if observed(&object.status.clone().unwrap_or_default(), attempt.generation, finding, now).is_none() {
        return Ok(false);
    }
    // News of a write of which nobody knows whether it was applied.
    let mut untold = Vec::new();
    for again in 0..TRIES {
        if again > 0 {
            sleep(jittered(PAUSE * (1 << again))).await;
        }
        let latest = match context.store.get(object, API_TIMEOUT).await {
            Ok(latest) => latest,
            Err(WriteError::Gone) => return Ok(true),
            Err(source) => return Err(Error::Write { object: object_name(object), source }),
        };
        let same = latest.attempt().is_some_and(|there| there.id == attempt.id);
        let status = latest.status.clone().unwrap_or_default();
        let next = observed(&status, attempt.generation, finding, now).filter(|_| same);
        let is_over = same && observe::stage(&latest, now).is_none();
        let Some((next, news)) = next else {
            for news in &untold {
                tell(context, object, attempt, news);
            }
            return Ok(is_over);
        };
        // Whoever leads now, or the next generation, sees for itself.
        if !context.may_begin() || !matches!(context.decide(&latest), Step::Observe(_)) {
            return Ok(false);
        }
        let said = ClusterRedistribution { status: Some(next.clone()), ..latest.clone() };
        match context.store.write(&latest, next).await {
            Ok(()) => {
                for news in &news {
                    tell(context, object, attempt, news);
                }
                return Ok(observe::stage(&said, now).is_none());
            }
            // Where the kind has no status to write, that is not found either: whether the object is gone a read tells.
            Err(WriteError::Conflict | WriteError::Gone) => {}
            Err(WriteError::Indeterminate(_) | WriteError::KindNotServed(_) | WriteError::Undecodable(_)) => {
                untold = news
            }
            Err(source) => return Err(Error::Write { object: object_name(object), source }),
        }
    }
    // Somebody writes the object again and again. What could not be written is seen again.
    Ok(false)
}

/// One log line and one event.
fn tell(context: &Context, object: &ClusterRedistribution, attempt: &Attempt, news: &StatusChange) {
    let (reason, event_type, message) = in_short(news);
    let ((namespace, name), generation) = (object_name(object), attempt.generation);
    tracing::info!(namespace, name, generation, attempt = attempt.id, reason, message, "observed");
    context.events.say(
        object,
        reason,
        event_type,
        reason,
        &format!("{message} (generation {generation}, attempt {})", attempt.id),
    );
}

/// Reason and event_type of the event, and what it says.
fn in_short(news: &StatusChange) -> (&'static str, EventType, &str) {
    match news {
        StatusChange::Confirmed(message) => ("ConfirmedByObservation", EventType::Normal, message),
        StatusChange::Started(message) => ("RedistributionStarted", EventType::Normal, message),
        // Who has paused it knows; a pause that nobody has asked for waits for somebody.
        StatusChange::Paused { message, by_cloud: false } => ("RedistributionPaused", EventType::Normal, message),
        StatusChange::Paused { message, by_cloud: true } => ("RedistributionPaused", EventType::Warning, message),
        StatusChange::Finished(message) => ("RedistributionFinished", EventType::Normal, message),
        StatusChange::Failed(message) => ("RedistributionFailed", EventType::Warning, message),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;
