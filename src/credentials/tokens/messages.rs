//! The messages of holds for an IAM user without a token, and when the object is checked again. Reads and writes
//! nothing, and quotes nothing of IAM.

use std::time::Duration;

use super::{
    denied::{Denied, ScopeError},
    unanswered::FailureCause,
};
use crate::{
    api::Reason,
    credentials::{CredentialSource, REFUSED_RECHECK, lockout::Rejection},
    protocol::hold::Hold,
    runtime::jitter::jittered,
};

/// IAM cannot be reached. The message is always the same, so that nothing is written while IAM is intermittently
/// available.
pub fn unreachable(source: &CredentialSource, host: &str, retry_after: Duration) -> Hold {
    Hold {
        reason: Reason::EndpointUnreachable,
        message: format!(
            "IAM at {host} gives no token for {}: it cannot be reached, or does not answer. Nothing was called. The operator retries automatically; check DNS, the network, the proxy, --ca-bundle and --iam-endpoint",
            source.in_message()
        ),
        retry_after,
    }
}

/// There is no token, for this cause.
pub fn denied(denied: Denied, source: &CredentialSource, host: &str, project: &str) -> Hold {
    let secret = source.in_message();
    match denied {
        Denied::Unreachable => unreachable(source, host, jittered(REFUSED_RECHECK)),
        Denied::Unanswered(why, rest) => Hold {
            reason: Reason::EndpointUnreachable,
            message: unanswered(why, &secret, host),
            retry_after: jittered(rest.min(REFUSED_RECHECK).max(Duration::from_secs(1))),
        },
        Denied::Rejected(why, wait) => Hold {
            reason: Reason::CredentialsRejected,
            message: rejected(why, &secret, host),
            retry_after: jittered(wait.unwrap_or(REFUSED_RECHECK).min(REFUSED_RECHECK).max(Duration::from_secs(1))),
        },
        Denied::Throttled(wait) => Hold {
            reason: Reason::Throttled,
            message: format!(
                "IAM at {host} throttles the logins of the user of {secret} (429). This object is called when the Retry-After time is over"
            ),
            retry_after: wait + jittered(Duration::from_secs(1)),
        },
        Denied::Scope(error, rest) => {
            let (reason, message) = scope_error(error, &secret, host, project);
            // A changed Secret has to be noticed before that.
            Hold { reason, message, retry_after: jittered(rest.min(REFUSED_RECHECK).max(Duration::from_secs(1))) }
        }
    }
}

/// The message does not contain the remaining time, which would be a new message, and a new write, each time.
fn unanswered(why: FailureCause, secret: &str, host: &str) -> String {
    let why = match why {
        FailureCause::Failed(status) => format!("it failed (HTTP {status})"),
        FailureCause::Silent => "no answer came in time".to_owned(),
        FailureCause::Unreadable(why) => why.to_owned(),
    };
    format!(
        "IAM at {host} gives no token for {secret}: {why}. Nothing was called. Since the password may have counted as a wrong one, and five lock a user, the operator retries automatically but slowly: after 5 minutes at first, sooner if the user had logged in before; with a changed Secret within 30 seconds"
    )
}

fn rejected(why: Rejection, secret: &str, host: &str) -> String {
    let retry = "One object tries again 5 minutes after the last refusal, and the others continue once it succeeds";
    match why {
        Rejection::Wrong => format!(
            "IAM at {host} refused the user of {secret}, who had not logged in before. Since five wrong passwords lock a user, they are not used again until a value changes or the controller restarts. Correct username, password and domainName (the account's name); this object then continues automatically"
        ),
        Rejection::Locked => {
            format!(
                "IAM at {host} has locked the user of {secret} for some minutes, after too many wrong passwords. {retry}"
            )
        }
        Rejection::WorkedBefore | Rejection::Clock | Rejection::Token | Rejection::RefusedTooOften => format!(
            "IAM at {host} refused the user of {secret}, who had logged in before. {retry}. Check whether the password was changed, or the user disabled or deleted"
        ),
    }
}

fn scope_error(error: ScopeError, secret: &str, host: &str, project: &str) -> (Reason, String) {
    let retry = "The operator tries again after 5 minutes, and with a changed Secret within 30 seconds";
    match error {
        ScopeError::Project(status) => (
            Reason::CredentialsForbidden,
            format!(
                "IAM at {host} denies the user of {secret} access to project {project} (HTTP {status}): the user has no role there, or there is no such project. Grant the user a role in it, or correct projectID. {retry}"
            ),
        ),
        ScopeError::Forbidden => (
            Reason::CredentialsForbidden,
            format!(
                "IAM at {host} denies the user of {secret} the login (HTTP 403). Check whether the user has programmatic access, and from which addresses. {retry}"
            ),
        ),
        ScopeError::Refused(status) => (
            Reason::CredentialsInvalid,
            format!(
                "IAM at {host} rejects the login of {secret} as invalid (HTTP {status}). Check username and domainName (the account's name), and --iam-endpoint. {retry}"
            ),
        ),
        ScopeError::ShortLived => (
            Reason::CredentialsExpired,
            format!(
                "IAM at {host} gives the user of {secret} tokens that expire too soon for a call (--request-timeout and 60 seconds). Extend the lifetime of tokens, or use an access key. {retry}"
            ),
        ),
    }
}
