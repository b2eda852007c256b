//! Reconciliation as a table of contents: what is decided elsewhere is carried out here, step by step. It holds no
//! rule of its own about when a call may be made.

pub mod attempt;
pub mod context;
mod expire;
pub mod messages;
pub mod prepare;
mod report;
pub mod watch;

mod call;
mod hidden;
mod observe;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{Stream, StreamExt, future::ready};
use kube::runtime::{
    Controller,
    controller::{Action, Config, Error as ControllerError},
    reflector::{ObjectRef, Store},
    watcher,
};
use tokio_stream::wrappers::WatchStream;

use self::{
    call::call,
    expire::{expire, recall},
    hidden::{hidden, whole},
    observe::observe,
    report::{hold, is_said, report_undecodable, suspended},
};
use crate::{
    admission::ObjectName,
    api::ClusterRedistribution,
    controller::{
        context::Context,
        messages::{Hold, RECHECK_AFTER},
        prepare::{Seen, object_name},
    },
    credentials::CredentialsError,
    protocol::decide::Step,
    runtime::jitter::jittered,
    store::{API_TIMEOUT, WriteError, object::StoredObject},
};

/// After a change by somebody else, should the watch not bring it at once.
const SOON: Duration = Duration::from_secs(2);
/// So often in a row an object may be changed or deleted in between until that is no matter of chance.
const USUAL: u32 = 4;

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

impl Error {
    /// Bounded word for the log.
    const fn kind(&self) -> &'static str {
        match self {
            Self::Write { source, .. } => source.reason(),
            Self::Credentials { .. } => "credentials",
            Self::Task { .. } => "task",
        }
    }

    /// Somebody else changed or deleted the object in between, which happens, but not many times in a row.
    const fn is_usual(&self, failures: u32) -> bool {
        matches!(self, Self::Write { source: WriteError::Conflict | WriteError::Gone, .. }) && failures < USUAL
    }
}

/// Runs until the stream of objects and the running reconciliations have ended. `workers` objects at once.
pub async fn run(
    context: Arc<Context>,
    objects: impl Stream<Item = Result<StoredObject, watcher::Error>> + Send + 'static,
    cache: Store<StoredObject>,
    woken: impl Stream<Item = ObjectName> + Send + 'static,
    workers: u16,
) {
    let closing = context.closing.clone();
    context.metrics.workers(workers);
    // Whoever begins to lead looks at everything that is pending: it has watched all the while, and done nothing.
    let elected = WatchStream::new(context.leadership.clone()).filter(|leads| ready(*leads)).map(|_| ());
    let wake = woken.map(|(namespace, name)| ObjectRef::<StoredObject>::new(&name).within(&namespace));
    let admission = Arc::clone(&context.admission);
    Controller::for_stream(objects, cache)
        .reconcile_on(wake)
        .reconcile_all_on(elected)
        .with_config(Config::default().concurrency(workers))
        .graceful_shutdown_on(async move { closing.cancelled().await })
        .run(measured, error_policy, context)
        .for_each(|result| {
            match result {
                // Finished objects leave the cache while a look at them may still be due. One that was woken and is gone
                // keeps back nobody.
                Err(ControllerError::ObjectNotFound(gone)) => {
                    admission.forget(&(gone.namespace.unwrap_or_default(), gone.name));
                }
                Ok(_) | Err(ControllerError::ReconcilerFailed(..)) => {}
                Err(error) => tracing::warn!(%error, "the controller's queue reports an error"),
            }
            ready(())
        })
        .await;
}

/// A reconciliation, counted and timed.
async fn measured(object: Arc<StoredObject>, context: Arc<Context>) -> Result<Action, Error> {
    let reconciling = context.metrics.reconciling(&object);
    let failures = context.failures_of(uid_of(&object));
    let result = reconcile(object, Arc::clone(&context)).await;
    let word = match &result {
        Ok(action) if *action == Action::await_change() => "success",
        Ok(_) => "requeue_after",
        Err(error) if error.is_usual(failures + 1) => "requeue_after",
        Err(_) => "error",
    };
    context.metrics.reconciled(&reconciling, word);
    result
}

