//! Reports why nothing is called, once for each reason, and what became of attempts, those without a task too: in status,
//! log, events and metrics.

use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use kube::runtime::controller::Action;

use super::{Error, Reconciler, SOON, recheck};
use crate::{
    api::{Attempt, AttemptState, ClusterRedistribution, ClusterRedistributionStatus, Reason},
    credentials::{CredentialSource, CredentialsError, REFUSED_RECHECK},
    protocol::{
        conditions::reason_at,
        decide::{Plan, Step, journal_invalid},
        hold::{Hold, RECHECK_AFTER},
        transitions::{self, Record, held_as_lost},
    },
    runtime::{events::Events, metrics::Metrics, throttle::jittered},
    store::{Recorded, Reported, StatusStore, StoreError, object::Undecodable},
};

/// How often a CRD that was too old is tried by a dry run for each object.
const CRD_RECHECK: Duration = Duration::from_secs(60);
/// Filters and readers of the log expect the lines of attempts under this module.
const ATTEMPT: &str = "redistribution_operator::controller::attempt";

/// The outcome of a claim that expired: at most 256 characters, which `status.attempt.message` takes.
const NO_OUTCOME: &str = "The caller recorded no outcome in time: it ended, or cannot reach the API server. The cloud may have accepted the request, which is never repeated. Check the cluster in the cloud's console; only if nothing began there, set spec.trigger to a new value";

#[derive(Clone)]
pub struct Reporter {
    pub store: StatusStore,
    pub events: Events,
    pub metrics: Metrics,
}

/// Whether status reports this already, word for word.
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

    pub(super) fn announce(&self, object: &ClusterRedistribution, held: &Hold) {
        let ((namespace, name), generation) = (object.key().object_name(), object.metadata.generation);
        tracing::info!(namespace, name, generation, reason = %held.reason, message = held.message, "held");
        self.events.emit(object, held.reason, held.reason.as_str(), &held.message);
        self.metrics.hold(held.reason);
    }

    pub(super) async fn undecodable(&self, invalid: &Undecodable) -> Result<Action, Error> {
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
                return Ok(Action::requeue(jittered(SOON)));
            }
            Err(source) => {
                let text = |field: Option<&str>| field.unwrap_or_default().to_owned();
                return Err(Error { object: (text(namespace), text(name)), source });
            }
        }
        Ok(recheck())
    }

    /// The call is made although the precheck did not find the cluster waiting.
    pub(super) fn announce_note(&self, object: &ClusterRedistribution, note: &str) {
        let (namespace, name) = object.key().object_name();
        tracing::warn!(target: ATTEMPT, namespace, name, note, "called although the cluster was not seen to wait");
        self.events.emit(object, Reason::ClusterNotWaiting, "Called", &format!("{note}. It is called all the same"));
    }

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

impl Reconciler {
    /// Expires an unfinished claim: its process is gone together with the outcome, or alive and cut off from the API
    /// server; then that process may still record the outcome.
    pub(super) async fn expire(&self, object: &ClusterRedistribution, attempt_id: &str) -> Result<Action, Error> {
        let record = Record::new(AttemptState::Unknown, Reason::OutcomeUnknown, NO_OUTCOME);
        self.close(object, attempt_id, &record).await?;
        Ok(Action::requeue(SOON))
    }

    /// Retracts a claim that this process abandoned and that was applied after all. Its permit was never used, which only
    /// this process can know.
    pub(super) async fn retract(&self, object: &ClusterRedistribution, attempt_id: &str) -> Result<Action, Error> {
        let message = "The API server did not confirm the claim in time, so nothing was sent";
        let record = Record::new(AttemptState::NotSent, Reason::ClaimTooSlow, message);
        let is_written = self.close(object, attempt_id, &record).await?;
        let uid = object.metadata.uid.as_deref().unwrap_or_default();
        let generation = object.attempt().map(|attempt| attempt.generation).filter(|_| is_written);
        // A request of an older generation is not retried, and the newer generation has nothing to wait for.
        if let Some(generation) = generation.filter(|_| generation == object.metadata.generation) {
            self.decider.attempts().not_sent(uid, generation, rand::random(), Instant::now());
        }
        Ok(Action::requeue(SOON))
    }

    async fn close(&self, object: &ClusterRedistribution, attempt_id: &str, record: &Record) -> Result<bool, Error> {
        let recorded = self.reporter.store.close(object, attempt_id, record).await;
        let recorded = recorded.map_err(|source| Error::new(object, source))?;
        if let Some(attempt) = object.attempt() {
            self.reporter.announce_outcome(object, attempt, record, recorded);
        }
        Ok(recorded == Recorded::Written)
    }

    /// Waits for the CRD to show the whole status again. If the object still lacks the field after a dry run in which the API
    /// server keeps all of status, the field is lost: `JournalInvalid`.
    pub(super) async fn hidden(&self, object: &ClusterRedistribution, missing: &str) -> Result<Action, Error> {
        let uid = object.metadata.uid.as_deref().unwrap_or_default();
        let ((is_new, wait), hidden) = {
            let mut attempts = self.decider.attempts();
            (attempts.hidden(uid, Instant::now()), attempts.hidden_objects())
        };
        self.reporter.metrics.hidden(hidden);
        if is_new {
            self.reporter.announce(object, &status_hidden(missing));
        }
        if !wait.is_zero() {
            return Ok(Action::requeue(wait));
        }
        let (store, failed) = (&self.reporter.store, |source| Error::new(object, source));
        if !store.keeps_status(object, Timestamp::now()).await.map_err(failed)? {
            return Ok(Action::requeue(SOON));
        }
        let latest = store.get(&object.key()).await.map_err(failed)?;
        match self.decider.decide(&latest) {
            Step::Hidden(missing) => self.report_lost(&latest, journal_invalid(&missing)).await,
            _ => Ok(Action::requeue(SOON)),
        }
    }

    async fn report_lost(&self, object: &ClusterRedistribution, message: String) -> Result<Action, Error> {
        let (uid, generation) =
            (object.metadata.uid.as_deref().unwrap_or_default(), object.metadata.generation.unwrap_or_default());
        let next = held_as_lost(object.status.as_ref(), (uid, generation), &message, Timestamp::now());
        let Some(next) = next else { return Ok(Action::await_change()) };
        self.reporter.store.write(object, next).await.map_err(|source| Error::new(object, source))?;
        let held = Hold { reason: Reason::JournalInvalid, message, retry_after: jittered(RECHECK_AFTER) };
        self.reporter.announce(object, &held);
        self.mark_whole(object);
        Ok(Action::await_change())
    }

    /// The view of the object contains everything that was written.
    pub(super) fn mark_whole(&self, object: &ClusterRedistribution) {
        let mut attempts = self.decider.attempts();
        attempts.whole(object.metadata.uid.as_deref().unwrap_or_default());
        self.reporter.metrics.hidden(attempts.hidden_objects());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_of_an_expired_claim_fits_into_its_attempt() {
        assert!(NO_OUTCOME.chars().count() <= 256);
    }
}
