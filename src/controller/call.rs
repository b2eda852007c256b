//! The call for one object: prepare, decide again, start the attempt's task, and requeue by its result. Sends nothing
//! itself and contains no rule of its own about when a call may be made.

use std::{
    future::pending,
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::jiff::Timestamp;
use kube::runtime::controller::Action;
use tokio::{sync::oneshot, task::JoinError, time::sleep};

use super::{
    Error, SOON,
    report::{announce, hold, unavailable},
};
use crate::{
    api::{ClusterRedistribution, Reason},
    controller::{
        attempt::{self, Delivered, deliver},
        context::Context,
        messages::crd_outdated,
        prepare::{NotReady, Ready, SeenAt, object_name, prepare},
    },
    protocol::decide::{Plan, Step},
    store::{API_TIMEOUT, WriteError},
};

/// How long a reconciliation waits for a known outcome to be recorded. If it waited longer, outcomes that the API
/// server does not accept would block all workers.
const RECORD_WAIT: Duration = Duration::from_secs(2);

/// Prepares, decides again and starts the attempt, which claims and sends.
pub async fn call(
    context: &Arc<Context>,
    object: &ClusterRedistribution,
    plan: Plan,
    seen: SeenAt,
) -> Result<Action, Error> {
    let ready = match prepare(context, object, &plan, seen).await {
        Ok(ready) => ready,
        Err(NotReady::Hold(held)) => return hold(context, object, held).await,
        Err(NotReady::RecheckSoon(pause)) => return Ok(Action::requeue(pause)),
        Err(NotReady::Retry(source)) => return unavailable(context, object, source).await,
    };
    let object = &match journal_is_kept(context, object, &plan, &ready).await {
        Ok(Some(object)) => object,
        Ok(None) => return hold(context, object, crd_outdated()).await,
        Err(source) => return Err(Error::Write { object: object_name(object), source }),
    };
    // During the preparation `not-after` may have passed, or an answer to another object may have ended the token.
    let usable = context.tokens.may_use(&ready.key, Instant::now());
    if !usable || !context.may_claim(object) || !matches!(context.decide(object), Step::Call(_)) {
        return Ok(Action::requeue(SOON));
    }
    let (known, is_known) = oneshot::channel();
    let mut task = context.tasks.spawn(deliver(Arc::clone(context), object.clone(), plan, ready, known));
    tokio::select! {
        delivered = &mut task => return ended(context, object, delivered),
        () = overdue(is_known) => {}
    }
    let (context, object) = (Arc::clone(context), object.clone());
    context.clone().tasks.spawn(async move {
        if let Err(error) = ended(&context, &object, task.await) {
            tracing::warn!(%error, "an attempt whose outcome was recorded late has failed");
        }
        // The receiver is gone once the controller stops.
        let _ = context.ended.send(object_name(&object));
    });
    Ok(Action::await_change())
}

/// Completes when the outcome has been known for a while; never, if the attempt ends without one.
async fn overdue(is_known: oneshot::Receiver<()>) {
    match is_known.await {
        Ok(()) => sleep(RECORD_WAIT).await,
        Err(_) => pending().await,
    }
}

/// The requeue after an attempt has ended.
fn ended(
    context: &Context,
    object: &ClusterRedistribution,
    delivered: Result<Delivered, JoinError>,
) -> Result<Action, Error> {
    match delivered.map_err(|source| Error::Task { object: object_name(object), source })? {
        Delivered::Done => Ok(Action::await_change()),
        Delivered::NotSent => Ok(Action::requeue(SOON)),
        Delivered::NotClaimed(source) => Err(Error::Write { object: object_name(object), source }),
        Delivered::Pruned => {
            let held = crd_outdated();
            announce(context, object, &held);
            Ok(Action::requeue(held.recheck_after))
        }
    }
}

/// If the CRD was too old before, for this process or this object, a claim that it would prune must not be written: a
/// dry run of the claim comes first. The object is read after it, since the earlier view may still be a pruned one.
/// `None`: the CRD is still too old.
async fn journal_is_kept(
    context: &Context,
    object: &ClusterRedistribution,
    plan: &Plan,
    ready: &Ready,
) -> Result<Option<ClusterRedistribution>, WriteError> {
    let conditions = object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let is_reported = conditions.iter().any(|condition| condition.reason == Reason::CRDOutdated.as_str());
    if !is_reported && !context.attempts().crd_was_outdated() {
        return Ok(Some(object.clone()));
    }
    let now = Timestamp::now();
    let attempt = attempt::new_attempt(context, object, plan, (ready.source.describe(), ready.baseline.clone()), now)?;
    if !context.store.keeps_journal(object, &attempt, now).await? {
        return Ok(None);
    }
    let latest = context.store.get(object, API_TIMEOUT).await?;
    // Endpoint, key and cluster were chosen for the earlier version of the object. A changed object starts again.
    if latest.metadata.resource_version == object.metadata.resource_version {
        Ok(Some(latest))
    } else {
        Err(WriteError::Conflict)
    }
}
