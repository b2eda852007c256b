//! The messages of holds, and when a held object is checked again. Reads and writes nothing.

pub mod iam;

use std::time::Duration;

use crate::{
    admission::{Refusal, Rejection},
    api::{ClusterRedistributionSpec, Reason},
    credentials::{CredentialSource, CredentialsError},
    protocol::annotations::CREDENTIALS_SECRET,
    runtime::jitter::jittered,
};

/// How often a hold that only a person can end is checked again.
pub const RECHECK_AFTER: Duration = Duration::from_secs(300);
/// How often invalid credentials are checked again.
pub const CREDENTIALS_RECHECK: Duration = Duration::from_secs(30);
/// Longest time until a waiting object is checked again if no release wakes it.
pub const QUEUE_RECHECK: Duration = Duration::from_secs(15);
/// A 429 may ask for hours; the object is checked at least this often.
const MAX_THROTTLED_RECHECK: Duration = Duration::from_secs(15 * 60);
/// Longest time until an object that reports a long queue before it is checked again: each check costs a read.
const MAX_QUEUE_RECHECK: Duration = Duration::from_secs(300);

/// Why nothing is claimed now, as status reports it.
#[derive(Debug)]
pub struct Hold {
    /// Reason of the conditions.
    pub reason: Reason,
    /// What happened and what to do. Contains no remaining time, since each change of it would be a write.
    pub message: String,
    /// Longest time until the object is checked again.
    pub recheck_after: Duration,
}

/// Suspended: what would be called, and what would prevent it.
pub fn suspended(
    spec: &ClusterRedistributionSpec,
    host: &str,
    source: &CredentialSource,
    error: Option<&CredentialsError>,
) -> Hold {
    let problem = error.map(|error| format!(" This would still prevent the call: {error}")).unwrap_or_default();
    let message = format!(
        "Suspended: nothing is called. Without the annotation, redis_mode {} with {} parallel_jobs would be requested for cluster {} (project {}) at {host} with {}.{problem}",
        spec.redis_mode,
        spec.parallel_jobs,
        spec.cluster_id,
        spec.project_id,
        in_words(source)
    );
    let recheck_after = jittered(if error.is_some() { CREDENTIALS_RECHECK } else { RECHECK_AFTER });
    Hold { reason: Reason::Suspended, message, recheck_after }
}

/// The credentials cannot be read, repeatedly, and the cause is not known.
pub fn unavailable(error: &CredentialsError) -> Hold {
    Hold {
        reason: Reason::CredentialsInvalid,
        message: format!("{error}. The operator retries automatically, less often each time"),
        recheck_after: jittered(CREDENTIALS_RECHECK),
    }
}

/// The installed CRD would not keep the journal.
pub fn crd_outdated() -> Hold {
    Hold {
        reason: Reason::CRDOutdated,
        message: "The installed CustomResourceDefinition is older than the controller and does not keep all of status.attempt, without which nothing is sent. Install the CRD of the controller's version: upgrade the Helm release that brought it, or kubectl apply --server-side -f crds/. This object then continues automatically".to_owned(),
        recheck_after: jittered(RECHECK_AFTER),
    }
}

/// The object lacks a field that was written. Only for log and event, since nothing is written to such an object.
pub fn status_hidden(missing: &str) -> Hold {
    Hold {
        reason: Reason::CRDOutdated,
        message: format!(
            "This object's status is incomplete: {missing}. An older CRD or an admission webhook may hide it, so nothing is written and nothing is called. Install the CRD of the controller's version: upgrade the Helm release that brought it, or kubectl apply --server-side -f crds/. If the field is lost and not hidden, the object reports JournalInvalid after that"
        ),
        recheck_after: jittered(RECHECK_AFTER),
    }
}

