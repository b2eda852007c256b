//! Kubernetes Events: one per outcome and one per new hold reason. Best effort, in tasks of their own: bounded, with a
//! timeout, dropped under load; they never delay status and never cause a failure.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use kube::{
    Client, Resource,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use parking_lot::Mutex;
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    api::{ClusterRedistribution, Reason, ReasonClass},
    runtime::{metrics::Metrics, throttle::WriteLimit},
};

/// Events waiting to be written. More than this at once are of no use to a reader.
const MAX_WAITING: usize = 256;
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// A burst, then one in each interval: as many as calls at the default rate limit of one key. Metrics count the others and
/// status shows them; each event would cost the API server as much as a write of status.
const SUCCESS_BURST: u32 = 25;
const SUCCESS_INTERVAL: Duration = Duration::from_millis(200);
/// Characters of a note; the API server refuses longer ones.
const NOTE_LIMIT: usize = 1000;

/// Writes events, one at a time.
#[derive(Clone)]
pub struct Events {
    recorder: Arc<tokio::sync::Mutex<Recorder>>,
    waiting: Arc<Semaphore>,
    successes: Arc<Mutex<WriteLimit>>,
    metrics: Metrics,
}

impl Events {
    pub fn new(client: Client, holder: &str, metrics: Metrics) -> Self {
        let reporter = Reporter { controller: "redistribution-operator".to_owned(), instance: Some(holder.to_owned()) };
        Self {
            recorder: Arc::new(Recorder::new(client, reporter).into()),
            waiting: Arc::new(Semaphore::new(MAX_WAITING)),
            successes: Arc::new(Mutex::new(WriteLimit::new(SUCCESS_BURST, SUCCESS_INTERVAL))),
            metrics,
        }
    }

    /// Emits an event for a reason of an object's conditions.
    pub fn emit(&self, object: &ClusterRedistribution, reason: Reason, action: &str, note: &str) {
        let is_normal = matches!(reason.class(), ReasonClass::Blocked | ReasonClass::InFlight | ReasonClass::Delivered);
        // Nothing is wrong: most events of a burst are of these. A hold that a person has to fix gets an event for each
        // object.
        let is_success = matches!(reason.class(), ReasonClass::InFlight | ReasonClass::Delivered)
            || matches!(reason, Reason::Throttled | Reason::AnotherCallInFlight | Reason::Suspended);
        let event_type = if is_normal { EventType::Normal } else { EventType::Warning };
        self.post(object, (reason.as_str(), event_type, is_success), action, note);
    }

    /// `action` distinguishes events of the same reason: the recorder folds events of one reason and action into one series
    /// and would show the first note for all of them.
    pub fn post(
        &self,
        object: &ClusterRedistribution,
        (reason, event_type, is_success): (&str, EventType, bool),
        action: &str,
        note: &str,
    ) {
        if is_success && !self.successes.lock().allows(Instant::now()) {
            self.metrics.events_dropped.inc();
            return;
        }
        let Ok(place) = Arc::clone(&self.waiting).try_acquire_owned() else {
            self.metrics.events_dropped.inc();
            return;
        };
        let event = Event {
            type_: event_type,
            reason: reason.to_owned(),
            note: Some(note.chars().take(NOTE_LIMIT).collect()),
            action: action.chars().take(128).collect(),
            secondary: None,
        };
        let (recorder, regarding) = (Arc::clone(&self.recorder), object.object_ref(&()));
        tokio::spawn(async move {
            let recorder = recorder.lock().await;
            match timeout(WRITE_TIMEOUT, recorder.publish(&event, &regarding)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "an event was not written"),
                Err(_) => tracing::debug!("an event was not written in time"),
            }
            drop(place);
        });
    }
}
