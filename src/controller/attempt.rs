//! One attempt: claim, send, record, in this order and in one task that only the end of the process interrupts. Decides
//! nothing about the object beyond this attempt.

mod report;

use std::{sync::Arc, time::Instant};

use k8s_openapi::jiff::Timestamp;
use rand::{TryRng, rngs::SysRng};
use tokio::sync::oneshot;

pub use self::report::announce;
use self::report::report_note;
use crate::{
    api::{Attempt, AttemptState, Baseline, ClusterRedistribution, Reason, text::truncate},
    cloud::{
        RedistributionRequest, SendPermit,
        outcome::{KeyEffect, Outcome},
    },
    controller::{context::Context, messages::crd_outdated, prepare::Ready},
    protocol::{conditions::to_second, decide::Plan, journal::spec_hash, record::Record},
    store::{Claim, Recorded, WriteError},
};

/// How an attempt ended, for the reconciliation that started it.
#[derive(Debug)]
pub enum Delivered {
    /// The outcome is recorded, or it is known that it cannot be recorded.
    Done,
    /// Nothing was sent; the request is retried after a pause.
    NotSent,
    /// No claim was made.
    NotClaimed(WriteError),
    /// The installed CRD does not keep the journal. The claim was withdrawn, and status reports it.
    Pruned,
}

/// The attempt that a claim writes.
pub fn new_attempt(
    context: &Context,
    object: &ClusterRedistribution,
    plan: &Plan,
    (credentials, baseline): (String, Option<Baseline>),
    now: Timestamp,
) -> Result<Attempt, WriteError> {
    // From the operating system each time: a cloned process has the same memory, so an in-process generator would give
    // the attempts of both the same id.
    let mut id = [0; 16];
    SysRng.try_fill_bytes(&mut id).map_err(|error| WriteError::NoIdentity(error.to_string()))?;
    Ok(Attempt {
        id: hex::encode(id),
        uid: object.metadata.uid.clone().unwrap_or_default(),
        generation: object.metadata.generation.unwrap_or_default(),
        state: AttemptState::Claimed.as_str().to_owned(),
        holder: Some(truncate(&context.holder, 253)),
        region: Some(plan.endpoint.region.clone()),
        endpoint: Some(plan.endpoint.host.clone()),
        credentials: Some(credentials),
        spec_hash: Some(spec_hash(&object.spec)),
        grace_seconds: i64::try_from(context.timing.grace.as_secs()).ok(),
        // Written from the start: since managed fields name it, a view without it is known to be incomplete.
        closed: Some(false),
        claimed_time: Some(to_second(now)),
        baseline,
        ..Attempt::default()
    })
}

/// Runs one attempt to its end, in its own task that starts before the claim is sent: the reconciliation that waits for
/// it may be dropped, the attempt may not. Signals `known` when the outcome is known and only has to be recorded.
pub async fn deliver(
    context: Arc<Context>,
    object: ClusterRedistribution,
    plan: Plan,
    ready: Ready,
    known: oneshot::Sender<()>,
) -> Delivered {
    let now = Timestamp::now();
    let Ready { key, source, admitted, note, baseline } = ready;
    let attempt = match new_attempt(&context, &object, &plan, (source.describe(), baseline), now) {
        Ok(attempt) => attempt,
        Err(error) => return Delivered::NotClaimed(error),
    };
    let live = Live::new(&context, &attempt);
    let permit = SendPermit::mint(attempt.id.clone(), context.clock.deadline(context.timing.send_budget));
    let deadline = tokio::time::Instant::now() + context.timing.send_budget;
    let message = format!("Calling {} for cluster {}", plan.endpoint.host, object.spec.cluster_id);
    let claimed = match context.store.claim(&object, &attempt, &message, deadline, now).await {
        Claim::Acquired(claimed) => claimed,
        // Whatever the answer, the claim may still be applied: an intermediary may have answered. Its permit is
        // dropped here, unused, so no request of this id can have been sent.
        other => {
            context.attempts().abandon(&attempt.uid, &attempt.id);
            // No call is in flight; recording that may take longer.
            drop((permit, admitted));
            // The receiver may be gone.
            let _ = known.send(());
            return not_taken(&context, other, &attempt).await;
        }
    };
    if let Some(note) = note {
        report_note(&context, &object, &note);
    }
    context.metrics.in_flight(context.admission.in_flight());
    {
        let mut attempts = context.attempts();
        attempts.sending(&attempt.uid, attempt.generation, Instant::now());
        let cluster = object.spec.cluster_id.to_ascii_lowercase();
        attempts.prechecks.invalidate(&cluster);
        if context.observe.is_some() {
            attempts.schedule.record_call(&cluster, &attempt.uid, attempt.generation, now);
        }
    }
    let until_slot = admitted.slot();
    if !until_slot.is_zero() {
        // Within the send budget: a permit that expires during the wait is not used.
        tokio::time::sleep(until_slot).await;
    }
    let started = Instant::now();
    // The request is built from the stored object, which the claim returned.
    let request = RedistributionRequest::from(&claimed.spec);
    let outcome = context.cloud.send(permit, &request, &key, &plan.endpoint, Timestamp::now()).await;
    context.metrics.request(outcome.label(), outcome.status_code(), started.elapsed());
    if matches!(outcome, Outcome::Answered(_)) {
        context.admission.reachable(&plan.endpoint.host);
    }
    // The admission slot is released as soon as the outcome is known; recording the outcome may take longer.
    let effect = key_effect(&outcome);
    if effect.is_some_and(|effect| effect != KeyEffect::Good) {
        context.credentials.forget(&source);
    }
    if matches!(outcome.status_code(), Some(401 | 429)) {
        // Before others read it in status.
        context.admission.mark_own_attempt(&attempt.id);
    }
    admitted.leave(effect);
    context.metrics.in_flight(context.admission.in_flight());
    let (record, retry) = (record_of(&outcome), matches!(outcome, Outcome::NotSent(_)));
    if retry {
        if record.reason == Reason::EndpointUnreachable {
            context.admission.unreachable(&plan.endpoint.host);
        }
        context.attempts().not_sent(&attempt.uid, attempt.generation, rand::random(), Instant::now());
    }
    let _ = known.send(());
    let recorded = record_outcome(&context, *claimed, &attempt, &record).await;
    if retry && recorded == Recorded::Gone {
        // If the object still exists, this process still knows that nothing was sent when it sees the object again.
        context.attempts().abandon(&attempt.uid, &attempt.id);
    }
    drop(live);
    if retry { Delivered::NotSent } else { Delivered::Done }
}

