//! What people are told of an attempt: lines in the log, and events. It changes nothing, and no secret is in it.

use crate::{
    api::{Attempt, ClusterRedistribution, Reason},
    controller::{context::Context, prepare::object_name},
    protocol::record::Record,
    store::Recorded,
};

/// Whoever filters the log or reads it by machine finds these lines under the module of the attempt.
const TARGET: &str = "redistribution_operator::controller::attempt";

/// It is called although a look at the cluster did not see it wait.
pub(super) fn report_note(context: &Context, object: &ClusterRedistribution, note: &str) {
    let (namespace, name) = object_name(object);
    tracing::warn!(target: TARGET, namespace, name, note, "called although the cluster was not seen to wait");
    context.events.tell(object, Reason::ClusterNotWaiting, "Called", &format!("{note}. It is called all the same"));
}

/// One log line and one event for each outcome.
pub fn tell(context: &Context, object: &ClusterRedistribution, attempt: &Attempt, record: &Record, recorded: Recorded) {
    let (namespace, name) = object_name(object);
    tracing::info!(
        target: TARGET,
        namespace,
        name,
        uid = attempt.uid,
        generation = attempt.generation,
        attempt = attempt.id,
        state = record.state.as_str(),
        reason = %record.reason,
        status_code = record.status_code,
        error_code = record.error_code,
        request_id = record.request_id,
        endpoint = attempt.endpoint,
        recorded = ?recorded,
        "outcome"
    );
    if recorded != Recorded::Known {
        let code = record.status_code.map_or_else(|| record.state.as_str().to_owned(), |code| format!("Http{code}"));
        let note = format!("{} (generation {}, attempt {})", record.message, attempt.generation, attempt.id);
        context.events.tell(object, record.reason, &code, &note);
    }
}
