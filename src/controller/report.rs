//! Reports why nothing is called, once for each reason and not if status reports it already, and what became of attempts:
//! in status, log, events and metrics. Contains no secret.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use super::{Error, SOON};
use crate::{
    api::{Attempt, ClusterRedistribution, ClusterRedistributionStatus, Reason},
    credentials::{CredentialSource, CredentialsError, REFUSED_RECHECK},
    protocol::{
        conditions::reason_at,
        decide::Plan,
        hold::{Hold, RECHECK_AFTER},
        transitions::{self, Record},
    },
    runtime::{events::Events, jitter::jittered, metrics::Metrics},
    store::{Recorded, Reported, StatusStore, StoreError, object::Undecodable},
};

/// How often a CRD that was too old is tried by a dry run for each object.
const CRD_RECHECK: Duration = Duration::from_secs(60);
/// Filters and readers of the log expect the lines of attempts under this module.
const ATTEMPT: &str = "redistribution_operator::controller::attempt";

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
    pub(super) async fn hold(&self, object: &ClusterRedistribution, held: &Hold) -> Result<(), Error> {
        let Some(next) = self::held(object, held.reason, &held.message) else { return Ok(()) };
        let is_new = reported_reason(object) != Some(held.reason.as_str());
        // After a conflict the watch delivers the change; the back-off is for an object with conflicts again and again.
        self.store.write(object, next).await.map_err(|source| Error::new(object, source))?;
        if is_new {
            self.announce(object, held);
        }
        Ok(())
    }

    /// Logs a new hold and emits an event.
    pub(super) fn announce(&self, object: &ClusterRedistribution, held: &Hold) {
        let ((namespace, name), generation) = (object.key().object_name(), object.metadata.generation);
        tracing::info!(namespace, name, generation, reason = %held.reason, message = held.message, "held");
        self.events.emit(object, held.reason, held.reason.as_str(), &held.message);
        self.metrics.hold(held.reason);
    }

    /// Reports an object that this version cannot decode in its own condition. Returns when to look again.
    pub(super) async fn undecodable(&self, invalid: &Undecodable) -> Result<Duration, Error> {
        let (metadata, error) = (&invalid.metadata, &invalid.error);
        let (namespace, name) = (metadata.namespace.as_deref(), metadata.name.as_deref());
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
                return Err(Error { object: (text(namespace), text(name)), source });
            }
        }
        Ok(jittered(RECHECK_AFTER))
    }

    /// The call is made although the precheck did not find the cluster waiting.
    pub(super) fn announce_note(&self, object: &ClusterRedistribution, note: &str) {
        let (namespace, name) = object.key().object_name();
        tracing::warn!(target: ATTEMPT, namespace, name, note, "called although the cluster was not seen to wait");
        self.events.emit(object, Reason::ClusterNotWaiting, "Called", &format!("{note}. It is called all the same"));
    }

    /// Logs an outcome and emits an event.
    pub(super) fn announce_outcome(
        &self,
        object: &ClusterRedistribution,
        attempt: &Attempt,
        record: &Record,
        recorded: Recorded,
    ) {
        let (namespace, name) = object.key().object_name();
        tracing::info!(
            target: ATTEMPT,
            namespace,
            name,
            uid = attempt.uid,
            generation = attempt.generation,
            attempt = attempt.id,
            state = record.state.as_str(),
            reason = %record.reason,
            status_code = record.status_code,
            error_code = record.error_code,
            request_id = record.request_id,
            endpoint = attempt.endpoint,
            recorded = ?recorded,
            "outcome"
        );
        if recorded != Recorded::Known {
            let code =
                record.status_code.map_or_else(|| record.state.as_str().to_owned(), |code| format!("Http{code}"));
            let note = format!("{} (generation {}, attempt {})", record.message, attempt.generation, attempt.id);
            self.events.emit(object, record.reason, &code, &note);
        }
    }
}

/// Suspended: what would be called, and what would prevent it.
pub fn suspended(plan: &Plan, source: &CredentialSource, error: Option<&CredentialsError>) -> Hold {
    let problem = error.map(|error| format!(" This would still prevent the call: {error}")).unwrap_or_default();
    let spec = &plan.spec;
    let message = format!(
        "Suspended: nothing is called. Without the annotation, redis_mode {} with {} parallel_jobs would be requested for cluster {} (project {}) at {} with {}.{problem}",
        spec.redis_mode,
        spec.parallel_jobs,
        spec.cluster_id,
        spec.project_id,
        plan.endpoint.host,
        source.in_message()
    );
    let retry_after = jittered(if error.is_some() { REFUSED_RECHECK } else { RECHECK_AFTER });
    Hold { reason: Reason::Suspended, message, retry_after }
}

/// The installed CRD would not keep the journal.
pub fn crd_outdated() -> Hold {
    Hold {
        reason: Reason::CRDOutdated,
        message: "The installed CustomResourceDefinition is older than the controller and does not keep all of status.attempt, without which nothing is sent. Install the CRD of the controller's version: upgrade the Helm release that brought it, or kubectl apply --server-side -f crds/. This object then continues automatically".to_owned(),
        retry_after: jittered(CRD_RECHECK),
    }
}

/// The object lacks a field that was written. Only for log and event, since nothing is written to such an object.
pub fn status_hidden(missing: &str) -> Hold {
    Hold {
        reason: Reason::CRDOutdated,
        message: format!(
            "This object's status is incomplete: {missing}. An older CRD or an admission webhook may hide it, so nothing is written and nothing is called. Install the CRD of the controller's version: upgrade the Helm release that brought it, or kubectl apply --server-side -f crds/. If the field is lost and not hidden, the object reports JournalInvalid after that"
        ),
        retry_after: jittered(RECHECK_AFTER),
    }
}
