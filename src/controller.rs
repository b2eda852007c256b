//! Reconciliation as a table of contents: what is decided elsewhere is carried out here, step by step. It holds no
//! rule of its own about when a call may be made.

use std::{sync::Arc, time::Duration};

use futures::{Stream, StreamExt, future::ready};
use k8s_openapi::jiff::Timestamp;
use kube::runtime::{
    Controller,
    controller::{Action, Config, Error as ControllerError},
    reflector::{ObjectRef, Store},
    watcher,
};
use tokio::sync::mpsc;

use crate::{
    conditions::reason_at,
    context::{Context, jittered},
    decide::{Plan, Step},
    delivery::{self, Delivered, deliver},
    dws::credentials::CredentialsError,
    gate::ObjectName,
    ledger::{API_TIMEOUT, Recorded, WriteError},
    prepare::{Held, NotReady, object_name, prepare, rehearse},
    resource::{ClusterRedistribution, Reason},
    status,
    store::Guarded,
};

/// How often a hold that only a person ends is looked at again.
const HELD_AGAIN: Duration = Duration::from_secs(300);
/// After a change by somebody else, should the watch not bring it at once.
const SOON: Duration = Duration::from_secs(2);

/// Why a reconciliation failed. It is tried again with growing pauses; nothing was lost.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Status could not be written.
    #[error("status of {0}/{1} could not be written: {2}", object.0, object.1, source)]
    Write {
        /// Namespace and name.
        object: ObjectName,
        /// Why.
        source: WriteError,
    },
    /// The Secret could not be read, for a reason that is no fact about the object.
    #[error("the credentials of {0}/{1} could not be read: {2}", object.0, object.1, source)]
    Credentials {
        /// Namespace and name.
        object: ObjectName,
        /// Why.
        source: CredentialsError,
    },
    /// The task of an attempt was ended from outside.
    #[error("the attempt of {0}/{1} ended early: {2}", object.0, object.1, source)]
    Task {
        /// Namespace and name.
        object: ObjectName,
        /// Why.
        source: tokio::task::JoinError,
    },
}

/// Runs until the stream of objects and the running reconciliations have ended. `workers` objects at once.
pub async fn run(
    context: Arc<Context>,
    objects: impl Stream<Item = Result<Guarded, watcher::Error>> + Send + 'static,
    cache: Store<Guarded>,
    mut woken: mpsc::UnboundedReceiver<ObjectName>,
    workers: u16,
) {
    let closing = context.closing.clone();
    let wake = futures::stream::poll_fn(move |task| woken.poll_recv(task))
        .map(|(namespace, name)| ObjectRef::<Guarded>::new(&name).within(&namespace));
    Controller::for_stream(objects, cache)
        .reconcile_on(wake)
        .with_config(Config::default().concurrency(workers))
        .graceful_shutdown_on(async move { closing.cancelled().await })
        .run(reconcile, error_policy, context)
        .for_each(|result| {
            match result {
                // Finished objects leave the cache while a look at them may still be due.
                Ok(_) | Err(ControllerError::ObjectNotFound(_) | ControllerError::ReconcilerFailed(..)) => {}
                Err(error) => tracing::warn!(%error, "the controller's queue reports an error"),
            }
            ready(())
        })
        .await;
}

/// One look at one object.
async fn reconcile(object: Arc<Guarded>, context: Arc<Context>) -> Result<Action, Error> {
    let cached = match &object.0 {
        Ok(object) => object,
        Err(invalid) => return report_undecodable(&context, invalid).await,
    };
    match context.decide(cached) {
        Step::Nothing => return Ok(Action::await_change()),
        Step::Wait(rest) => return Ok(Action::requeue(rest)),
        _ => {}
    }
    // Whatever writes is decided on the object as it lies in the API server, not as the watch shows it: a watch that
    // was opened before the CRD was replaced goes on pruning what the old one did not know, under resourceVersions that
    // are current. Written back, such a view would erase the journal, and the swap would not notice.
    let object = &match context.ledger.get(cached, API_TIMEOUT).await {
        Ok(object) => object,
        Err(WriteError::Gone) => return Ok(Action::await_change()),
        Err(source) => return Err(Error::Write { object: object_name(cached), source }),
    };
    let result = match context.decide(object) {
        Step::Nothing => Ok(Action::await_change()),
        Step::Wait(rest) => Ok(Action::requeue(rest)),
        Step::Recall { attempt_id } => recall(&context, object, &attempt_id).await,
        Step::Settle { attempt_id } => settle(&context, object, &attempt_id).await,
        Step::Hold { reason, message } => {
            hold(&context, object, Held { reason, message, again: jittered(HELD_AGAIN) }).await
        }
        Step::Rehearse(plan) => suspended(&context, object, &plan).await,
        Step::Claim(plan) => call(&context, object, plan).await,
    };
    if result.is_ok() {
        context.forgive(object.metadata.uid.as_deref().unwrap_or_default());
        context.metrics.reconcile("success");
    }
    result
}

