//! One attempt: claim, send, record, in this order and in one task that only the end of the process interrupts.

use std::time::Instant;

use k8s_openapi::jiff::Timestamp;
use rand::{TryRng, rngs::SysRng};

use super::{Decider, Error, Reconciler, call::Prepared, report::crd_outdated, tasks::Ended};
use crate::{
    admission::{Admitted, Slot},
    api::{Attempt, AttemptState, Baseline, ClusterRedistribution, Reason, text::truncate},
    cloud::{
        self, SendPermit,
        outcome::{KeyEffect, Outcome},
    },
    credentials::Credential,
    protocol::{conditions::to_second, decide::Plan, journal::spec_hash, transitions::Record},
    store::{ReadBack, Recorded, StoreError},
};

impl Reconciler {
    pub(super) fn new_attempt(
        &self,
        object: &ClusterRedistribution,
        plan: &Plan,
        credential: &Credential,
        baseline: Option<Baseline>,
        now: Timestamp,
    ) -> Result<Attempt, StoreError> {
        // From the operating system: an in-process generator would give the attempts of a cloned process the same ids.
        let mut id = [0; 16];
        let no_id = |error| StoreError::NotPrepared(format!("the operating system gave no random id: {error}"));
        SysRng.try_fill_bytes(&mut id).map_err(no_id)?;
        Ok(Attempt {
            id: hex::encode(id),
            uid: object.metadata.uid.clone().unwrap_or_default(),
            generation: object.metadata.generation.unwrap_or_default(),
            state: AttemptState::Claimed.as_str().to_owned(),
            holder: Some(truncate(&self.holder, 253)),
            region: Some(plan.endpoint.region.clone()),
            endpoint: Some(plan.endpoint.host.clone()),
            credentials: Some(credential.id.source.in_status()),
            spec_hash: Some(spec_hash(&object.spec)),
            grace_seconds: i64::try_from(self.decider.rules.grace.as_secs()).ok(),
            // Written from the start: since managed fields name it, a view without it is known to be incomplete.
            closed: Some(false),
            claimed_time: Some(to_second(now)),
            baseline,
            ..Attempt::default()
        })
    }

    /// Runs one attempt to its end. Its task starts before the claim is sent and must not be dropped.
    pub(crate) async fn execute(&self, object: ClusterRedistribution, plan: &Plan, prepared: Prepared) -> Ended {
        let now = Timestamp::now();
        let Prepared { credential, admitted, checked, slot } = prepared;
        let attempt = match self.new_attempt(&object, plan, &credential, checked.baseline, now) {
            Ok(attempt) => attempt,
            Err(error) => return Ended::Failed(Error::new(&object, error)),
        };
        let live = Live::new(&self.decider, &attempt);
        let send_permit = SendPermit::mint(attempt.id.clone(), self.clock.deadline(self.send_budget));
        // Two deadlines for one budget: the permit's counts the time in which the machine was frozen, this one bounds waits.
        let deadline = tokio::time::Instant::now() + self.send_budget;
        let message = format!("Calling {} for cluster {}", plan.endpoint.host, object.spec.cluster_id);
        let claim = self.reporter.store.claim(&object, &attempt, &message, deadline, now).await;
        let Ok((claimed, ReadBack::Complete)) = claim else {
            // Whatever the answer, the claim may still be applied: an intermediary may have answered. Its permit is dropped
            // unused, so no request of this id can have been sent.
            self.decider.attempts().abandon(&attempt.uid, &attempt.id);
            // No call is in flight; recording that may take longer.
            drop((send_permit, slot, admitted));
            return match claim {
                Ok((latest, shown)) => self.not_taken(latest, shown, &object, &attempt).await,
                Err(error) => Ended::Failed(Error::new(&object, error)),
            };
        };
        if let Some(note) = checked.note {
            self.reporter.announce_note(&object, &note);
        }
        self.request_begins(&attempt, &admitted, now);
        let within = deadline.saturating_duration_since(tokio::time::Instant::now());
        let outcome = if let Some(wait) = slot.book_send(within) {
            tokio::time::sleep(wait).await;
            self.send(send_permit, &claimed, (plan, &credential), slot, &attempt.id).await
        } else {
            // Too many claims were slow at once. The permit is dropped unused.
            drop((send_permit, slot));
            cloud::too_late("before it was begun")
        };
        // Freed as soon as the outcome is known; recording the outcome may take longer.
        drop(admitted);
        let (record, is_retried) = (record_of(&outcome), matches!(outcome, Outcome::NotSent { .. }));
        if is_retried {
            if record.reason == Reason::EndpointUnreachable {
                self.cloud.health().failed(&plan.endpoint.host);
            }
            self.decider.attempts().not_sent(&attempt.uid, attempt.generation, rand::random(), Instant::now());
        }
        let recorded = self.record(claimed, &attempt, &record).await;
        if is_retried && recorded == Recorded::Gone {
            // If the object still exists, this process still knows that nothing was sent when it sees the object again.
            self.decider.attempts().abandon(&attempt.uid, &attempt.id);
        }
        drop(live);
        Ended::Done
    }

