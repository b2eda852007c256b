//! Says on an object why nothing is called: once for each reason, and nothing where status says it already.

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

/// Failures in a row after which an object says that its credentials cannot be read: one is no fact about it.
const TROUBLE_AFTER: u32 = 2;

/// Says what would be called if the object were not suspended.
pub async fn suspended(context: &Context, object: &ClusterRedistribution, plan: &Plan) -> Result<Action, Error> {
    hold(context, object, preview(context, object, plan).await).await
}

/// The credentials could not be read, for a reason that is no fact about the object. Tried again with growing pauses, and
/// said where that goes on.
pub async fn unavailable(
    context: &Context,
    object: &ClusterRedistribution,
    source: CredentialsError,
) -> Result<Action, Error> {
    if context.failures_of(object.metadata.uid.as_deref().unwrap_or_default()) >= TROUBLE_AFTER {
        hold(context, object, messages::unavailable(&source)).await?;
    }
    Err(Error::Credentials { object: object_name(object), source })
}

/// Status says this hold already, word for word: there is nothing to read or write.
pub fn is_said(object: &ClusterRedistribution, reason: Reason, message: &str) -> bool {
    let generation = object.metadata.generation.unwrap_or_default();
    transitions::held(object.status.as_ref(), generation, reason, message, Timestamp::now()).is_none()
}

/// Writes the hold if status does not say it yet, and tells people if the reason is new.
pub async fn hold(context: &Context, object: &ClusterRedistribution, held: Hold) -> Result<Action, Error> {
    let generation = object.metadata.generation.unwrap_or_default();
    let current = match held.reason {
        Reason::JournalInvalid => object.status.clone(),
        _ => transitions::without_foreign(object.status.as_ref(), object.metadata.uid.as_deref().unwrap_or_default()),
    };
    let next =
        transitions::held_before_call(current.as_ref(), generation, held.reason, &held.message, Timestamp::now());
    let Some(next) = next else {
        return Ok(Action::requeue(held.again));
    };
    let before = object.status.as_ref().and_then(|status| reason_at(&status.conditions, generation));
    let is_new = before != Some(held.reason.as_str());
    // Of a conflict the watch brings what changed; the pause is for who meets one again and again.
    let written = context.store.write(object, next).await;
    written.map_err(|source| Error::Write { object: object_name(object), source })?;
    if is_new {
        tell(context, object, &held);
    }
    Ok(Action::requeue(held.again))
}

/// One log line and one event for each new hold.
pub fn tell(context: &Context, object: &ClusterRedistribution, held: &Hold) {
    let ((namespace, name), generation) = (object_name(object), object.metadata.generation);
    tracing::info!(namespace, name, generation, reason = %held.reason, message = held.message, "held");
    context.events.tell(object, held.reason, held.reason.as_str(), &held.message);
    context.metrics.hold(held.reason);
}

/// An object this version cannot read gets a condition of its own; all others go on.
pub async fn report_undecodable(context: &Context, invalid: &InvalidObject) -> Result<Action, Error> {
    let object =
        (invalid.metadata.namespace.clone().unwrap_or_default(), invalid.metadata.name.clone().unwrap_or_default());
    // It could be read when it came to wait for its turn, and keeps nobody back now.
    context.admission.forget(&object);
    if invalid.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let (uid, generation) = (invalid.metadata.uid.as_deref().unwrap_or_default(), invalid.metadata.generation);
    // A view without the attempt that was made here would let it be written over.
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
                "this object cannot be read, and its status is left alone, since it may be the only proof of a call"
            );
        }
        Ok(Reported::Known) => {}
        Ok(Reported::Past) | Err(WriteError::Conflict | WriteError::Gone) => {
            return Ok(Action::requeue(jittered(SOON)));
        }
        Err(source) => return Err(Error::Write { object, source }),
    }
    Ok(Action::requeue(jittered(RECHECK_AFTER)))
}