/// The endpoint did not accept a connection, or DNS did not resolve this name, which has to come first.
pub fn unreachable(host: &str, unresolved: Option<&str>, recheck_after: Duration) -> Hold {
    let message = match unresolved {
        Some(name) => format!(
            "{host} cannot be reached: DNS gives no address for {name}. Nothing was sent. The operator retries automatically; check the name, and the DNS of the controller's host or pod"
        ),
        None => format!(
            "{host} cannot be reached. Nothing was sent. The operator retries automatically; check the network, the proxy and --ca-bundle"
        ),
    };
    Hold { reason: Reason::EndpointUnreachable, message, recheck_after }
}

/// Admission refused the object.
pub fn refused(refusal: Refusal, source: &CredentialSource) -> Hold {
    let secret = in_words(source);
    match refusal {
        Refusal::AnotherCall { by: (namespace, name) } => Hold {
            reason: Reason::AnotherCallInFlight,
            message: format!(
                "{namespace}/{name} is calling for the same DWS cluster. This object continues when that call has ended"
            ),
            recheck_after: jittered(QUEUE_RECHECK * 2),
        },
        Refusal::Throttled { wait, behind } => Hold {
            reason: Reason::Throttled,
            message: format!(
                "The cloud throttles requests with {secret} (429). This object is called when the Retry-After time is over"
            ),
            recheck_after: wait.min(MAX_THROTTLED_RECHECK)
                + jittered(Duration::from_secs(1))
                + jittered(behind.min(MAX_QUEUE_RECHECK)),
        },
        Refusal::Slot { .. } => waiting_for_slot(&secret, QUEUE_RECHECK),
        // Admission wakes it when its turn comes; it need not check before.
        Refusal::Queued { wait, .. } => waiting_for_slot(&secret, wait.clamp(QUEUE_RECHECK, MAX_QUEUE_RECHECK)),
        Refusal::Rejected { why, wait } => Hold {
            reason: Reason::CredentialsRejected,
            message: rejected(why, &secret),
            recheck_after: jittered(
                wait.unwrap_or(CREDENTIALS_RECHECK).min(CREDENTIALS_RECHECK).max(Duration::from_secs(1)),
            ),
        },
    }
}

fn waiting_for_slot(secret: &str, recheck_after: Duration) -> Hold {
    Hold {
        reason: Reason::Throttled,
        message: format!(
            "Waiting for a slot: the rate limit of {secret} (--rate-limit) or the limit of calls in flight (--concurrency) is reached, or the first call with the key has no answer yet. This object continues automatically"
        ),
        recheck_after: jittered(recheck_after),
    }
}

fn rejected(why: Rejection, secret: &str) -> String {
    let retry = "One object tries again 5 minutes after the last refusal, and the others continue once it succeeds";
    match why {
        Rejection::Wrong => format!(
            "The gateway refused {secret}, which had not worked before. Since five refusals would lock the key, it is not used again until its values change or the controller restarts. Correct the access key and secret key; this object then continues automatically"
        ),
        Rejection::WorkedBefore => format!(
            "The gateway refused {secret}, which had worked before. {retry}. Check whether the access key was changed, disabled or deleted"
        ),
        Rejection::Locked => {
            format!("The gateway has locked {secret} for some minutes, after too many wrong signatures. {retry}")
        }
        Rejection::Token => format!(
            "The gateway rejects the tokens that the user of {secret} gets from IAM. {retry}. Check whether the region's endpoint and its IAM (--iam-endpoint) belong together"
        ),
        Rejection::RefusedTooOften => format!(
            "The gateway refused {secret} at least four times within 5 minutes, as the status of other objects shows. Since five refusals would lock the key, it is used again when at most three refusals are younger than that. Check whether access key and secret key are correct"
        ),
        Rejection::Clock => format!(
            "The gateway refused the date of a signature with {secret}: the clock of the controller's node is wrong. {retry}. Correct the clock"
        ),
    }
}

/// A source of the resolution order, for messages.
pub fn in_words(source: &CredentialSource) -> String {
    match source {
        CredentialSource::Controller => "the controller's default credentials".to_owned(),
        CredentialSource::Secret { namespace, name } => {
            format!("Secret {namespace}/{name} (annotation {CREDENTIALS_SECRET}, or the default name)")
        }
    }
}

#[cfg(test)]
mod tests;