/// After a failure: again, later each time.
#[allow(clippy::needless_pass_by_value, reason = "the signature is the framework's")]
fn error_policy(object: Arc<Guarded>, error: &Error, context: Arc<Context>) -> Action {
    let uid = match &object.0 {
        Ok(object) => object.metadata.uid.as_deref(),
        Err(invalid) => invalid.metadata.uid.as_deref(),
    };
    let pause = context.pause_after_failure(uid.unwrap_or_default());
    context.metrics.reconcile("error");
    tracing::warn!(%error, seconds = pause.as_secs_f64(), "reconciliation failed; trying again");
    Action::requeue(pause)
}

/// Prepare, decide once more, claim and send.
async fn call(context: &Arc<Context>, object: &ClusterRedistribution, plan: Plan) -> Result<Action, Error> {
    let ready = match prepare(context, object, &plan).await {
        Ok(ready) => ready,
        Err(NotReady::Held(held)) => return hold(context, object, held).await,
        Err(NotReady::TryAgain(source)) => return Err(Error::Credentials { object: object_name(object), source }),
    };
    let object = &match journal_is_kept(context, object, &plan, &ready.rung.describe()).await {
        Ok(Some(object)) => object,
        Ok(None) => return hold(context, object, crd_outdated()).await,
        Err(WriteError::Conflict | WriteError::Gone) => return Ok(Action::requeue(jittered(SOON))),
        Err(source) => return Err(Error::Write { object: object_name(object), source }),
    };
    // Preparing took time, in which `not-after` may have passed.
    if context.closing.is_cancelled() || !matches!(context.decide(object), Step::Claim(_)) {
        return Ok(Action::requeue(SOON));
    }
    let task = context.tasks.spawn(deliver(Arc::clone(context), object.clone(), plan, ready));
    match task.await.map_err(|source| Error::Task { object: object_name(object), source })? {
        Delivered::Done => Ok(Action::await_change()),
        Delivered::NotSent => Ok(Action::requeue(SOON)),
        Delivered::NotClaimed(WriteError::Conflict | WriteError::Gone) => Ok(Action::requeue(jittered(SOON))),
        Delivered::NotClaimed(source) => Err(Error::Write { object: object_name(object), source }),
        Delivered::Pruned(latest) => hold(context, &latest, crd_outdated()).await,
    }
}

/// Where the CRD was found too old before, a claim that it would prune must not be written a second time: it is asked
/// without writing first. The object is read after that, since the view from before may still be a pruned one. `None`:
/// it is too old still.
async fn journal_is_kept(
    context: &Context,
    object: &ClusterRedistribution,
    plan: &Plan,
    credentials: &str,
) -> Result<Option<ClusterRedistribution>, WriteError> {
    let conditions = object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    if !conditions.iter().any(|condition| condition.reason == Reason::CRDOutdated.as_str()) {
        return Ok(Some(object.clone()));
    }
    let now = Timestamp::now();
    let attempt = delivery::new_attempt(context, object, plan, credentials.to_owned(), now);
    if !context.ledger.keeps_journal(object, &attempt, now).await? {
        return Ok(None);
    }
    context.ledger.get(object, API_TIMEOUT).await.map(Some)
}

fn crd_outdated() -> Held {
    Held {
        reason: Reason::CRDOutdated,
        message: "The installed CustomResourceDefinition is older than the controller and does not keep status.attempt, without which nothing is ever sent. Install the CRD of the controller's version (kubectl apply --server-side -f crds/); this object then follows by itself".to_owned(),
        again: jittered(HELD_AGAIN),
    }
}

