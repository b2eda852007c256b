use super::*;
use crate::{
    api::{AttemptState, Baseline},
    cloud::cluster::RunState,
    protocol::transitions::{Record, Recording, claimed, recorded},
    testing::sample::{at, attempt},
};

fn details(percent: i32, left: i64) -> Details {
    Details {
        id: "run-1".to_owned(),
        state: RunState::Running,
        mode: None,
        parallel_jobs: None,
        start_time: Some("2026-11-25 08:00".to_owned()),
        end_time: None,
        percent: Some(percent),
        tables_done: Some(100 - left),
        tables_left: Some(left),
        bytes_left: Some(left * 1000),
        rate: Some("21 MB/s".to_owned()),
        estimated_seconds: Some(left * 7),
        fail_count: Some(0),
        paused_by_user: Some(false),
        retryable: Some(false),
    }
}

fn run(phase: Phase, percent: i32, left: i64) -> Finding {
    Finding::Run(phase, Some(Box::new(details(percent, left))))
}

/// The status after a call with this outcome.
fn called(state: AttemptState, reason: Reason, status_code: Option<i32>) -> ClusterRedistributionStatus {
    let mut attempt = attempt("a", 1, AttemptState::Claimed);
    attempt.baseline = Some(Baseline::default());
    let claimed = claimed(None, attempt, "calling", at(0));
    let message = "what happened".to_owned();
    let record = Record { state, reason, message, status_code, error_code: None, request_id: None, retry_after: None };
    match recorded(&claimed, 1, "a", &record, at(1)) {
        Recording::Write(status) => *status,
        other => unreachable!("{other:?}"),
    }
}

fn delivered() -> ClusterRedistributionStatus {
    called(AttemptState::Answered, Reason::Delivered, Some(200))
}

fn condition(status: &ClusterRedistributionStatus, type_: &str) -> Option<(String, String, String)> {
    let condition = condition_at(&status.conditions, type_, 1)?;
    Some((condition.status.clone(), condition.reason.clone(), condition.message.clone()))
}

fn redistributed(status: &ClusterRedistributionStatus) -> Option<(String, String)> {
    condition(status, REDISTRIBUTED).map(|(status, reason, _)| (status, reason))
}

fn pair(status: &str, reason: &str) -> (String, String) {
    (status.to_owned(), reason.to_owned())
}

#[test]
fn progress_has_its_own_condition_and_changes_nothing_else() {
    let before = delivered();
    let (after, changes) = observed(&before, 1, &run(Phase::Running, 45, 55), at(60)).unwrap();
    assert_eq!(redistributed(&after), Some(pair("False", "Running")));
    for type_ in ["Delivered", "Ready", "Reconciling", "Stalled"] {
        assert_eq!(condition(&after, type_), condition(&before, type_), "{type_}");
    }
    assert_eq!((&after.attempt, &after.history, after.status_code), (&before.attempt, &before.history, Some(200)));
    let seen = after.redistribution.unwrap();
    assert_eq!((seen.id.as_deref(), seen.state.as_str(), seen.progress_percent), (Some("run-1"), "Running", Some(45)));
    assert_eq!((seen.tables_left, seen.bytes_left, seen.estimated_seconds), (Some(55), Some(55_000), Some(385)));
    assert_eq!(seen.observed_time.unwrap().0, at(60));
    assert!(
        matches!(&changes[..], [change] if change.reason == "RedistributionStarted" && change.message.contains("45 %")),
        "{changes:?}"
    );
}

#[test]
fn a_status_is_written_only_when_a_shown_value_changes() {
    let (status, _) = observed(&delivered(), 1, &run(Phase::Running, 45, 55), at(60)).unwrap();
    assert_eq!(observed(&status, 1, &run(Phase::Running, 45, 55), at(120)), None);
    let mut faster = details(45, 55);
    (faster.rate, faster.estimated_seconds, faster.bytes_left) = (Some("22 MB/s".to_owned()), Some(1), Some(2));
    assert_eq!(observed(&status, 1, &Finding::Run(Phase::Running, Some(Box::new(faster))), at(120)), None);
    assert_eq!(observed(&status, 1, &Finding::Nothing, at(120)), None);
    let (next, changes) = observed(&status, 1, &run(Phase::Running, 46, 54), at(120)).unwrap();
    assert_eq!((next.redistribution.unwrap().tables_left, changes), (Some(54), vec![]));
    let (paused, _) = observed(&status, 1, &run(Phase::Paused, 45, 55), at(120)).unwrap();
    assert_eq!(redistributed(&paused), Some(pair("False", "Paused")));
}

#[test]
fn each_change_of_phase_is_reported_once() {
    let words = |changes: &[StatusChange]| changes.iter().map(|change| change.reason).collect::<Vec<_>>();
    let mut status = delivered();
    for (finding, expected) in [
        (Finding::Unseen(Unseen::NotStarted, "not yet".to_owned()), vec![]),
        (run(Phase::Paused, 1, 99), vec!["RedistributionPaused"]),
        (run(Phase::Running, 1, 99), vec!["RedistributionStarted"]),
        (run(Phase::Paused, 1, 99), vec!["RedistributionPaused"]),
        (run(Phase::Running, 2, 98), vec!["RedistributionStarted"]),
        (run(Phase::Failed, 2, 98), vec!["RedistributionFailed"]),
        (run(Phase::Running, 3, 97), vec!["RedistributionStarted"]),
        (Finding::Run(Phase::Finished, None), vec!["RedistributionFinished"]),
    ] {
        let (next, changes) = observed(&status, 1, &finding, at(60)).unwrap();
        assert_eq!(words(&changes), expected, "{finding:?}");
        let is_right = |change: &StatusChange| {
            change.is_warning == ["RedistributionPaused", "RedistributionFailed"].contains(&change.reason)
        };
        assert!(changes.iter().all(is_right), "{changes:?}");
        status = next;
        assert_eq!(observed(&status, 1, &finding, at(61)), None, "{finding:?}");
    }
    let seen = status.redistribution.clone().unwrap();
    assert_eq!((seen.progress_percent, seen.tables_left, seen.state.as_str()), (Some(100), Some(0), "Finished"));
    assert_eq!(seen.id.as_deref(), Some("run-1"), "the id of the ended one is kept");
    assert_eq!(redistributed(&status), Some(pair("True", "Finished")));
}

