//! Reports in an object's status why nothing is called: once for each reason, and not if status reports it already.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use super::{Error, SOON};
use crate::{
    api::{ClusterRedistribution, ClusterRedistributionStatus, Reason},
    protocol::{
        conditions::reason_at,
        hold::{Hold, RECHECK_AFTER},
        transitions,
    },
    runtime::{events::Events, jitter::jittered, metrics::Metrics},
    store::{Reported, StatusStore, StoreError, object::Undecodable},
};

/// Writes reports, and tells log, events and metrics of them.
#[derive(Clone)]
pub struct Reporter {
    /// The only writer of status.
    pub store: StatusStore,
    /// The queue of Kubernetes Events.
    pub events: Events,
    /// The metrics.
    pub metrics: Metrics,
}

/// Whether status reports this already, word for word, so that there is nothing to read or write.
pub fn is_reported(object: &ClusterRedistribution, reason: Reason, message: &str) -> bool {
    held(object, reason, message).is_none()
}

/// The status with this report; `None` if nothing changes.
fn held(object: &ClusterRedistribution, reason: Reason, message: &str) -> Option<ClusterRedistributionStatus> {
    let (uid, generation) = (object.metadata.uid.as_deref(), object.metadata.generation.unwrap_or_default());
    let current = match reason {
        Reason::JournalInvalid => object.status.clone(),
        _ => transitions::without_foreign(object.status.as_ref(), uid.unwrap_or_default()),
    };
    transitions::held_before_call(current.as_ref(), generation, reason, message, Timestamp::now())
}

/// The reason that status shows for the object's generation.
pub fn reported_reason(object: &ClusterRedistribution) -> Option<&str> {
    reason_at(&object.status.as_ref()?.conditions, object.metadata.generation.unwrap_or_default())
}

impl Reporter {
    /// Writes the hold if status does not report it yet, and logs it and emits an event if the reason is new.
    pub async fn hold(&self, object: &ClusterRedistribution, held: &Hold) -> Result<(), Error> {
        let Some(next) = self::held(object, held.reason, &held.message) else { return Ok(()) };
        let is_new = reported_reason(object) != Some(held.reason.as_str());
        // After a conflict the watch delivers the change; the back-off is for an object with conflicts again and again.
        self.store.write(object, next).await.map_err(|source| Error::write(object, source))?;
        if is_new {
            self.announce(object, held);
        }
        Ok(())
    }

    /// Logs a new hold and emits an event.
    pub fn announce(&self, object: &ClusterRedistribution, held: &Hold) {
        let (key, generation) = (object.key(), object.metadata.generation);
        let (namespace, name) = (key.namespace, key.name);
        tracing::info!(namespace, name, generation, reason = %held.reason, message = held.message, "held");
        self.events.emit(object, held.reason, held.reason.as_str(), &held.message);
        self.metrics.hold(held.reason);
    }

    /// Reports an object that this version cannot decode in its own condition. Returns when to look again.
    pub async fn undecodable(&self, invalid: &Undecodable) -> Result<Duration, Error> {
        let metadata = &invalid.metadata;
        let (namespace, name) = (metadata.namespace.as_deref(), metadata.name.as_deref());
        let error = &invalid.error;
        match self.store.report_undecodable(metadata, error, Timestamp::now()).await {
            Ok(Reported::Written) => {
                tracing::warn!(namespace, name, error, "this object cannot be read");
                self.metrics.hold(Reason::ObjectInvalid);
            }
            Ok(Reported::LeftAlone) => {
                tracing::warn!(
                    namespace,
                    name,
                    error,
                    "this object cannot be read, and its status is not changed, since it may be the only proof of a call"
                );
            }
            Ok(Reported::Known) => {}
            Ok(Reported::NoLongerApplies) | Err(StoreError::Conflict | StoreError::Gone) => {
                return Ok(jittered(SOON));
            }
            Err(source) => {
                let text = |field: Option<&str>| field.unwrap_or_default().to_owned();
                return Err(Error::Write { object: (text(namespace), text(name)), source });
            }
        }
        Ok(jittered(RECHECK_AFTER))
    }
}
