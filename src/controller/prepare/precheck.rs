//! The precheck, a read of the cluster before a claim: when it is due, and what follows from it. Writes nothing.

use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;

use super::{NotReady, Ready};
use crate::{
    api::{Baseline, ClusterRedistribution, NONE},
    cloud::{ReadResult, RedistributionRequest, auth::Key},
    controller::{
        context::Context,
        messages::{self, Hold},
    },
    credentials::CredentialSource,
    precheck::{self, Mode, Verdict},
    protocol::{
        attempts::{FailedPrecheck, PassedPrecheck},
        decide::Plan,
    },
    runtime::jitter::jittered,
};

/// The last precheck for this request with these credentials, if it ended in a hold.
pub fn last(context: &Context, object: &ClusterRedistribution, source: &CredentialSource) -> Option<FailedPrecheck> {
    let generation = object.metadata.generation.unwrap_or_default();
    let attempts = context.attempts();
    let last = attempts.prechecks.last_failed(object.metadata.uid.as_deref().unwrap_or_default(), generation)?;
    (last.credentials == source.describe()).then(|| last.clone())
}

/// The hold of the last precheck, until the next one is due.
pub fn hold_until_next(last: &FailedPrecheck) -> Option<Hold> {
    let pause = last.next.saturating_duration_since(Instant::now());
    (!pause.is_zero()).then(|| Hold { reason: last.reason, message: last.message.clone(), recheck_after: pause })
}

/// Reads the cluster with the admission slot: for the gateway a read with a wrong key counts like a call, so not
/// all objects may read at once either.
pub async fn run(
    context: &Context,
    object: &ClusterRedistribution,
    plan: &Plan,
    mut ready: Ready,
) -> Result<Ready, NotReady> {
    let uid = object.metadata.uid.as_deref().unwrap_or_default();
    let generation = object.metadata.generation.unwrap_or_default();
    let key = context.credentials.identity(&ready.key, &plan.endpoint);
    if let Some(passed) = context.attempts().prechecks.last_passed(uid, generation, key, Instant::now()).cloned() {
        (ready.note, ready.baseline) = (passed.note, passed.baseline);
        return Ok(ready);
    }
    let request = RedistributionRequest::from(&object.spec);
    // Nothing is claimed yet, so the shutdown need not wait for this.
    let result = tokio::select! {
        result = context.cloud.cluster(&request, &ready.key, &plan.endpoint, Timestamp::now()) => result,
        () = context.closing.cancelled() => return Err(NotReady::RecheckSoon(Duration::from_secs(1))),
    };
    context.metrics.cluster_read(result.label());
    let task_status = result.found().map(|state| word_or_none(state.task.word()));
    // At once: whatever follows, the key has worked or has not.
    ready.admitted.learn(result.key_effect());
    if let (Key::Token(token), ReadResult::Refused(answer)) = (&ready.key, &result) {
        token.record_denial(answer, Instant::now());
    }
    match precheck::judge(context.precheck.mode, result) {
        Verdict::Call => {
            ready.admitted.spend();
            with_baseline(context, object, plan, ready, task_status).await
        }
        Verdict::Note(note) => {
            ready.admitted.spend();
            ready.note = Some(note).filter(|_| context.precheck.mode != Mode::Off);
            with_baseline(context, object, plan, ready, task_status).await
        }
        Verdict::KeyRefused => {
            ready.admitted.leave(None);
            Err(NotReady::RecheckSoon(Duration::from_secs(1)))
        }
        Verdict::Unreachable => {
            let (host, unresolved) = (&plan.endpoint.host, context.cloud.unresolved(&plan.endpoint));
            Err(NotReady::Hold(messages::unreachable(host, unresolved, context.admission.unreachable(host))))
        }
        Verdict::Hold(reason, message) => {
            let recheck_after = jittered(context.precheck.every);
            let failed = FailedPrecheck {
                generation,
                credentials: ready.source.describe(),
                next: Instant::now() + recheck_after,
                reason,
                message: message.clone(),
            };
            context.attempts().prechecks.failed(uid, failed);
            ready.admitted.leave(None);
            Err(NotReady::Hold(Hold { reason, message, recheck_after }))
        }
    }
}

/// With `--observe`: the state in the cloud before the claim, kept in the attempt. A part that cannot be read stays
/// empty and then proves nothing later; it does not prevent the call.
async fn with_baseline(
    context: &Context,
    object: &ClusterRedistribution,
    plan: &Plan,
    mut ready: Ready,
    task_status: Option<String>,
) -> Result<Ready, NotReady> {
    if context.observe.is_some() {
        let request = RedistributionRequest::from(&object.spec);
        let result = tokio::select! {
            result = context.cloud.details(&request, &ready.key, &plan.endpoint, Timestamp::now()) => result,
            () = context.closing.cancelled() => return Err(NotReady::RecheckSoon(Duration::from_secs(1))),
        };
        context.metrics.observation(result.label());
        ready.admitted.learn(result.key_effect());
        if result.key_effect().is_some_and(precheck::is_about_key) {
            ready.admitted.leave(None);
            return Err(NotReady::RecheckSoon(Duration::from_secs(1)));
        }
        ready.admitted.spend();
        let shown = result.shown();
        ready.baseline = Some(Baseline {
            cluster_id: Some(object.spec.cluster_id.clone()),
            task_status,
            redistribution_id: shown.map(|shown| shown.map_or_else(|| NONE.to_owned(), |details| details.id.clone())),
            start_time: shown.flatten().and_then(|details| details.start_time.clone()),
            ..Baseline::default()
        });
    }
    let passed = PassedPrecheck {
        generation: object.metadata.generation.unwrap_or_default(),
        cluster: object.spec.cluster_id.to_ascii_lowercase(),
        key: context.credentials.identity(&ready.key, &plan.endpoint),
        at: Instant::now(),
        note: ready.note.clone(),
        baseline: ready.baseline.clone(),
    };
    context.attempts().prechecks.passed(object.metadata.uid.as_deref().unwrap_or_default(), passed);
    Ok(ready)
}

fn word_or_none(word: &str) -> String {
    if word.is_empty() { NONE } else { word }.to_owned()
}
