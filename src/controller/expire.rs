//! Closes an attempt outside its task: one whose process is gone, or one that this process abandoned before its claim
//! was confirmed.

use kube::runtime::controller::Action;

use super::{Error, SOON};
use crate::{
    api::{ClusterRedistribution, Reason},
    controller::{attempt, context::Context, prepare::object_name},
    protocol::record::Record,
    store::Recorded,
};

/// The outcome of a claim that expired: at most 256 characters, which `status.attempt.message` takes.
const NO_OUTCOME: &str = "The caller recorded no outcome in time: it ended, or cannot reach the API server. The cloud may have accepted the request, which is never repeated. Check the cluster in the cloud's console; only if nothing began there, set spec.trigger to a new value";

/// Expires an unfinished claim: its process is gone together with the outcome, or alive and cut off from the API
/// server; then that process may still record the outcome.
pub async fn expire(context: &Context, object: &ClusterRedistribution, attempt_id: &str) -> Result<Action, Error> {
    let record = attempt::unknown_outcome(NO_OUTCOME);
    close(context, object, attempt_id, &record).await.map(|_| Action::requeue(SOON))
}

/// Retracts a claim that this process abandoned and that was applied after all. Its permit was never used, which only
/// this process can know.
pub async fn retract(context: &Context, object: &ClusterRedistribution, attempt_id: &str) -> Result<Action, Error> {
    let record = attempt::not_sent(
        Reason::ClaimTooSlow,
        "The API server did not confirm the claim in time, so nothing was sent",
    );
    let written = close(context, object, attempt_id, &record).await?;
    let uid = object.metadata.uid.as_deref().unwrap_or_default();
    let attempt = object.attempt();
    let generation = attempt.map(|attempt| attempt.generation).filter(|_| written);
    // A request of an older generation is not retried, and the newer generation has nothing to wait for.
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
                attempt::announce(context, object, attempt, record, recorded);
            }
            Ok(recorded == Recorded::Written)
        }
        Err(source) => Err(Error::Write { object: object_name(object), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_of_an_expired_claim_fits_into_its_attempt() {
        assert!(NO_OUTCOME.chars().count() <= 256);
    }
}
