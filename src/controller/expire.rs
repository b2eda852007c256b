//! Closes an attempt from the outside: one whose process is gone, or one this process gave up before it stood.

use kube::runtime::controller::Action;

use super::{Error, SOON};
use crate::{
    api::{ClusterRedistribution, Reason},
    controller::{attempt, context::Context, prepare::object_name},
    protocol::record::Record,
    store::Recorded,
};

/// A claim nobody finished: its process is gone with what it knew, or alive and cut off. Then it may still say it.
pub async fn expire(context: &Context, object: &ClusterRedistribution, attempt_id: &str) -> Result<Action, Error> {
    let record = attempt::unknown_outcome(
        "Whoever made the call wrote down no answer in time: gone, or cut off from the API server. The cloud may have accepted, and it is never sent again by itself: look at the cluster in its console. Only if none began there, set spec.trigger to a new value",
    );
    close(context, object, attempt_id, &record).await.map(|_| Action::requeue(SOON))
}

/// A claim this process gave up was applied after all. Its permit was never used, and only this process can know.
pub async fn recall(context: &Context, object: &ClusterRedistribution, attempt_id: &str) -> Result<Action, Error> {
    let record = attempt::not_sent(
        Reason::ClaimTooSlow,
        "The API server did not confirm the claim in time, so nothing was sent",
    );
    let written = close(context, object, attempt_id, &record).await?;
    let uid = object.metadata.uid.as_deref().unwrap_or_default();
    let attempt = object.attempt();
    let generation = attempt.map(|attempt| attempt.generation).filter(|_| written);
    // Of an older generation nothing is tried again, and the newer one has nothing to wait for.
    if let Some(generation) = generation.filter(|_| generation == object.metadata.generation) {
        context.attempts().not_sent(uid, generation, rand::random(), std::time::Instant::now());
    }
    Ok(Action::requeue(SOON))
}

async fn close(
    context: &Context,
    object: &ClusterRedistribution,
    attempt_id: &str,
    record: &Record,
) -> Result<bool, Error> {
    match context.store.close(object, attempt_id, record).await {
        Ok(recorded) => {
            if let Some(attempt) = object.attempt() {
                attempt::tell(context, object, attempt, record, recorded);
            }
            Ok(recorded == Recorded::Written)
        }
        Err(source) => Err(Error::Write { object: object_name(object), source }),
    }
}
