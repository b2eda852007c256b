//! PURE: what a read of the cluster before a request means.

use super::Mode;
use crate::{
    api::Reason,
    cloud::{
        ReadResult,
        cluster::{ClusterState, Task},
        outcome::{Answer, KeyEffect},
    },
};

/// What a read means.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Make the call, and report this message, if there is one.
    Call(Option<String>),
    /// The gateway refused the key, as it would refuse a call, but without using up the object's one call. The admission
    /// has recorded that, and reports it.
    KeyRefused,
    Unreachable,
    /// Claim nothing, and report this reason and message.
    Hold(Reason, String),
}

/// Judges a read of the cluster.
pub fn judge(mode: Mode, result: ReadResult<ClusterState>) -> Verdict {
    let (reason, message) = match result {
        ReadResult::Found(ClusterState { task: Task::Waiting, .. }) => return Verdict::Call(None),
        ReadResult::Unreachable => return Verdict::Unreachable,
        ReadResult::Refused(answer) if is_about_key(answer.key_effect) => return Verdict::KeyRefused,
        ReadResult::Found(state) => {
            (Reason::ClusterNotWaiting, format!("The cluster does not wait for a redistribution: {}", state.describe()))
        }
        ReadResult::Refused(answer) => refused(&answer),
        ReadResult::Unreadable(why) => {
            (Reason::ClusterNotWaiting, format!("Whether the cluster waits for a redistribution is not known: {why}"))
        }
    };
    match mode {
        Mode::Require => {
            Verdict::Hold(reason, format!("{message}. Nothing is called; the cluster is checked again automatically"))
        }
        Mode::Warn => Verdict::Call(Some(message)),
        Mode::Off => Verdict::Call(None),
    }
}

/// Whether the effect is about the key, not about the request.
pub const fn is_about_key(effect: KeyEffect) -> bool {
    !matches!(effect, KeyEffect::Good | KeyEffect::Neutral)
}

/// The same reasons as for a call, with messages for a read.
fn refused(answer: &Answer) -> (Reason, String) {
    let code = answer.error_code.as_deref().map(|code| format!(" {code}")).unwrap_or_default();
    let answered = format!("the cloud answered HTTP {}{code}", answer.status_code);
    let message = match answer.reason {
        Reason::ClusterNotFound => {
            format!("The cloud does not know this cluster ({answered}). Correct projectID, clusterID or region")
        }
        Reason::PermissionDenied => format!(
            "The account may not read the cluster ({answered}). Grant it dws:openAPICluster:getDetail, or let the controller run without --check-cluster"
        ),
        Reason::NotFound => {
            format!("Nothing is found at the cluster's address ({answered}). Check projectID, region and endpoint")
        }
        Reason::BadRequest => {
            format!("The cloud refused the read of the cluster as invalid ({answered}). Correct projectID or clusterID")
        }
        _ => {
            let message = format!("Whether the cluster waits for a redistribution is not known: {answered}");
            return (Reason::ClusterNotWaiting, message);
        }
    };
    (answer.reason, message)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn cluster(task: Task) -> ReadResult<ClusterState> {
        ReadResult::Found(ClusterState { task, status: Some("AVAILABLE".to_owned()), sub_status: Vec::new() })
    }

    fn refusal(status_code: u16, reason: Reason, key_effect: KeyEffect) -> ReadResult<ClusterState> {
        let (error_code, request_id) = (Some("DWS.0015".to_owned()), None);
        ReadResult::Refused(Answer { status_code, error_code, request_id, reason, message: String::new(), key_effect })
    }

    #[test]
    fn require_calls_only_if_the_cluster_waits() {
        assert_eq!(judge(Mode::Require, cluster(Task::Waiting)), Verdict::Call(None));
        for result in [
            cluster(Task::Idle),
            cluster(Task::Redistributing),
            cluster(Task::Paused),
            cluster(Task::Failed),
            cluster(Task::Other("WAITING_REDISTRIBUTIONS".to_owned())),
            ReadResult::Unreadable("no answer came in time"),
            refusal(503, Reason::ServerError, KeyEffect::Neutral),
        ] {
            let verdict = judge(Mode::Require, result);
            assert!(matches!(verdict, Verdict::Hold(Reason::ClusterNotWaiting, _)), "{verdict:?}");
        }
        assert_eq!(judge(Mode::Require, ReadResult::Unreachable), Verdict::Unreachable);
    }

    #[test]
    fn a_refused_read_has_the_reason_of_a_refused_call() {
        for reason in [Reason::ClusterNotFound, Reason::PermissionDenied, Reason::NotFound, Reason::BadRequest] {
            let verdict = judge(Mode::Require, refusal(403, reason, KeyEffect::Good));
            assert!(
                matches!(&verdict, Verdict::Hold(held, message) if *held == reason && message.contains("HTTP 403 DWS.0015")),
                "{verdict:?}"
            );
        }
    }

    #[test]
    fn a_key_that_the_gateway_refuses_is_used_for_no_call_in_either_mode() {
        for mode in [Mode::Warn, Mode::Require] {
            for effect in [
                KeyEffect::RejectedByGateway,
                KeyEffect::LockedByGateway,
                KeyEffect::ClockSkew,
                KeyEffect::TokenRefused,
                KeyEffect::TokenEnded,
                KeyEffect::TokenAlreadyEnded,
                KeyEffect::Throttled(Duration::from_secs(60)),
            ] {
                assert_eq!(judge(mode, refusal(401, Reason::AuthenticationFailed, effect)), Verdict::KeyRefused);
            }
        }
    }

    #[test]
    fn warn_calls_although_the_cluster_does_not_wait_and_reports_it() {
        for result in
            [cluster(Task::Idle), ReadResult::Unreadable("x"), refusal(403, Reason::PermissionDenied, KeyEffect::Good)]
        {
            let verdict = judge(Mode::Warn, result);
            assert!(matches!(verdict, Verdict::Call(Some(_))), "{verdict:?}");
        }
    }
}
