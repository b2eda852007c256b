//! An object that is to be called: prepare, decide once more, hand over to the delivery, and what follows from that for the
//! queue. It sends nothing itself and holds no rule of its own about when a call may be made.

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
    report::{hold, tell, unavailable},
};
use crate::{
    api::{ClusterRedistribution, Reason},
    controller::{
        attempt::{self, Delivered, deliver},
        context::Context,
        messages::crd_outdated,
        prepare::{NotReady, Ready, Seen, object_name, prepare},
    },
    protocol::decide::{Plan, Step},
    store::{API_TIMEOUT, WriteError},
};

/// How long a reconciliation waits for a known outcome to be written. Longer, and outcomes that the API server does not take
/// would keep all workers.
const WRITTEN_WITHIN: Duration = Duration::from_secs(2);

/// Prepare, decide once more, claim and send.
pub async fn call(
    context: &Arc<Context>,
    object: &ClusterRedistribution,
    plan: Plan,
    seen: Seen,
) -> Result<Action, Error> {
    let ready = match prepare(context, object, &plan, seen).await {
        Ok(ready) => ready,
        Err(NotReady::Hold(held)) => return hold(context, object, held).await,
        Err(NotReady::Shortly(rest)) => return Ok(Action::requeue(rest)),
        Err(NotReady::Retry(source)) => return unavailable(context, object, source).await,
    };
    let object = &match journal_is_kept(context, object, &plan, &ready).await {
        Ok(Some(object)) => object,
        Ok(None) => return hold(context, object, crd_outdated()).await,
        Err(source) => return Err(Error::Write { object: object_name(object), source }),
    };
    // Preparing took time, in which `not-after` may have passed, or an answer to another object have ended the token.
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
            tracing::warn!(%error, "an attempt whose outcome was written late has failed");
        }
        // Nobody listens any more once the controller stops.
        let _ = context.ended.send(object_name(&object));
    });
    Ok(Action::await_change())
}

/// The outcome has been known for a while. Never, where the attempt ends without one.
async fn overdue(is_known: oneshot::Receiver<()>) {
    match is_known.await {
        Ok(()) => sleep(WRITTEN_WITHIN).await,
        Err(_) => pending().await,
    }
}

/// What follows from how an attempt ended.
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
            tell(context, object, &held);
            Ok(Action::requeue(held.again))
        }
    }
}

/// Where the CRD was found too old before, by this process or on this object, a claim that it would prune must not be
/// written: it is tried out without writing first. The object is read after that, since the view from before may still be a pruned one. `None`:
/// it is too old still.
async fn journal_is_kept(
    context: &Context,
    object: &ClusterRedistribution,
    plan: &Plan,
    ready: &Ready,
) -> Result<Option<ClusterRedistribution>, WriteError> {
    let conditions = object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let is_said = conditions.iter().any(|condition| condition.reason == Reason::CRDOutdated.as_str());
    if !is_said && !context.attempts().crd_was_outdated() {
        return Ok(Some(object.clone()));
    }
    let now = Timestamp::now();
    let attempt = attempt::new_attempt(context, object, plan, (ready.source.describe(), ready.baseline.clone()), now)?;
    if !context.store.keeps_journal(object, &attempt, now).await? {
        return Ok(None);
    }
    let latest = context.store.get(object, API_TIMEOUT).await?;
    // Endpoint, key and cluster were chosen for the object as it was. One that moved on is looked at from the start.
    if latest.metadata.resource_version == object.metadata.resource_version {
        Ok(Some(latest))
    } else {
        Err(WriteError::Conflict)
    }
}
