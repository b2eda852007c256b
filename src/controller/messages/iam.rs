//! What is said of an object whose Secret holds a user of IAM that gets no token, and when it is looked at again. It reads
//! and writes nothing, and quotes nothing of IAM.

use std::time::Duration;

use super::{CREDENTIALS_AGAIN, Hold, THROTTLED_AT_MOST, in_words};
use crate::{
    admission::{Refusal, Rejection},
    api::Reason,
    credentials::{
        CredentialSource,
        tokens::{Denied, FailureCause, ScopeError},
    },
    runtime::jitter::jittered,
};

/// IAM cannot be reached. The message is the same each time: while IAM comes and goes nothing is written.
pub fn away(source: &CredentialSource, host: &str, again: Duration) -> Hold {
    Hold {
        reason: Reason::EndpointUnreachable,
        message: format!(
            "IAM at {host} gives no token for {}: it cannot be reached, or does not answer. Nothing was called. It is tried again by itself; look at DNS, the network, the proxy, --ca-bundle and --iam-endpoint",
            in_words(source)
        ),
        again,
    }
}

/// There is no token, and IAM has said why.
pub fn denied(denied: Denied, source: &CredentialSource, host: &str, project: &str) -> Hold {
    let secret = in_words(source);
    match denied {
        Denied::Unreachable => away(source, host, jittered(CREDENTIALS_AGAIN)),
        Denied::Unanswered(why, rest) => Hold {
            reason: Reason::EndpointUnreachable,
            message: lost(why, &secret, host),
            again: jittered(rest.min(CREDENTIALS_AGAIN).max(Duration::from_secs(1))),
        },
        Denied::User(Refusal::Rejected { why, wait }) => Hold {
            reason: Reason::CredentialsRejected,
            message: rejected(why, &secret, host),
            again: jittered(wait.unwrap_or(CREDENTIALS_AGAIN).min(CREDENTIALS_AGAIN).max(Duration::from_secs(1))),
        },
        Denied::User(refusal) => Hold {
            reason: Reason::Throttled,
            message: format!(
                "IAM at {host} asked the user of {secret} to slow down (429). This object is called when that time is over"
            ),
            again: match refusal {
                Refusal::Throttled { wait, .. } => wait.min(THROTTLED_AT_MOST) + jittered(Duration::from_secs(1)),
                _ => jittered(CREDENTIALS_AGAIN),
            },
        },
        Denied::Scope(trouble, rest) => {
            let (reason, message) = of_project(trouble, &secret, host, project);
            // A changed Secret is to be noticed before that.
            Hold { reason, message, again: jittered(rest.min(CREDENTIALS_AGAIN).max(Duration::from_secs(1))) }
        }
    }
}

/// How long it rests is not told: that would be another message, and another write, each time.
fn lost(why: FailureCause, secret: &str, host: &str) -> String {
    let why = match why {
        FailureCause::Failed(status) => format!("it failed (HTTP {status})"),
        FailureCause::Silent => "no answer came in time".to_owned(),
        FailureCause::Unreadable(why) => why.to_owned(),
    };
    format!(
        "IAM at {host} gives no token for {secret}: {why}. Nothing was called. Since the password may have counted as a wrong one, and five lock a user, it is tried again by itself but slowly: after 5 minutes at first, sooner if the user had been let in before; with a changed Secret within 30 seconds"
    )
}

fn rejected(why: Rejection, secret: &str, host: &str) -> String {
    let again = "One object tries it again 5 minutes after the last refusal, and the others follow once that worked";
    match why {
        Rejection::Wrong => format!(
            "IAM at {host} refused the user of {secret}, who had not been let in before. Since five wrong passwords lock a user, they are not used again until a value changes or the controller restarts. Correct username, password and domainName (the account's name); this object then follows by itself"
        ),
        Rejection::Locked => {
            format!(
                "IAM at {host} has locked the user of {secret} for some minutes, after too many wrong passwords. {again}"
            )
        }
        Rejection::WorkedBefore | Rejection::Clock | Rejection::Token | Rejection::Often => format!(
            "IAM at {host} refused the user of {secret}, who had been let in before. {again}. Look whether the password was changed, or the user disabled or deleted"
        ),
    }
}

fn of_project(trouble: ScopeError, secret: &str, host: &str, project: &str) -> (Reason, String) {
    let again = "It is tried again after 5 minutes, and with a changed Secret within 30 seconds";
    match trouble {
        ScopeError::Project(status) => (
            Reason::CredentialsForbidden,
            format!(
                "IAM at {host} does not let the user of {secret} into project {project} (HTTP {status}): the user has no role there, or there is no such project. Grant the user a role in it, or correct projectID. {again}"
            ),
        ),
        ScopeError::Forbidden => (
            Reason::CredentialsForbidden,
            format!(
                "IAM at {host} does not let the user of {secret} log in (HTTP 403). Look whether the user has programmatic access, and from which addresses. {again}"
            ),
        ),
        ScopeError::Refused(status) => (
            Reason::CredentialsInvalid,
            format!(
                "IAM at {host} takes the login of {secret} for wrong (HTTP {status}). Look at username and domainName (the account's name), and at --iam-endpoint. {again}"
            ),
        ),
        ScopeError::ShortLived => (
            Reason::CredentialsExpired,
            format!(
                "IAM at {host} gives the user of {secret} tokens that end too soon for a call (--request-timeout and 60 seconds). Have their life made longer, or use an access key. {again}"
            ),
        ),
    }
}
