//! Reports in an object's status why nothing is called: once for each reason, and not if status reports it already.

use k8s_openapi::jiff::Timestamp;
use kube::{core::error_boundary::InvalidObject, runtime::controller::Action};

use super::{Error, SOON};
use crate::{
    api::{ClusterRedistribution, Reason},
    controller::{
        context::Context,
        messages::{self, Hold, RECHECK_AFTER},
        prepare::{object_name, preview},
    },
    credentials::CredentialsError,
    protocol::{conditions::reason_at, decide::Plan, transitions},
    runtime::jitter::jittered,
    store::{Reported, WriteError},
};

/// Failures in a row after which an object reports that its credentials cannot be read: a single one may be transient.
const REPORT_AFTER_FAILURES: u32 = 2;

/// Reports what would be called if the object were not suspended.
pub async fn report_preview(context: &Context, object: &ClusterRedistribution, plan: &Plan) -> Result<Action, Error> {
    hold(context, object, preview(context, object, plan).await).await
}

/// The credentials could not be read, for a transient reason that says nothing about the object. Retried with a growing
/// back-off, and reported if it persists.
pub async fn unavailable(
    context: &Context,
    object: &ClusterRedistribution,
    source: CredentialsError,
) -> Result<Action, Error> {
    if context.failures_of(object.metadata.uid.as_deref().unwrap_or_default()) >= REPORT_AFTER_FAILURES {
        hold(context, object, messages::unavailable(&source)).await?;
    }
    Err(Error::Credentials { object: object_name(object), source })
}

/// Whether status reports this hold already, word for word, so that there is nothing to read or write.
pub fn is_reported(object: &ClusterRedistribution, reason: Reason, message: &str) -> bool {
    let generation = object.metadata.generation.unwrap_or_default();
    transitions::held(object.status.as_ref(), generation, reason, message, Timestamp::now()).is_none()
}

/// Writes the hold if status does not report it yet, and logs it and emits an event if the reason is new.
pub async fn hold(context: &Context, object: &ClusterRedistribution, held: Hold) -> Result<Action, Error> {
    let generation = object.metadata.generation.unwrap_or_default();
    let current = match held.reason {
        Reason::JournalInvalid => object.status.clone(),
        _ => transitions::without_foreign(object.status.as_ref(), object.metadata.uid.as_deref().unwrap_or_default()),
    };
    let next =
        transitions::held_before_call(current.as_ref(), generation, held.reason, &held.message, Timestamp::now());
    let Some(next) = next else {
        return Ok(Action::requeue(held.recheck_after));
    };
    let before = object.status.as_ref().and_then(|status| reason_at(&status.conditions, generation));
    let is_new = before != Some(held.reason.as_str());
    // After a conflict the watch delivers the change; the back-off is for an object with conflicts again and again.
    let written = context.store.write(object, next).await;
    written.map_err(|source| Error::Write { object: object_name(object), source })?;
    if is_new {
        announce(context, object, &held);
    }
    Ok(Action::requeue(held.recheck_after))
}

/// Logs a new hold and emits an event.
pub fn announce(context: &Context, object: &ClusterRedistribution, held: &Hold) {
    let ((namespace, name), generation) = (object_name(object), object.metadata.generation);
    tracing::info!(namespace, name, generation, reason = %held.reason, message = held.message, "held");
    context.events.emit(object, held.reason, held.reason.as_str(), &held.message);
    context.metrics.hold(held.reason);
}

/// Reports an object that this version cannot decode in its own condition; all other objects proceed.
pub async fn report_undecodable(context: &Context, invalid: &InvalidObject) -> Result<Action, Error> {
    let object =
        (invalid.metadata.namespace.clone().unwrap_or_default(), invalid.metadata.name.clone().unwrap_or_default());
    // It may be in the queue, from a time when it could be decoded, and must not block the others.
    context.admission.forget(&object);
    if invalid.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let (uid, generation) = (invalid.metadata.uid.as_deref().unwrap_or_default(), invalid.metadata.generation);
    // If this view lacks an attempt of this process, writing the condition would overwrite that attempt.
    if context.attempts().may_have_sent(uid, generation.unwrap_or_default()) {
        return Ok(Action::requeue(jittered(RECHECK_AFTER)));
    }
    let (namespace, name, error) = (&object.0, &object.1, &invalid.error);
    match context.store.report_undecodable(&invalid.metadata, error, Timestamp::now()).await {
        Ok(Reported::Written) => {
            tracing::warn!(namespace, name, error, "this object cannot be read");
            context.metrics.hold(Reason::ObjectInvalid);
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
        Ok(Reported::NoLongerApplies) | Err(WriteError::Conflict | WriteError::Gone) => {
            return Ok(Action::requeue(jittered(SOON)));
        }
        Err(source) => return Err(Error::Write { object, source }),
    }
    Ok(Action::requeue(jittered(RECHECK_AFTER)))
}
