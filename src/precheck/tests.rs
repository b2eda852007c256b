use super::*;
use crate::cloud::outcome::KeyEffect;

#[test]
fn a_precheck_is_kept_for_its_generation_and_values_until_its_end() {
    let (mut known, now) = (Known::default(), Instant::now());
    let (values, other) = (KeyIdentity::from([1; 32]), KeyIdentity::from([2; 32]));
    let passed = Checked { note: None, baseline: None, since: Some(now) };
    known.keep("uid", (1, values), Ok(passed), now);
    let half = now + VALID_FOR / 2;
    assert!(matches!(known.last("uid", (1, values), half), Some(Ok(_))));
    assert!(known.last("uid", (2, values), half).is_none() && known.last("uid", (1, other), half).is_none());
    assert!(known.last("uid", (1, values), now + VALID_FOR).is_none());
    let hour = Duration::from_secs(3600);
    let hold = Hold { reason: Reason::ClusterNotWaiting, message: String::new(), retry_after: hour };
    known.keep("uid", (1, values), Err(hold), now);
    let again = known.last("uid", (1, values), now + hour / 4);
    assert!(matches!(again, Some(Err(Hold { retry_after, .. })) if retry_after == hour / 4 * 3));
    assert!(known.last("uid", (1, values), now + hour).is_none());
    known.keep("another", (1, values), Ok(Checked { note: None, baseline: None, since: None }), now + hour);
    assert_eq!(known.last.len(), 1, "what is over is forgotten");
}
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
