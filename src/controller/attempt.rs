//! One attempt, from the claim to its record: claim, send, record, in this order and in one task that nothing but the
//! end of the process interrupts. It decides nothing about the object beyond this attempt.

mod report;

use std::{sync::Arc, time::Instant};

use k8s_openapi::jiff::Timestamp;
use rand::{TryRng, rngs::SysRng};
use tokio::sync::oneshot;

use self::report::report_note;
pub use self::report::tell;
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

/// How an attempt ended, as far as the reconciliation that started it must go on.
#[derive(Debug)]
pub enum Delivered {
    /// The outcome is recorded, or known to be unrecordable.
    Done,
    /// Nothing was sent, and it will be tried again after a pause.
    NotSent,
    /// No claim was made.
    NotClaimed(WriteError),
    /// The installed CRD does not keep the journal. The claim was taken back, and the object says so.
    Pruned,
}

/// The attempt a claim would write.
pub fn new_attempt(
    context: &Context,
    object: &ClusterRedistribution,
    plan: &Plan,
    (credentials, baseline): (String, Option<Baseline>),
    now: Timestamp,
) -> Result<Attempt, WriteError> {
    // From the operating system each time: what a cloned process has in attempts, its clone has too, and both would give
    // their attempts the same name.
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
        // Written from the start: a view without it is known to be incomplete, since managed fields name it.
        closed: Some(false),
        claimed_time: Some(to_second(now)),
        baseline,
        ..Attempt::default()
    })
}

/// Carries one attempt through. Runs in a task of its own that is started before the claim leaves: whoever waits for
/// it may go away, the attempt may not. `known` is told once nothing is left to do but to write down what is known.
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
        // Whatever was said of it, it may still be applied: an answer can be that of somebody on the way. Its permit
        // dies here, unused, so nothing of this id can ever have been sent.
        other => {
            context.attempts().abandon(&attempt.uid, &attempt.id);
            // Nobody is calling; writing that down may take longer.
            drop((permit, admitted));
            // Nobody may be listening any more.
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
    let rest = admitted.slot();
    if !rest.is_zero() {
        // Within the budget: a permit that dies meanwhile is not used.
        tokio::time::sleep(rest).await;
    }
    let started = Instant::now();
    // What is sent is built from what is stored: the object that the claim returned.
    let request = RedistributionRequest::from(&claimed.spec);
    let outcome = context.cloud.send(permit, &request, &key, &plan.endpoint, Timestamp::now()).await;
    context.metrics.request(outcome.label(), outcome.status_code(), started.elapsed());
    if matches!(outcome, Outcome::Answered(_)) {
        context.admission.reachable(&plan.endpoint.host);
    }
    // Freed as soon as the outcome is known; writing it down may take longer.
    let effect = key_effect(&outcome);
    if effect.is_some_and(|effect| effect != KeyEffect::Good) {
        context.credentials.forget(&source);
    }
    if matches!(outcome.status_code(), Some(401 | 429)) {
        // Before status tells others of it.
        context.admission.own(&attempt.id);
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
        // Should it be there all the same, whoever sees it again still knows that nothing was sent.
        context.attempts().abandon(&attempt.uid, &attempt.id);
    }
    drop(live);
    if retry { Delivered::NotSent } else { Delivered::Done }
}

/// What is left to do after a claim that gave no right to call.
async fn not_taken(context: &Context, claim: Claim, attempt: &Attempt) -> Delivered {
    match claim {
        Claim::Acquired(_) => Delivered::NotClaimed(WriteError::Conflict),
        Claim::Lost(error) | Claim::Indeterminate(error) => Delivered::NotClaimed(error),
        Claim::Closed(latest) => {
            let record = not_sent(
                Reason::NotSent,
                "Another controller gave the claim up before it could be used, so nothing was sent",
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

/// Writes the outcome down, then tells people. Telling never changes the result.
async fn record_outcome(
    context: &Context,
    object: ClusterRedistribution,
    attempt: &Attempt,
    record: &Record,
) -> Recorded {
    let told = object.clone();
    let recorded = context.store.record(object, &attempt.id, record).await;
    tell(context, &told, attempt, record, recorded);
    recorded
}

/// What status will say of an outcome.
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
        Outcome::NotSent(not) => not_sent(not.reason, &not.message),
        Outcome::Unknown(unknown) => unknown_outcome(&unknown.message),
    }
}

fn key_effect(outcome: &Outcome) -> Option<KeyEffect> {
    match outcome {
        Outcome::Answered(answer) => Some(answer.key_effect),
        Outcome::NotSent(_) | Outcome::Unknown(_) => None,
    }
}

/// Proven: nothing left this process.
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

/// Nobody knows.
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

/// Marks the attempt as being carried by this process for as long as it is, whatever ends it.
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
