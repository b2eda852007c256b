//! Reconciliation: carries out, step by step, what `protocol::decide` decides. Contains no rule of its own about when a
//! call may be made.

pub mod attempt;
pub mod context;
mod expire;
pub mod messages;
pub mod prepare;
mod report;
pub mod watch;

mod call;
pub mod calls;
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
    expire::{expire, retract},
    hidden::{hidden, mark_whole},
    observe::observe,
    report::{hold, is_reported, report_preview, report_undecodable},
};
use crate::{
    admission::ObjectName,
    api::ClusterRedistribution,
    controller::{
        context::Context,
        messages::{Hold, RECHECK_AFTER},
        prepare::{SeenAt, object_name},
    },
    credentials::CredentialsError,
    protocol::decide::Step,
    runtime::jitter::jittered,
    store::{API_TIMEOUT, WriteError, object::StoredObject},
};

/// Requeue after a change by another writer, in case the watch does not deliver the change at once.
const SOON: Duration = Duration::from_secs(2);
/// So many conflicts in a row with another writer of an object are no longer a coincidence.
const EXPECTED_CONFLICTS: u32 = 4;

/// Why a reconciliation failed. It is retried with a growing back-off; nothing is lost.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Status could not be written.
    #[error("status of {0}/{1} could not be written: {2}", object.0, object.1, source)]
    Write {
        /// Namespace and name of the object.
        object: ObjectName,
        /// The failure of the write.
        source: WriteError,
    },
    /// The Secret could not be read, for a transient reason that says nothing about the object.
    #[error("the credentials of {0}/{1} could not be read: {2}", object.0, object.1, source)]
    Credentials {
        /// Namespace and name of the object.
        object: ObjectName,
        /// The failure of the read.
        source: CredentialsError,
    },
    /// The task of an attempt was aborted, or panicked.
    #[error("the attempt of {0}/{1} ended early: {2}", object.0, object.1, source)]
    Task {
        /// Namespace and name of the object.
        object: ObjectName,
        /// How the task ended.
        source: tokio::task::JoinError,
    },
}

impl Error {
    /// The kind of the failure for the log, from a closed set.
    const fn kind(&self) -> &'static str {
        match self {
            Self::Write { source, .. } => source.reason(),
            Self::Credentials { .. } => "credentials",
            Self::Task { .. } => "task",
        }
    }

    /// Another writer changed or deleted the object in between, which is normal, but not many times in a row.
    const fn is_expected(&self, failures: u32) -> bool {
        matches!(self, Self::Write { source: WriteError::Conflict | WriteError::Gone, .. })
            && failures < EXPECTED_CONFLICTS
    }
}

/// Runs until the stream of objects and the running reconciliations have ended; reconciles `workers` objects at once.
pub async fn run(
    context: Arc<Context>,
    objects: impl Stream<Item = Result<StoredObject, watcher::Error>> + Send + 'static,
    cache: Store<StoredObject>,
    woken: impl Stream<Item = ObjectName> + Send + 'static,
    workers: u16,
) {
    let closing = context.closing.clone();
    context.metrics.workers(workers);
    // A new leader reconciles all pending objects: as a follower it has watched them and done nothing.
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
                // Finished objects leave the cache while a requeue of them may still be due. A woken object that is
                // gone must not block the others.
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

/// Counts and times a reconciliation.
async fn measured(object: Arc<StoredObject>, context: Arc<Context>) -> Result<Action, Error> {
    let reconciling = context.metrics.reconciling(&object);
    let failures = context.failures_of(uid_of(&object));
    let result = reconcile(object, Arc::clone(&context)).await;
    let label = match &result {
        Ok(action) if *action == Action::await_change() => "success",
        Ok(_) => "requeue_after",
        Err(error) if error.is_expected(failures + 1) => "requeue_after",
        Err(_) => "error",
    };
    context.metrics.reconciled(&reconciling, label);
    result
}

/// Reconciles one object.
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
        Step::Wait(pause) => return Ok(Action::requeue(pause)),
        Step::Observe(stage) => return observe(&context, cached, stage).await,
        Step::Hold { reason, message } if is_reported(cached, reason, &message) => {
            return Ok(Action::requeue(jittered(RECHECK_AFTER)));
        }
        _ => {}
    }
    // A step that writes is decided on the object in the API server, not on the cached one: a watch that was opened
    // before the CRD was replaced continues to prune the fields that the old CRD lacks, with current resourceVersions.
    // Written back, such a view would erase the journal, and the compare-and-swap would not notice.
    let watched = object.seen;
    let object = &match context.store.get(cached, API_TIMEOUT).await {
        Ok(object) => object,
        // The watch will remove it from the cache soon. If it does not, the object is reconciled again.
        Err(WriteError::Gone) => {
            context.admission.forget(&object_name(cached));
            return Ok(Action::requeue(jittered(RECHECK_AFTER)));
        }
        Err(source) => return Err(Error::Write { object: object_name(cached), source }),
    };
    // A key is usable if it was read after the watch showed the object's current version, not if it was read before.
    let is_unchanged = object.metadata.resource_version == cached.metadata.resource_version;
    let as_of = watched.filter(|_| is_unchanged).unwrap_or_else(Instant::now);
    let step = context.decide(object);
    if !matches!(step, Step::Hidden(_)) {
        mark_whole(&context, object);
    }
    let result = match step {
        Step::Retract { attempt_id } => retract(&context, object, &attempt_id).await,
        _ if !context.may_begin() => Ok(Action::await_change()),
        Step::Call(_) if !context.may_claim(object) => Ok(Action::await_change()),
        Step::Done => Ok(Action::await_change()),
        Step::Hidden(field) => hidden(&context, object, &field).await,
        Step::Wait(pause) => Ok(Action::requeue(pause)),
        Step::Observe(stage) => observe(&context, object, stage).await,
        Step::Expire { attempt_id } => expire(&context, object, &attempt_id).await,
        Step::Hold { reason, message } => {
            hold(&context, object, Hold { reason, message, recheck_after: jittered(RECHECK_AFTER) }).await
        }
        Step::Preview(plan) => report_preview(&context, object, &plan).await,
        Step::Call(plan) => call(&context, object, plan, SeenAt { watched, as_of }).await,
    };
    reset_failures_if_ok(&context, object, result)
}

/// A success ends a series of failures.
fn reset_failures_if_ok(
    context: &Context,
    object: &ClusterRedistribution,
    result: Result<Action, Error>,
) -> Result<Action, Error> {
    if result.is_ok() {
        context.reset_failures(object.metadata.uid.as_deref().unwrap_or_default());
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

/// Retries after a failure, later each time.
#[allow(clippy::needless_pass_by_value, reason = "the signature is the framework's")]
fn error_policy(object: Arc<StoredObject>, error: &Error, context: Arc<Context>) -> Action {
    let uid = uid_of(&object);
    let pause = context.pause_after_failure(uid, Instant::now());
    let seconds = pause.as_secs_f64();
    let is_logged = !error.is_expected(context.failures_of(uid));
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
