//! PURE: what a look at the cluster means for the call that would follow. It reads nothing and calls nothing; whatever it
//! lets through is still one call, and whatever it holds was never claimed.

pub mod reads;

use std::time::Duration;

use clap::ValueEnum;

use crate::{
    api::Reason,
    cloud::{
        ReadResult,
        cluster::{ClusterState, Task},
        outcome::{Answer, KeyEffect},
    },
};

/// Whether the cluster is looked at before a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Not at all: the key needs no right to read.
    Off,
    /// A cluster that does not wait for a redistribution is noted, and called all the same.
    Warn,
    /// It is called only while it waits for a redistribution.
    Require,
}

/// The administrator's choice.
#[derive(Clone, Copy, Debug)]
pub struct Precheck {
    /// Whether.
    pub mode: Mode,
    /// How often a cluster that does not wait yet is looked at again.
    pub every: Duration,
}

/// What follows.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The cluster waits: call.
    Call,
    /// Call, and note this.
    Note(String),
    /// The look says of the key what a call would say too, at the price of an object's one call: the admission knows now, and
    /// says it.
    Key,
    /// The endpoint cannot be reached.
    Unreachable,
    /// Claim nothing, and say why.
    Hold(Reason, String),
}

/// Judges a look.
pub fn judge(mode: Mode, looked: ReadResult<ClusterState>) -> Verdict {
    let (reason, message) = match looked {
        ReadResult::Found(ClusterState { task: Task::Waiting, .. }) => return Verdict::Call,
        ReadResult::Unreachable => return Verdict::Unreachable,
        ReadResult::Refused(answer) if is_about_key(answer.key_effect) => return Verdict::Key,
        ReadResult::Found(state) => {
            (Reason::ClusterNotWaiting, format!("The cluster does not wait for a redistribution: {}", state.in_words()))
        }
        ReadResult::Refused(answer) => refused(&answer),
        ReadResult::Unreadable(why) => {
            (Reason::ClusterNotWaiting, format!("Whether the cluster waits for a redistribution is not known: {why}"))
        }
    };
    match mode {
        Mode::Require => {
            Verdict::Hold(reason, format!("{message}. Nothing is called; it is looked at again by itself"))
        }
        Mode::Off | Mode::Warn => Verdict::Note(message),
    }
}

/// It speaks of the key, not of what was asked with it.
pub const fn is_about_key(effect: KeyEffect) -> bool {
    match effect {
        KeyEffect::RejectedByGateway
        | KeyEffect::LockedByGateway
        | KeyEffect::ClockSkew
        | KeyEffect::TokenRefused
        | KeyEffect::TokenEnded
        | KeyEffect::TokenWasOver
        | KeyEffect::Throttled(_) => true,
        KeyEffect::Good | KeyEffect::Neutral => false,
    }
}

/// The same reasons as for a call, and what they mean for a look.
fn refused(answer: &Answer) -> (Reason, String) {
    let code = answer.error_code.as_deref().map(|code| format!(" {code}")).unwrap_or_default();
    let answered = format!("the cloud answered HTTP {}{code}", answer.status_code);
    match answer.reason {
        Reason::ClusterNotFound => (
            Reason::ClusterNotFound,
            format!("The cloud does not know this cluster ({answered}). Correct projectID, clusterID or region"),
        ),
        Reason::PermissionDenied => (
            Reason::PermissionDenied,
            format!(
                "The account may not read the cluster ({answered}). Grant it dws:openAPICluster:getDetail, or let the controller run without --check-cluster"
            ),
        ),
        Reason::NotFound => (
            Reason::NotFound,
            format!("Nothing is found at the cluster's address ({answered}). Look at projectID, region and endpoint"),
        ),
        Reason::BadRequest => (
            Reason::BadRequest,
            format!("The cloud takes the look at the cluster for wrong ({answered}). Correct projectID or clusterID"),
        ),
        _ => (
            Reason::ClusterNotWaiting,
            format!("Whether the cluster waits for a redistribution is not known: {answered}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(task: Task) -> ReadResult<ClusterState> {
        ReadResult::Found(ClusterState { task, status: Some("AVAILABLE".to_owned()), sub_status: Vec::new() })
    }

    fn refusal(status_code: u16, reason: Reason, key_effect: KeyEffect) -> ReadResult<ClusterState> {
        let (error_code, request_id) = (Some("DWS.0015".to_owned()), None);
        ReadResult::Refused(Answer { status_code, error_code, request_id, reason, message: String::new(), key_effect })
    }

    #[test]
    fn with_require_nothing_but_a_waiting_cluster_is_called() {
        assert_eq!(judge(Mode::Require, cluster(Task::Waiting)), Verdict::Call);
        for looked in [
            cluster(Task::Idle),
            cluster(Task::Redistributing),
            cluster(Task::Paused),
            cluster(Task::Failed),
            cluster(Task::Other("WAITING_REDISTRIBUTIONS".to_owned())),
            ReadResult::Unreadable("no answer came in time"),
            refusal(503, Reason::ServerError, KeyEffect::Neutral),
        ] {
            let verdict = judge(Mode::Require, looked);
            assert!(matches!(verdict, Verdict::Hold(Reason::ClusterNotWaiting, _)), "{verdict:?}");
        }
        assert_eq!(judge(Mode::Require, ReadResult::Unreachable), Verdict::Unreachable);
    }

    #[test]
    fn what_a_call_would_be_refused_for_is_shown_under_the_same_reason() {
        for reason in [Reason::ClusterNotFound, Reason::PermissionDenied, Reason::NotFound, Reason::BadRequest] {
            let verdict = judge(Mode::Require, refusal(403, reason, KeyEffect::Good));
            assert!(
                matches!(&verdict, Verdict::Hold(held, message) if *held == reason && message.contains("HTTP 403 DWS.0015")),
                "{verdict:?}"
            );
        }
    }

    #[test]
    fn a_key_that_the_gateway_refuses_is_never_tried_on_a_call_in_either_mode() {
        for mode in [Mode::Warn, Mode::Require] {
            for effect in [
                KeyEffect::RejectedByGateway,
                KeyEffect::LockedByGateway,
                KeyEffect::ClockSkew,
                KeyEffect::TokenRefused,
                KeyEffect::TokenEnded,
                KeyEffect::TokenWasOver,
                KeyEffect::Throttled(Duration::from_secs(60)),
            ] {
                assert_eq!(judge(mode, refusal(401, Reason::AuthenticationFailed, effect)), Verdict::Key);
            }
        }
    }

    #[test]
    fn with_warn_a_cluster_that_does_not_wait_is_noted_and_called() {
        for looked in
            [cluster(Task::Idle), ReadResult::Unreadable("x"), refusal(403, Reason::PermissionDenied, KeyEffect::Good)]
        {
            let verdict = judge(Mode::Warn, looked);
            assert!(matches!(verdict, Verdict::Note(_)), "{verdict:?}");
        }
    }
}