    /// The claim stands: from here on a request may be in flight.
    fn request_begins(&self, attempt: &Attempt, admitted: &Admitted, now: Timestamp) {
        self.decider.attempts().sending(&attempt.uid, attempt.generation, Instant::now());
        self.precheck.request_begins(admitted.cluster(), Instant::now());
        if let Some(observer) = &self.observer {
            observer.call_begins(&admitted.cluster().cluster, attempt, now);
        }
    }

    /// The one request, and what its answer says about the key and the endpoint.
    async fn send(
        &self,
        send_permit: SendPermit,
        claimed: &ClusterRedistribution,
        (plan, credential): (&Plan, &Credential),
        mut slot: Slot,
        attempt_id: &str,
    ) -> Outcome {
        let (metrics, started) = (&self.reporter.metrics, Instant::now());
        metrics.requests_in_flight.inc();
        slot.sends();
        // The request is built from the stored object, which the claim returned.
        let outcome = self.cloud.send(send_permit, &claimed.spec, &credential.key, &plan.endpoint).await;
        metrics.requests_in_flight.dec();
        metrics.request(outcome.label(), outcome.status_code(), started.elapsed());
        if matches!(outcome, Outcome::Answered(_)) {
            self.cloud.health().reached(&plan.endpoint.host);
        }
        if matches!(outcome.status_code(), Some(401 | 429)) {
            // Before others read it in status.
            self.admission.mark_own_attempt(attempt_id);
        }
        slot.request_answered(match &outcome {
            Outcome::Answered(answer) => Some(answer.key_effect),
            // Nothing was sent that the gateway could count.
            Outcome::NotSent { .. } => Some(KeyEffect::Neutral),
            Outcome::Unknown { .. } => None,
        });
        outcome
    }

    /// Handles a claim that gave no permit to call.
    async fn not_taken(
        &self,
        latest: ClusterRedistribution,
        shown: ReadBack,
        object: &ClusterRedistribution,
        attempt: &Attempt,
    ) -> Ended {
        let message = match shown {
            ReadBack::Complete | ReadBack::Altered => {
                self.decider.attempts().not_sent(&attempt.uid, attempt.generation, rand::random(), Instant::now());
                "The spec changed while the claim was written, so nothing was sent"
            }
            ReadBack::Closed => "Another controller let the claim expire before it could be used, so nothing was sent",
            ReadBack::Pruned => {
                let held = crd_outdated();
                self.decider.attempts().crd_is_outdated();
                return match self.reporter.store.withdraw(latest, &attempt.id, &held.message).await {
                    Recorded::Written => {
                        self.reporter.announce(object, &held);
                        Ended::Hold(held)
                    }
                    _ => Ended::Failed(Error::new(object, StoreError::Conflict)),
                };
            }
        };
        self.record(latest, attempt, &Record::new(AttemptState::NotSent, Reason::NotSent, message)).await;
        Ended::Done
    }

    async fn record(&self, object: ClusterRedistribution, attempt: &Attempt, record: &Record) -> Recorded {
        let before = object.clone();
        let recorded = self.reporter.store.record(object, &attempt.id, record).await;
        self.reporter.announce_outcome(&before, attempt, record, recorded);
        recorded
    }
}

fn record_of(outcome: &Outcome) -> Record {
    match outcome {
        Outcome::Answered(answer) => Record {
            status_code: Some(i32::from(answer.status_code)),
            error_code: answer.error_code.clone(),
            request_id: answer.request_id.clone(),
            retry_after: match answer.key_effect {
                KeyEffect::Throttled(window) => i64::try_from(window.as_secs()).ok(),
                _ => None,
            },
            ..Record::new(AttemptState::Answered, answer.reason, &answer.message)
        },
        Outcome::NotSent { reason, message } => Record::new(AttemptState::NotSent, *reason, message),
        Outcome::Unknown { message } => Record::new(AttemptState::Unknown, Reason::OutcomeUnknown, message),
    }
}

/// Marks the attempt as running in this process until its task ends, for whatever reason.
struct Live<'a> {
    decider: &'a Decider,
    id: String,
}

impl<'a> Live<'a> {
    fn new(decider: &'a Decider, attempt: &Attempt) -> Self {
        decider.attempts().task_started(&attempt.uid, &attempt.id);
        Self { decider, id: attempt.id.clone() }
    }
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        self.decider.attempts().task_ended(&self.id);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
