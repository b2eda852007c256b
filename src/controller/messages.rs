//! What is said of an object that nothing is claimed for, and when it is looked at again. It reads and writes nothing.

pub mod iam;

use std::time::Duration;

use crate::{
    admission::{Refusal, Rejection},
    api::{ClusterRedistributionSpec, Reason},
    credentials::{CredentialSource, CredentialsError},
    protocol::annotations::CREDENTIALS_SECRET,
    runtime::jitter::jittered,
};

/// How often a hold that only a person ends is looked at again.
pub const RECHECK_AFTER: Duration = Duration::from_secs(300);
/// How often credentials that are wrong are looked at again.
pub const CREDENTIALS_AGAIN: Duration = Duration::from_secs(30);
/// Longest time until a waiting object is looked at again, should no release wake it.
pub const TURN_AGAIN: Duration = Duration::from_secs(15);
/// A 429 may ask for hours; the object is looked at at least this often.
const THROTTLED_AT_MOST: Duration = Duration::from_secs(15 * 60);
/// Who has a long line before it and has said so asks again this late at the latest: each time costs a read.
const LINE_AGAIN: Duration = Duration::from_secs(300);

/// Why nothing is claimed now.
#[derive(Debug)]
pub struct Hold {
    /// Reason of the conditions.
    pub reason: Reason,
    /// What happened and what to do. Holds no time that runs: each change would be a write.
    pub message: String,
    /// When to look again at the latest.
    pub again: Duration,
}

/// Suspended: what would be called, and what is not in order about that.
pub fn suspended(
    spec: &ClusterRedistributionSpec,
    host: &str,
    source: &CredentialSource,
    trouble: Option<&CredentialsError>,
) -> Hold {
    let told = trouble.map(|trouble| format!(" Not in order yet: {trouble}")).unwrap_or_default();
    let message = format!(
        "Suspended: nothing is called. Without the annotation, redis_mode {} with {} parallel_jobs would be asked of cluster {} (project {}) at {host} with {}.{told}",
        spec.redis_mode,
        spec.parallel_jobs,
        spec.cluster_id,
        spec.project_id,
        in_words(source)
    );
    let again = jittered(if trouble.is_some() { CREDENTIALS_AGAIN } else { RECHECK_AFTER });
    Hold { reason: Reason::Suspended, message, again }
}

/// The credentials cannot be read, again and again, and it is not known why.
pub fn unavailable(error: &CredentialsError) -> Hold {
    Hold {
        reason: Reason::CredentialsInvalid,
        message: format!("{error}. It is tried again by itself, less often each time"),
        again: jittered(CREDENTIALS_AGAIN),
    }
}

/// The installed CRD would not keep the journal.
pub fn crd_outdated() -> Hold {
    Hold {
        reason: Reason::CRDOutdated,
        message: "The installed CustomResourceDefinition is older than the controller and does not keep all of status.attempt, without which nothing is ever sent. Install the CRD of the controller's version: upgrade the Helm release that brought it, or kubectl apply --server-side -f crds/. This object then follows by itself".to_owned(),
        again: jittered(RECHECK_AFTER),
    }
}

/// The object lacks something that was written. Only for log and event, since nothing is written to such an object.
pub fn status_hidden(what: &str) -> Hold {
    Hold {
        reason: Reason::CRDOutdated,
        message: format!(
            "This object's status is not whole: {what}. An older CRD or an admission webhook may hide it, so nothing is written and nothing is called. Install the CRD of the controller's version: upgrade the Helm release that brought it, or kubectl apply --server-side -f crds/. If it is lost and not hidden, the object is reported as JournalInvalid after that"
        ),
        again: jittered(RECHECK_AFTER),
    }
}

