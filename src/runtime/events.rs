//! Kubernetes Events: one per outcome and one per new hold reason. Best effort in a lane of its own: bounded, with a
//! timeout, dropped under load, never in the way of status and never a reason to fail. What goes well has a pace besides:
//! of a burst only some get one.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client, Resource,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use tokio::{sync::mpsc, time::timeout};

use crate::{
    api::{ClusterRedistribution, Reason, ReasonClass},
    runtime::{metrics::Metrics, rate_limit::RateLimit},
};

/// Events waiting to be written. More than this at once help nobody.
const LANE: usize = 256;
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// Events of successes that may be written at once,
const SUCCESS_BURST: u32 = 25;
/// and then one in each interval: as many as calls, at the default rate limit of one key. Metrics count the others and
/// status shows them; nobody reads an event of each, and each would cost the API server as much as a write of status.
const SUCCESS_INTERVAL: Duration = Duration::from_millis(200);
/// The API server refuses longer notes.
const NOTE_LIMIT: usize = 1000;

struct EventMessage {
    regarding: ObjectReference,
    event: Event,
}

/// Where events are handed in. Cheap to clone.
#[derive(Clone)]
pub struct Events {
    lane: mpsc::Sender<EventMessage>,
    calm: Arc<Mutex<RateLimit>>,
    metrics: Metrics,
}

impl Events {
    /// Starts the lane.
    pub fn start(client: Client, holder: &str, metrics: Metrics) -> Self {
        let (lane, mut postings) = mpsc::channel::<EventMessage>(LANE);
        let reporter = Reporter { controller: "redistribution-operator".to_owned(), instance: Some(holder.to_owned()) };
        let recorder = Recorder::new(client, reporter);
        tokio::spawn(async move {
            while let Some(EventMessage { regarding, event }) = postings.recv().await {
                match timeout(WRITE_TIMEOUT, recorder.publish(&event, &regarding)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::debug!(%error, "an event was not written"),
                    Err(_) => tracing::debug!("an event was not written in time"),
                }
            }
        });
        Self { lane, calm: Arc::new(Mutex::new(RateLimit::new(SUCCESS_BURST, SUCCESS_INTERVAL))), metrics }
    }

    /// Tells people what became of an object. `distinction` goes into the action: the recorder folds events of the
    /// same reason and action into one series and would show the first note for all of them.
    pub fn tell(&self, object: &ClusterRedistribution, reason: Reason, distinction: &str, note: &str) {
        let calm = matches!(reason.class(), ReasonClass::Blocked | ReasonClass::InFlight | ReasonClass::Delivered);
        // Nothing is amiss: all that most of a burst would have to tell. A hold that somebody should mend is told of each.
        let goes_well = matches!(reason.class(), ReasonClass::InFlight | ReasonClass::Delivered)
            || matches!(reason, Reason::Throttled | Reason::AnotherCallInFlight | Reason::Suspended);
        let event_type = if calm { EventType::Normal } else { EventType::Warning };
        self.post(object, (reason.as_str(), event_type, goes_well), distinction, note);
    }

    /// The same for what is no reason of an object's state.
    pub fn say(
        &self,
        object: &ClusterRedistribution,
        reason: &str,
        event_type: EventType,
        distinction: &str,
        note: &str,
    ) {
        self.post(object, (reason, event_type, event_type == EventType::Normal), distinction, note);
    }

    fn post(
        &self,
        object: &ClusterRedistribution,
        (reason, event_type, goes_well): (&str, EventType, bool),
        distinction: &str,
        note: &str,
    ) {
        if goes_well && !self.calm.lock().unwrap_or_else(PoisonError::into_inner).allows(Instant::now()) {
            self.metrics.event_dropped();
            return;
        }
        let event = Event {
            type_: event_type,
            reason: reason.to_owned(),
            note: Some(note.chars().take(NOTE_LIMIT).collect()),
            action: distinction.chars().take(128).collect(),
            secondary: None,
        };
        if self.lane.try_send(EventMessage { regarding: object.object_ref(&()), event }).is_err() {
            self.metrics.event_dropped();
        }
    }
}
