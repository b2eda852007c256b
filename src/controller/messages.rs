//! The messages of holds that the controller itself finds. Reads and writes nothing.

use std::time::Duration;

use crate::{
    api::Reason,
    credentials::{CredentialSource, CredentialsError, REFUSED_RECHECK},
    protocol::{
        decide::Plan,
        hold::{Hold, RECHECK_AFTER},
    },
    runtime::jitter::jittered,
};

/// How often a CRD that was too old is tried by a dry run for each object.
const CRD_RECHECK: Duration = Duration::from_secs(60);

/// Suspended: what would be called, and what would prevent it.
pub fn suspended(plan: &Plan, source: &CredentialSource, error: Option<&CredentialsError>) -> Hold {
    let problem = error.map(|error| format!(" This would still prevent the call: {error}")).unwrap_or_default();
    let spec = &plan.spec;
    let message = format!(
        "Suspended: nothing is called. Without the annotation, redis_mode {} with {} parallel_jobs would be requested for cluster {} (project {}) at {} with {}.{problem}",
        spec.redis_mode,
        spec.parallel_jobs,
        spec.cluster_id,
        spec.project_id,
        plan.endpoint.host,
        source.in_message()
    );
    let retry_after = jittered(if error.is_some() { REFUSED_RECHECK } else { RECHECK_AFTER });
    Hold { reason: Reason::Suspended, message, retry_after }
}

/// The installed CRD would not keep the journal.
pub fn crd_outdated() -> Hold {
    Hold {
        reason: Reason::CRDOutdated,
        message: "The installed CustomResourceDefinition is older than the controller and does not keep all of status.attempt, without which nothing is sent. Install the CRD of the controller's version: upgrade the Helm release that brought it, or kubectl apply --server-side -f crds/. This object then continues automatically".to_owned(),
        retry_after: jittered(CRD_RECHECK),
    }
}

/// The object lacks a field that was written. Only for log and event, since nothing is written to such an object.
pub fn status_hidden(missing: &str) -> Hold {
    Hold {
        reason: Reason::CRDOutdated,
        message: format!(
            "This object's status is incomplete: {missing}. An older CRD or an admission webhook may hide it, so nothing is written and nothing is called. Install the CRD of the controller's version: upgrade the Helm release that brought it, or kubectl apply --server-side -f crds/. If the field is lost and not hidden, the object reports JournalInvalid after that"
        ),
        retry_after: jittered(RECHECK_AFTER),
    }
}
