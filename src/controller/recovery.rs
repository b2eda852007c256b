//! Closes an attempt outside its task: one whose process is gone, or one that this process abandoned before its claim
//! was confirmed. And waits for an object whose view lacks something that was written: nothing is written to it, since that
//! would erase fields that a schema only hides; a dry run shows whether they are hidden or lost.

use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;

use super::{Error, Reconciler, SOON, report::status_hidden};
use crate::{
    api::{AttemptState, ClusterRedistribution, Reason},
    protocol::{
        decide::{Step, journal_invalid},
        hold::{Hold, RECHECK_AFTER},
        transitions::{Record, held_as_lost},
    },
    runtime::jitter::jittered,
    store::Recorded,
};

/// The outcome of a claim that expired: at most 256 characters, which `status.attempt.message` takes.
const NO_OUTCOME: &str = "The caller recorded no outcome in time: it ended, or cannot reach the API server. The cloud may have accepted the request, which is never repeated. Check the cluster in the cloud's console; only if nothing began there, set spec.trigger to a new value";

impl Reconciler {
    /// Expires an unfinished claim: its process is gone together with the outcome, or alive and cut off from the API
    /// server; then that process may still record the outcome.
    pub(super) async fn expire(&self, object: &ClusterRedistribution, attempt_id: &str) -> Result<(), Error> {
        let record = Record::new(AttemptState::Unknown, Reason::OutcomeUnknown, NO_OUTCOME);
        self.close(object, attempt_id, &record).await.map(drop)
    }

    /// Retracts a claim that this process abandoned and that was applied after all. Its permit was never used, which only
    /// this process can know.
    pub(super) async fn retract(&self, object: &ClusterRedistribution, attempt_id: &str) -> Result<(), Error> {
        let message = "The API server did not confirm the claim in time, so nothing was sent";
        let record = Record::new(AttemptState::NotSent, Reason::ClaimTooSlow, message);
        let is_written = self.close(object, attempt_id, &record).await?;
        let uid = object.metadata.uid.as_deref().unwrap_or_default();
        let generation = object.attempt().map(|attempt| attempt.generation).filter(|_| is_written);
        // A request of an older generation is not retried, and the newer generation has nothing to wait for.
        if let Some(generation) = generation.filter(|_| generation == object.metadata.generation) {
            self.decider.attempts().not_sent(uid, generation, rand::random(), Instant::now());
        }
        Ok(())
    }

    async fn close(&self, object: &ClusterRedistribution, attempt_id: &str, record: &Record) -> Result<bool, Error> {
        let recorded = self.reporter.store.close(object, attempt_id, record).await;
        let recorded = recorded.map_err(|source| Error::new(object, source))?;
        if let Some(attempt) = object.attempt() {
            self.reporter.announce_outcome(object, attempt, record, recorded);
        }
        Ok(recorded == Recorded::Written)
    }

    /// Waits for the CRD to show the whole status again. If the object still lacks the field after a dry run
    /// in which the API server keeps all of status, the field is lost: `JournalInvalid`. Returns when to look again, if at
    /// all.
    pub(super) async fn hidden(
        &self,
        object: &ClusterRedistribution,
        missing: &str,
    ) -> Result<Option<Duration>, Error> {
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
            return Ok(Some(wait));
        }
        let (store, failed) = (&self.reporter.store, |source| Error::new(object, source));
        if !store.keeps_status(object, Timestamp::now()).await.map_err(failed)? {
            return Ok(Some(SOON));
        }
        let latest = store.get(&object.key()).await.map_err(failed)?;
        match self.decider.decide(&latest) {
            Step::Hidden(missing) => self.report_lost(&latest, journal_invalid(&missing)).await,
            _ => Ok(Some(SOON)),
        }
    }

    /// Reports that the field is lost and not hidden.
    async fn report_lost(&self, object: &ClusterRedistribution, message: String) -> Result<Option<Duration>, Error> {
        let (uid, generation) =
            (object.metadata.uid.as_deref().unwrap_or_default(), object.metadata.generation.unwrap_or_default());
        let next = held_as_lost(object.status.as_ref(), (uid, generation), &message, Timestamp::now());
        let Some(next) = next else { return Ok(None) };
        self.reporter.store.write(object, next).await.map_err(|source| Error::new(object, source))?;
        let held = Hold { reason: Reason::JournalInvalid, message, retry_after: jittered(RECHECK_AFTER) };
        self.reporter.announce(object, &held);
        self.mark_whole(object);
        Ok(None)
    }

    /// The view of the object contains everything that was written.
    pub(super) fn mark_whole(&self, object: &ClusterRedistribution) {
        let mut attempts = self.decider.attempts();
        attempts.whole(object.metadata.uid.as_deref().unwrap_or_default());
        self.reporter.metrics.hidden(attempts.hidden_objects());
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
