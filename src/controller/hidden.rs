//! An object whose view lacks something that was written. Nothing is written upon such a view, since that would erase what a
//! schema only hides; a dry run finds out whether it is hidden or lost.

use std::time::Instant;

use k8s_openapi::jiff::Timestamp;
use kube::runtime::controller::Action;

use super::{Error, SOON, report::tell};
use crate::{
    api::{ClusterRedistribution, Reason},
    controller::{
        context::Context,
        messages::{Hold, RECHECK_AFTER, status_hidden},
        prepare::object_name,
    },
    protocol::{
        decide::{Step, journal_invalid},
        lost::held_as_lost,
    },
    runtime::jitter::jittered,
    store::{API_TIMEOUT, WriteError},
};

/// Waits for the CRD to show status again. Once a dry run says that the API server keeps all of it, and the object still
/// lacks the field after that, the field is lost: `JournalInvalid`.
pub async fn hidden(context: &Context, object: &ClusterRedistribution, what: &str) -> Result<Action, Error> {
    let uid = object.metadata.uid.as_deref().unwrap_or_default();
    let (is_new, wait) = context.attempts().hidden(uid, Instant::now());
    gauge(context);
    if is_new {
        tell(context, object, &status_hidden(what));
    }
    if !wait.is_zero() {
        return Ok(Action::requeue(wait));
    }
    let failed = |source| Error::Write { object: object_name(object), source };
    let latest = match context.store.keeps_status(object, Timestamp::now()).await {
        Ok(true) => context.store.get(object, API_TIMEOUT).await,
        Ok(false) => return Ok(Action::requeue(SOON)),
        Err(error) => Err(error),
    };
    let latest = match latest {
        Ok(latest) => latest,
        Err(WriteError::Conflict | WriteError::Gone) => return Ok(Action::requeue(jittered(SOON))),
        Err(source) => return Err(failed(source)),
    };
    match context.decide(&latest) {
        Step::Hidden(what) => lost(context, &latest, journal_invalid(&what)).await,
        _ => Ok(Action::requeue(SOON)),
    }
}

/// It is lost and not hidden: says so.
async fn lost(context: &Context, object: &ClusterRedistribution, message: String) -> Result<Action, Error> {
    let (uid, generation) =
        (object.metadata.uid.as_deref().unwrap_or_default(), object.metadata.generation.unwrap_or_default());
    let Some(next) = held_as_lost(object.status.as_ref(), (uid, generation), &message, Timestamp::now()) else {
        return Ok(Action::await_change());
    };
    match context.store.write(object, next).await {
        Ok(()) => {}
        Err(WriteError::Conflict | WriteError::Gone) => return Ok(Action::requeue(jittered(SOON))),
        Err(source) => return Err(Error::Write { object: object_name(object), source }),
    }
    tell(context, object, &Hold { reason: Reason::JournalInvalid, message, again: jittered(RECHECK_AFTER) });
    whole(context, object);
    Ok(Action::await_change())
}

/// A view of the object showed all that was written.
pub fn whole(context: &Context, object: &ClusterRedistribution) {
    context.attempts().whole(object.metadata.uid.as_deref().unwrap_or_default());
    gauge(context);
}

fn gauge(context: &Context) {
    context.metrics.hidden(context.attempts().hidden_objects());
}
