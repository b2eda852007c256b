//! Log lines and events about an attempt. Changes nothing, and contains no secret.

use crate::{
    api::{Attempt, ClusterRedistribution, Reason},
    controller::{context::Context, prepare::object_name},
    protocol::record::Record,
    store::Recorded,
};

/// Filters and readers of the log expect these lines under the module of the attempt.
const TARGET: &str = "redistribution_operator::controller::attempt";

/// The call is made although the precheck did not find the cluster waiting.
pub(super) fn report_note(context: &Context, object: &ClusterRedistribution, note: &str) {
    let (namespace, name) = object_name(object);
    tracing::warn!(target: TARGET, namespace, name, note, "called although the cluster was not seen to wait");
    context.events.emit(object, Reason::ClusterNotWaiting, "Called", &format!("{note}. It is called all the same"));
}

/// Logs an outcome and emits an event.
pub fn announce(
    context: &Context,
    object: &ClusterRedistribution,
    attempt: &Attempt,
    record: &Record,
    recorded: Recorded,
) {
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
        context.events.emit(object, record.reason, &code, &note);
    }
}