/// Handles a claim that gave no permit to call.
async fn not_taken(context: &Context, claim: Claim, attempt: &Attempt) -> Delivered {
    match claim {
        Claim::Acquired(_) => Delivered::NotClaimed(WriteError::Conflict),
        Claim::Lost(error) | Claim::Indeterminate(error) => Delivered::NotClaimed(error),
        Claim::Closed(latest) => {
            let record = not_sent(
                Reason::NotSent,
                "Another controller let the claim expire before it could be used, so nothing was sent",
            );
            record_outcome(context, *latest, attempt, &record).await;
            Delivered::Done
        }
        Claim::Altered(latest) => {
            let record = not_sent(Reason::NotSent, "The spec changed while the claim was written, so nothing was sent");
            context.attempts().not_sent(&attempt.uid, attempt.generation, rand::random(), Instant::now());
            record_outcome(context, *latest, attempt, &record).await;
            Delivered::NotSent
        }
        Claim::Pruned(latest) => {
            context.attempts().crd_is_outdated();
            match context.store.withdraw(*latest, &attempt.id, &crd_outdated().message).await {
                Recorded::Written => Delivered::Pruned,
                Recorded::Known | Recorded::Replaced | Recorded::Gone => Delivered::NotClaimed(WriteError::Conflict),
            }
        }
    }
}

/// Records the outcome, then logs it and emits an event. That never changes the result.
async fn record_outcome(
    context: &Context,
    object: ClusterRedistribution,
    attempt: &Attempt,
    record: &Record,
) -> Recorded {
    let before = object.clone();
    let recorded = context.store.record(object, &attempt.id, record).await;
    announce(context, &before, attempt, record, recorded);
    recorded
}

/// The record of an outcome for status.
fn record_of(outcome: &Outcome) -> Record {
    match outcome {
        Outcome::Answered(answer) => Record {
            state: AttemptState::Answered,
            reason: answer.reason,
            message: answer.message.clone(),
            status_code: Some(i32::from(answer.status_code)),
            error_code: answer.error_code.clone(),
            request_id: answer.request_id.clone(),
            retry_after: match answer.key_effect {
                KeyEffect::Throttled(window) => i64::try_from(window.as_secs()).ok(),
                _ => None,
            },
        },
        Outcome::NotSent(unsent) => not_sent(unsent.reason, &unsent.message),
        Outcome::Unknown(unknown) => unknown_outcome(&unknown.message),
    }
}

fn key_effect(outcome: &Outcome) -> Option<KeyEffect> {
    match outcome {
        Outcome::Answered(answer) => Some(answer.key_effect),
        Outcome::NotSent(_) | Outcome::Unknown(_) => None,
    }
}

/// The record of an attempt that provably sent nothing.
pub fn not_sent(reason: Reason, message: &str) -> Record {
    Record {
        state: AttemptState::NotSent,
        reason,
        message: message.to_owned(),
        status_code: None,
        error_code: None,
        request_id: None,
        retry_after: None,
    }
}

/// The record of an attempt whose outcome nobody knows.
pub fn unknown_outcome(message: &str) -> Record {
    Record {
        state: AttemptState::Unknown,
        reason: Reason::OutcomeUnknown,
        message: message.to_owned(),
        status_code: None,
        error_code: None,
        request_id: None,
        retry_after: None,
    }
}

/// Marks the attempt as running in this process until its task ends, for whatever reason.
struct Live<'a> {
    context: &'a Context,
    id: String,
}

impl<'a> Live<'a> {
    fn new(context: &'a Context, attempt: &Attempt) -> Self {
        context.attempts().task_started(&attempt.uid, &attempt.id);
        Self { context, id: attempt.id.clone() }
    }
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        self.context.attempts().task_ended(&self.id);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