/// One look at one object.
async fn reconcile(object: Arc<StoredObject>, context: Arc<Context>) -> Result<Action, Error> {
    let cached = match &object.object {
        Ok(object) => object,
        Err(_) if !context.may_begin() => return Ok(Action::await_change()),
        Err(invalid) => return report_undecodable(&context, invalid).await,
    };
    let step = context.decide(cached);
    if !matches!(step, Step::Call(_)) {
        context.admission.forget(&object_name(cached));
    }
    match step {
        Step::Retract { .. } => {}
        _ if !context.may_begin() => return Ok(Action::await_change()),
        Step::Call(_) if !context.may_claim(cached) => return Ok(Action::await_change()),
        Step::Done => return Ok(Action::await_change()),
        Step::Wait(rest) => return Ok(Action::requeue(rest)),
        Step::Observe(stage) => return observe(&context, cached, stage).await,
        Step::Hold { reason, message } if is_said(cached, reason, &message) => {
            return Ok(Action::requeue(jittered(RECHECK_AFTER)));
        }
        _ => {}
    }
    // Whatever writes is decided on the object as it lies in the API server, not as the watch shows it: a watch that
    // was opened before the CRD was replaced goes on pruning what the old one did not know, under resourceVersions that
    // are current. Written back, such a view would erase the journal, and the swap would not notice.
    let shown = object.seen;
    let object = &match context.store.get(cached, API_TIMEOUT).await {
        Ok(object) => object,
        // The watch tells soon, and takes it out of the cache. Should it not, somebody looks again.
        Err(WriteError::Gone) => {
            context.admission.forget(&object_name(cached));
            return Ok(Action::requeue(jittered(RECHECK_AFTER)));
        }
        Err(source) => return Err(Error::Write { object: object_name(cached), source }),
    };
    // A key may serve that was read after the object was seen as it is now, and not before.
    let is_as_shown = object.metadata.resource_version == cached.metadata.resource_version;
    let as_of = shown.filter(|_| is_as_shown).unwrap_or_else(Instant::now);
    let step = context.decide(object);
    if !matches!(step, Step::Hidden(_)) {
        whole(&context, object);
    }
    let result = match step {
        Step::Retract { attempt_id } => recall(&context, object, &attempt_id).await,
        _ if !context.may_begin() => Ok(Action::await_change()),
        Step::Call(_) if !context.may_claim(object) => Ok(Action::await_change()),
        Step::Done => Ok(Action::await_change()),
        Step::Hidden(what) => hidden(&context, object, &what).await,
        Step::Wait(rest) => Ok(Action::requeue(rest)),
        Step::Observe(stage) => observe(&context, object, stage).await,
        Step::Expire { attempt_id } => expire(&context, object, &attempt_id).await,
        Step::Hold { reason, message } => {
            hold(&context, object, Hold { reason, message, again: jittered(RECHECK_AFTER) }).await
        }
        Step::Preview(plan) => suspended(&context, object, &plan).await,
        Step::Call(plan) => call(&context, object, plan, Seen { shown, as_of }).await,
    };
    forgiven(&context, object, result)
}

/// What went well ends a row of failures.
fn forgiven(context: &Context, object: &ClusterRedistribution, result: Result<Action, Error>) -> Result<Action, Error> {
    if result.is_ok() {
        context.forgive(object.metadata.uid.as_deref().unwrap_or_default());
    }
    result
}

fn uid_of(object: &StoredObject) -> &str {
    let uid = match &object.object {
        Ok(object) => object.metadata.uid.as_deref(),
        Err(invalid) => invalid.metadata.uid.as_deref(),
    };
    uid.unwrap_or_default()
}

/// After a failure: again, later each time.
#[allow(clippy::needless_pass_by_value, reason = "the signature is the framework's")]
fn error_policy(object: Arc<StoredObject>, error: &Error, context: Arc<Context>) -> Action {
    let uid = uid_of(&object);
    let pause = context.pause_after_failure(uid, Instant::now());
    let seconds = pause.as_secs_f64();
    let is_logged = !error.is_usual(context.failures_of(uid));
    let logged = is_logged.then(|| context.throttled_log().failed(error.kind(), Instant::now())).flatten();
    if let Some(more) = logged {
        tracing::warn!(
            %error,
            seconds,
            more,
            "reconciliation failed; trying again. Further failures of this kind are logged after ten minutes"
        );
    } else {
        tracing::debug!(%error, seconds, "reconciliation failed; trying again");
    }
    Action::requeue(pause)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests;