/// Says what would be called if the object were not suspended.
async fn suspended(context: &Context, object: &ClusterRedistribution, plan: &Plan) -> Result<Action, Error> {
    let message = rehearse(context, object, plan)
        .await
        .map_err(|source| Error::Credentials { object: object_name(object), source })?;
    hold(context, object, Held { reason: Reason::Suspended, message, again: jittered(HELD_AGAIN) }).await
}

/// Writes the hold if status does not say it yet, and tells people if the reason is new.
async fn hold(context: &Context, object: &ClusterRedistribution, held: Held) -> Result<Action, Error> {
    let generation = object.metadata.generation.unwrap_or_default();
    let Some(next) = status::held(object.status.as_ref(), generation, held.reason, &held.message, Timestamp::now())
    else {
        return Ok(Action::requeue(held.again));
    };
    let before = object.status.as_ref().and_then(|status| reason_at(&status.conditions, generation));
    let is_new = before != Some(held.reason.as_str());
    match context.ledger.write(object, next).await {
        Ok(()) => {}
        // The watch brings what changed.
        Err(WriteError::Conflict | WriteError::Gone) => return Ok(Action::requeue(jittered(SOON))),
        Err(source) => return Err(Error::Write { object: object_name(object), source }),
    }
    if is_new {
        let (namespace, name) = object_name(object);
        tracing::info!(namespace, name, generation, reason = %held.reason, message = held.message, "held");
        context.events.tell(object, held.reason, held.reason.as_str(), &held.message);
        context.metrics.hold(held.reason);
    }
    Ok(Action::requeue(held.again))
}

/// A claim nobody finished: its process is gone, and what it knew is gone with it.
async fn settle(context: &Context, object: &ClusterRedistribution, attempt_id: &str) -> Result<Action, Error> {
    let record = delivery::unknown_outcome(
        "The controller that made the call was gone before it wrote down an answer. The cloud may have accepted: look at the cluster in its console. It is never sent again by itself; if the redistribution is still wanted, set spec.trigger to a new value",
    );
    close(context, object, attempt_id, &record).await.map(|_| Action::requeue(SOON))
}

/// A claim this process gave up was applied after all. Its permit was never used, and only this process can know.
async fn recall(context: &Context, object: &ClusterRedistribution, attempt_id: &str) -> Result<Action, Error> {
    let record = delivery::not_sent(
        Reason::ClaimTooSlow,
        "The API server did not confirm the claim in time, so nothing was sent. It is tried again by itself",
    );
    if close(context, object, attempt_id, &record).await? {
        let uid = object.metadata.uid.as_deref().unwrap_or_default();
        let generation = object.metadata.generation.unwrap_or_default();
        context.memory().not_sent(uid, generation, rand::random(), std::time::Instant::now());
    }
    Ok(Action::requeue(SOON))
}

async fn close(
    context: &Context,
    object: &ClusterRedistribution,
    attempt_id: &str,
    record: &status::Record,
) -> Result<bool, Error> {
    match context.ledger.close(object, attempt_id, record).await {
        Ok(recorded) => {
            if let Some(attempt) = object.status.as_ref().and_then(|status| status.attempt.as_ref()) {
                delivery::tell(context, object, attempt, record, recorded);
            }
            Ok(recorded == Recorded::Written)
        }
        Err(WriteError::Conflict | WriteError::Gone) => Ok(false),
        Err(source) => Err(Error::Write { object: object_name(object), source }),
    }
}

/// An object this version cannot read gets a condition of its own; all others go on.
async fn report_undecodable(
    context: &Context,
    invalid: &kube::core::error_boundary::InvalidObject,
) -> Result<Action, Error> {
    let object =
        (invalid.metadata.namespace.clone().unwrap_or_default(), invalid.metadata.name.clone().unwrap_or_default());
    match context.ledger.report_undecodable(&invalid.metadata, &invalid.error, Timestamp::now()).await {
        Ok(true) => {
            tracing::warn!(namespace = object.0, name = object.1, error = invalid.error, "this object cannot be read");
            context.metrics.hold(Reason::ObjectInvalid);
        }
        Ok(false) | Err(WriteError::Conflict | WriteError::Gone) => {}
        Err(source) => return Err(Error::Write { object, source }),
    }
    Ok(Action::requeue(jittered(HELD_AGAIN)))
}