/// The endpoint did not answer a connection, or DNS did not resolve this name, which has to come before.
pub fn unreachable(host: &str, unresolved: Option<&str>, again: Duration) -> Hold {
    let message = match unresolved {
        Some(name) => format!(
            "{host} cannot be reached: DNS gives no address for {name}. Nothing was sent. It is tried again by itself; look at the name, and at the DNS of the controller's host or pod"
        ),
        None => format!(
            "{host} cannot be reached. Nothing was sent. It is tried again by itself; look at the network, the proxy and --ca-bundle"
        ),
    };
    Hold { reason: Reason::EndpointUnreachable, message, again }
}

/// The admission let nobody in.
pub fn refused(refusal: Refusal, source: &CredentialSource) -> Hold {
    let secret = in_words(source);
    match refusal {
        Refusal::AnotherCall { by: (namespace, name) } => Hold {
            reason: Reason::AnotherCallInFlight,
            message: format!(
                "{namespace}/{name} is calling for the same DWS cluster. This object follows when that call has ended"
            ),
            again: jittered(TURN_AGAIN * 2),
        },
        Refusal::Throttled { wait, behind } => Hold {
            reason: Reason::Throttled,
            message: format!(
                "The cloud asked {secret} to slow down (429). This object is called when that time is over"
            ),
            again: wait.min(THROTTLED_AT_MOST) + jittered(Duration::from_secs(1)) + jittered(behind.min(LINE_AGAIN)),
        },
        Refusal::Slot { .. } => others_first(&secret, TURN_AGAIN),
        // It is woken when its turn comes, and need not ask before.
        Refusal::Queued { wait, .. } => others_first(&secret, wait.clamp(TURN_AGAIN, LINE_AGAIN)),
        Refusal::Rejected { why, wait } => Hold {
            reason: Reason::CredentialsRejected,
            message: rejected(why, &secret),
            again: jittered(wait.unwrap_or(CREDENTIALS_AGAIN).min(CREDENTIALS_AGAIN).max(Duration::from_secs(1))),
        },
    }
}

fn others_first(secret: &str, again: Duration) -> Hold {
    Hold {
        reason: Reason::Throttled,
        message: format!(
            "Others are first: the pace of {secret} (--rate-limit), the calls in flight (--concurrency), or a key that has not had its first answer yet. This object follows by itself"
        ),
        again: jittered(again),
    }
}

fn rejected(why: Rejection, secret: &str) -> String {
    let again = "One object tries it again 5 minutes after the last refusal, and the others follow once that worked";
    match why {
        Rejection::Wrong => format!(
            "The gateway refused {secret}, which had not worked before. Since five refusals would lock the key, it is not used again until its values change or the controller restarts. Correct the access key and secret key; this object then follows by itself"
        ),
        Rejection::WorkedBefore => format!(
            "The gateway refused {secret}, which had worked before. {again}. Look whether the access key was changed, disabled or deleted"
        ),
        Rejection::Locked => {
            format!("The gateway has locked {secret} for some minutes, after too many wrong signatures. {again}")
        }
        Rejection::Token => format!(
            "The gateway does not take the tokens that the user of {secret} gets from IAM. {again}. Look whether the region's endpoint and its IAM (--iam-endpoint) belong together"
        ),
        Rejection::Often => format!(
            "The gateway refused {secret} at least four times within 5 minutes, as status of other objects tells. Since five refusals would lock the key, it is used again when only three are younger than that. Look whether access key and secret key are right"
        ),
        Rejection::Clock => format!(
            "The gateway refused the date of a signature with {secret}: the clock of the controller's node is off. {again}. Correct the clock"
        ),
    }
}

/// A source of the resolution order, for people.
pub fn in_words(source: &CredentialSource) -> String {
    match source {
        CredentialSource::Controller => "the controller's own credentials".to_owned(),
        CredentialSource::Secret { namespace, name } => {
            format!("Secret {namespace}/{name} (annotation {CREDENTIALS_SECRET}, or the default name)")
        }
    }
}

#[cfg(test)]
mod tests;
