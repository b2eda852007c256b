//! PURE: the holds of requests that a key may not make now. The messages of waits are in `controller::waiting`.

use std::time::Duration;

use crate::{
    api::Reason,
    credentials::{CredentialSource, REFUSED_RECHECK, lockout::Rejection},
    protocol::hold::Hold,
    runtime::jitter::jittered,
};

/// The cloud asked the key to wait for so long (429).
pub fn throttled(wait: Duration, source: &CredentialSource) -> Hold {
    Hold {
        reason: Reason::Throttled,
        message: format!(
            "The cloud throttles requests with {} (429). This object is called when the Retry-After time is over",
            source.in_message()
        ),
        retry_after: wait + jittered(Duration::from_secs(1)),
    }
}

/// The gateway refused the key, and it may be tried again after so long; `None`: not before its values change.
pub fn rejected(why: Rejection, wait: Option<Duration>, source: &CredentialSource) -> Hold {
    let secret = source.in_message();
    let retry = "It is tried again 5 minutes after the last refusal";
    let message = match why {
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
            "The gateway refused the access key of {secret} at least four times within 5 minutes. Since five refusals would lock the key, it is used again when at most three refusals are younger than that. Check whether access key and secret key are correct"
        ),
        Rejection::Clock => format!(
            "The gateway refused the date of a signature with {secret}: the clock of the controller's node is wrong. {retry}. Correct the clock"
        ),
    };
    // A changed Secret has to be noticed before that.
    let wait = wait.unwrap_or(REFUSED_RECHECK).min(REFUSED_RECHECK).max(Duration::from_secs(1));
    Hold { reason: Reason::CredentialsRejected, message, retry_after: jittered(wait) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message_of(why: Rejection) -> String {
        rejected(why, None, &CredentialSource::Controller).message
    }

    #[test]
    fn the_message_of_a_refused_key_names_cause_and_retry() {
        let wrong = message_of(Rejection::Wrong);
        assert!(wrong.contains("until its values change or the controller restarts"), "{wrong}");
        assert!(!wrong.contains("5 minutes"), "{wrong}");
        for (why, cause) in [
            (Rejection::WorkedBefore, "had worked before"),
            (Rejection::Locked, "has locked"),
            (Rejection::Clock, "clock"),
        ] {
            let message = message_of(why);
            assert!(message.contains(cause) && message.contains("again 5 minutes after"), "{message}");
            assert!(!message.contains("until its values change"), "{message}");
        }
        let often = message_of(Rejection::RefusedTooOften);
        assert!(often.contains("at least four times") && !often.contains("had not worked"), "{often}");
    }
}