#[test]
fn an_unknown_outcome_is_confirmed_without_a_status_code_or_new_attempt() {
    for (before, code) in [
        (called(AttemptState::Unknown, Reason::OutcomeUnknown, None), None),
        (called(AttemptState::Answered, Reason::ServerError, Some(503)), Some(503)),
    ] {
        let (after, changes) = observed(&before, 1, &run(Phase::Running, 1, 99), at(60)).unwrap();
        for type_ in ["Delivered", "Ready"] {
            let (status, reason, message) = condition(&after, type_).unwrap();
            assert_eq!((status.as_str(), reason.as_str()), ("True", "ConfirmedByObservation"));
            assert!(message.contains("run-1"), "{message}");
        }
        assert_eq!((condition(&after, "Stalled"), condition(&after, "Reconciling")), (None, None));
        assert_eq!((after.status_code, &after.attempt), (code, &before.attempt));
        let reasons: Vec<_> = changes.iter().map(|change| change.reason).collect();
        assert_eq!(reasons, ["ConfirmedByObservation", "RedistributionStarted"]);
    }
}

#[test]
fn an_unconfirmed_outcome_stays_unknown_with_its_evidence() {
    let before = called(AttemptState::Unknown, Reason::OutcomeUnknown, None);
    let finding = Finding::Unseen(Unseen::Unconfirmed, "task_status is WAITING_REDISTRIBUTION".to_owned());
    let (after, changes) = observed(&before, 1, &finding, at(600)).unwrap();
    let (status, reason, message) = condition(&after, "Delivered").unwrap();
    assert_eq!((status.as_str(), reason.as_str()), ("Unknown", "OutcomeUnknown"));
    for part in ["what happened", "WAITING_REDISTRIBUTION", "no proof"] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(condition(&after, "Stalled").unwrap().2, message);
    assert_eq!((redistributed(&after), changes), (Some(pair("Unknown", "Unconfirmed")), vec![]));
    assert_eq!((&after.attempt, after.redistribution.as_ref()), (&before.attempt, None));
    assert_eq!(observed(&after, 1, &finding, at(601)), None);
}

#[test]
fn a_late_answer_takes_precedence_over_polls() {
    let unknown = called(AttemptState::Unknown, Reason::OutcomeUnknown, None);
    let (confirmed, _) = observed(&unknown, 1, &run(Phase::Running, 1, 99), at(60)).unwrap();
    let unconfirmed = Finding::Unseen(Unseen::Unconfirmed, "nothing".to_owned());
    let (unconfirmed, _) = observed(&unknown, 1, &unconfirmed, at(60)).unwrap();
    let late = |status: &ClusterRedistributionStatus, reason: Reason, code: i32| {
        let (message, status_code) = ("late".to_owned(), Some(code));
        let state = AttemptState::Answered;
        let record =
            Record { state, reason, message, status_code, error_code: None, request_id: None, retry_after: None };
        match recorded(status, 1, "a", &record, at(70)) {
            Recording::Write(status) => *status,
            other => unreachable!("{other:?}"),
        }
    };
    let refused = late(&confirmed, Reason::PermissionDenied, 403);
    assert_eq!(condition(&refused, "Delivered").unwrap().0, "False");
    assert_eq!((redistributed(&refused), refused.redistribution), (None, None), "it was another user's");
    let accepted = late(&confirmed, Reason::Delivered, 200);
    assert_eq!((redistributed(&accepted), accepted.status_code), (Some(pair("False", "Running")), Some(200)));
    assert_eq!(redistributed(&late(&unconfirmed, Reason::Delivered, 200)), None, "it is polled from now on");
}

#[test]
fn a_newer_generation_starts_without_the_progress_of_the_older_one() {
    let (running, _) = observed(&delivered(), 1, &run(Phase::Running, 1, 99), at(60)).unwrap();
    let held = crate::protocol::transitions::held(Some(&running), 2, Reason::Suspended, "why", at(61)).unwrap();
    assert_eq!((held.redistribution.as_ref(), redistributed(&held)), (None, None));
    let claimed = claimed(Some(&running), attempt("b", 2, AttemptState::Claimed), "calling", at(61));
    assert_eq!((claimed.redistribution.as_ref(), redistributed(&claimed)), (None, None));
}

#[test]
fn a_pause_by_the_cloud_is_distinguished_from_a_users() {
    let words = |by_user: Option<bool>| {
        let mut details = details(45, 55);
        (details.paused_by_user, details.fail_count) = (by_user, Some(3));
        let (status, changes) =
            observed(&delivered(), 1, &Finding::Run(Phase::Paused, Some(Box::new(details))), at(60)).unwrap();
        let message = condition(&status, REDISTRIBUTED).unwrap().2;
        assert_eq!(
            changes,
            [StatusChange {
                reason: "RedistributionPaused",
                is_warning: by_user == Some(false),
                message: message.clone()
            }]
        );
        message
    };
    assert!(words(Some(true)).starts_with("A user has paused"));
    assert!(words(Some(false)).contains("The cloud itself has paused the redistribution after 3 failures"));
    assert!(words(None).starts_with("The redistribution is paused"));
}
