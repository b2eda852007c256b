use super::*;
use crate::{
    conditions::{set_at, set_one_at},
    resource::{AttemptState, PastAttempt},
    sample::{at, attempt, attempted, spec},
};

const ALL_STATES: [RunState; 5] =
    [RunState::Running, RunState::Paused, RunState::Failed, RunState::Finished, RunState::Other];

fn details(id: &str, state: RunState) -> Details {
    Details {
        id: id.to_owned(),
        state,
        mode: Some("online".to_owned()),
        parallel_jobs: Some(3),
        start_time: None,
        end_time: None,
        percent: None,
        tables_done: None,
        tables_left: None,
        bytes_left: None,
        rate: None,
        estimated_seconds: None,
        fail_count: None,
        paused_by_user: None,
        retryable: None,
    }
}

fn baseline(task: Option<&str>, id: Option<&str>) -> Baseline {
    let text = |text: Option<&str>| text.map(str::to_owned);
    Baseline { task_status: text(task), redistribution_id: text(id), ..Baseline::default() }
}

fn cluster(task: Task) -> Looked<ClusterState> {
    Looked::Seen(ClusterState { task, status: None, sub_status: Vec::new() })
}

fn shown(id: &str, state: RunState) -> Looked<Option<Details>> {
    Looked::Seen(Some(details(id, state)))
}

/// A look, and what was known before it.
struct Case {
    baseline: Baseline,
    known: Option<Redistribution>,
    was_idle: bool,
    others_called: bool,
    has_settled: bool,
    is_said: bool,
}

impl Case {
    fn new(task: Option<&str>, id: Option<&str>) -> Self {
        let baseline = baseline(task, id);
        Self { baseline, known: None, was_idle: false, others_called: false, has_settled: false, is_said: false }
    }

    fn waiting() -> Self {
        Self::new(Some("WAITING_REDISTRIBUTION"), Some(NONE))
    }

    fn known(mut self, id: Option<&str>) -> Self {
        self.known = Some(Redistribution { id: id.map(str::to_owned), ..Redistribution::default() });
        self
    }

    fn with<T>(&self, then: impl FnOnce(&Past<'_>) -> T) -> T {
        then(&Past {
            baseline: &self.baseline,
            known: self.known.as_ref(),
            wish: &Wish::from(&spec()),
            was_idle: self.was_idle,
            others_called: self.others_called,
            has_settled: self.has_settled,
            is_said: self.is_said,
        })
    }

    fn judge(
        &self,
        stage: Stage,
        details: &Looked<Option<Details>>,
        cluster: Option<&Looked<ClusterState>>,
    ) -> Finding {
        self.with(|past| judge(stage, past, &Sight { details, cluster }))
    }

    fn settling(&self, details: &Looked<Option<Details>>, task: Task) -> Finding {
        self.judge(Stage::Settling, details, Some(&cluster(task)))
    }

    fn following(&self, details: &Looked<Option<Details>>, task: Task) -> Finding {
        self.judge(Stage::Following, details, Some(&cluster(task)))
    }
}

fn is_run(finding: &Finding, phase: Phase) -> bool {
    matches!(finding, Finding::Run(seen, _) if *seen == phase)
}

fn tasks() -> [Task; 6] {
    [Task::Waiting, Task::Redistributing, Task::Paused, Task::Failed, Task::Idle, Task::Other("GROWING".to_owned())]
}

#[test]
fn a_cluster_that_waited_and_now_redistributes_confirms_and_one_that_waits_never_does() {
    let none = Looked::Seen(None);
    for mut case in [Case::waiting(), Case::new(Some("WAITING_REDISTRIBUTION"), Some("old"))] {
        for (task, phase) in
            [(Task::Redistributing, Phase::Running), (Task::Paused, Phase::Paused), (Task::Failed, Phase::Failed)]
        {
            assert!(is_run(&case.settling(&none, task.clone()), phase), "{task:?}");
            assert!(is_run(&case.settling(&shown("old", RunState::Other), task), phase), "the details are late");
        }
        for task in [Task::Waiting, Task::Idle, Task::Other("GROWING".to_owned())] {
            case.has_settled = false;
            assert_eq!(case.settling(&none, task.clone()), Finding::Nothing);
            case.has_settled = true;
            let finding = case.settling(&none, task.clone());
            assert!(
                matches!(&finding, Finding::Unseen(Unseen::Unconfirmed, what) if what.contains("task_status is")),
                "{finding:?}"
            );
        }
    }
}

#[test]
fn a_new_id_confirms_and_the_one_from_before_never_does() {
    let case = Case::new(Some("WAITING_REDISTRIBUTION"), Some("old"));
    for state in [RunState::Running, RunState::Paused, RunState::Failed, RunState::Finished] {
        let finding = case.settling(&shown("new", state.clone()), Task::Idle);
        assert!(matches!(finding, Finding::Run(..)), "{state:?}: {finding:?}");
        assert_eq!(case.settling(&shown("old", state.clone()), Task::Idle), Finding::Nothing, "{state:?}");
        assert_eq!(case.settling(&shown("old", state.clone()), Task::Waiting), Finding::Nothing, "{state:?}");
    }
}

#[test]
fn an_ended_redistribution_that_was_hidden_before_the_claim_confirms_nothing() {
    let case = Case::waiting();
    for task in [Task::Waiting, Task::Idle, Task::Other("GROWING".to_owned())] {
        for state in [RunState::Finished, RunState::Failed, RunState::Other] {
            assert_eq!(
                case.settling(&shown("old", state.clone()), task.clone()),
                Finding::Nothing,
                "{task:?} {state:?}"
            );
        }
        assert!(is_run(&case.settling(&shown("new", RunState::Running), task), Phase::Running));
    }
}

#[test]
fn nothing_is_confirmed_where_the_cluster_did_not_wait_before_or_nobody_knows() {
    for case in [
        Case::new(Some("REDISTRIBUTING"), Some("old")),
        Case::new(Some("REDISTRIBUTING"), Some(NONE)),
        Case::new(Some(NONE), Some("old")),
        Case::new(None, None),
    ] {
        for task in tasks() {
            for state in ALL_STATES {
                let finding = case.settling(&shown("new", state), task.clone());
                assert_eq!(finding, Finding::Nothing, "{task:?}");
            }
            assert_eq!(case.settling(&Looked::Seen(None), task.clone()), Finding::Nothing, "{task:?}");
        }
    }
}

#[test]
fn a_redistribution_with_other_parameters_or_after_the_call_of_another_wish_confirms_nothing() {
    let mut others_mode = details("new", RunState::Running);
    others_mode.mode = Some("offline".to_owned());
    let mut others_jobs = details("new", RunState::Running);
    others_jobs.parallel_jobs = Some(8);
    let mut case = Case::new(Some("WAITING_REDISTRIBUTION"), Some("old"));
    for details in [others_mode, others_jobs] {
        case.has_settled = false;
        assert_eq!(case.settling(&Looked::Seen(Some(details.clone())), Task::Redistributing), Finding::Nothing);
        case.has_settled = true;
        let finding = case.settling(&Looked::Seen(Some(details)), Task::Redistributing);
        assert!(
            matches!(&finding, Finding::Unseen(Unseen::Unconfirmed, what) if what.contains("somebody else")),
            "{finding:?}"
        );
    }
    (case.others_called, case.has_settled) = (true, false);
    assert_eq!(case.settling(&shown("new", RunState::Running), Task::Redistributing), Finding::Nothing);
    assert_eq!(case.settling(&Looked::Seen(None), Task::Redistributing), Finding::Nothing);
}

#[test]
fn what_cannot_be_read_proves_nothing_in_either_way() {
    let mut case = Case::waiting();
    let (details, cluster) = (Looked::Unreadable("no answer came in time"), Looked::Unreachable);
    assert_eq!(case.judge(Stage::Settling, &details, Some(&cluster)), Finding::Nothing);
    case.has_settled = true;
    let finding = case.judge(Stage::Settling, &details, Some(&cluster));
    assert!(
        matches!(&finding, Finding::Unseen(Unseen::Unconfirmed, what) if what.contains("no answer came in time") && what.contains("could not be reached")),
        "{finding:?}"
    );
    case.has_settled = false;
    let finding = case.judge(Stage::Following, &details, Some(&cluster));
    assert!(matches!(finding, Finding::Unseen(Unseen::NotReadable, _)), "{finding:?}");
    case.is_said = true;
    assert_eq!(case.judge(Stage::Following, &details, Some(&cluster)), Finding::Nothing, "what is said stays");
}

#[test]
fn what_runs_is_followed_by_its_details_alone() {
    let case = Case::waiting();
    let needs = |case: &Case, stage, details: &Looked<_>| case.with(|past| needs_cluster(stage, past, details));
    let running = shown("new", RunState::Running);
    assert!(!needs(&case, Stage::Following, &running));
    assert!(needs(&case, Stage::Settling, &running));
    assert!(needs(&case, Stage::Following, &Looked::Seen(None)));
    assert!(needs(&case, Stage::Following, &shown("old", RunState::Finished)), "hidden before, perhaps");
    let case = case.known(Some("new"));
    for (state, phase) in [
        (RunState::Running, Phase::Running),
        (RunState::Paused, Phase::Paused),
        (RunState::Failed, Phase::Failed),
        (RunState::Finished, Phase::Finished),
    ] {
        assert!(is_run(&case.judge(Stage::Following, &shown("new", state), None), phase));
    }
}

#[test]
fn the_end_is_seen_in_the_details_or_when_a_cluster_that_was_seen_redistributing_is_idle() {
    let none = Looked::Seen(None);
    let case = Case::waiting().known(None);
    assert!(is_run(&case.following(&none, Task::Idle), Phase::Finished));
    assert!(is_run(&case.following(&none, Task::Redistributing), Phase::Running));
    let failed = ClusterState { task: Task::Idle, status: None, sub_status: vec!["REDISTRIBUTION-FAILURE".to_owned()] };
    assert!(is_run(&case.judge(Stage::Following, &none, Some(&Looked::Seen(failed))), Phase::Failed));
    assert_eq!(case.following(&none, Task::Other("SNAPSHOTTING".to_owned())), Finding::Nothing);
    let waits_again = case.following(&none, Task::Waiting);
    assert!(matches!(waits_again, Finding::Unseen(Unseen::EndNotSeen, _)), "{waits_again:?}");
    let another =
        Case::waiting().known(Some("mine")).following(&shown("another", RunState::Running), Task::Redistributing);
    assert!(matches!(another, Finding::Unseen(Unseen::EndNotSeen, _)), "{another:?}");
}

#[test]
fn one_that_was_too_quick_to_be_seen_is_finished_only_when_idle_is_seen_twice() {
    let none = Looked::Seen(None);
    let mut case = Case::waiting();
    assert!(matches!(case.following(&none, Task::Idle), Finding::Unseen(Unseen::NotStarted, _)));
    case.was_idle = true;
    assert!(is_run(&case.following(&none, Task::Idle), Phase::Finished));
    for mut blind in [Case::new(None, Some(NONE)), Case::new(Some(NONE), Some(NONE))] {
        blind.was_idle = true;
        assert!(
            matches!(blind.following(&none, Task::Idle), Finding::Unseen(Unseen::NotStarted, _)),
            "it may never have waited"
        );
    }
    assert!(matches!(case.following(&none, Task::Waiting), Finding::Unseen(Unseen::NotStarted, _)), "late");
}

#[test]
fn an_old_redistribution_is_never_shown_as_that_of_an_accepted_call() {
    let case = Case::new(Some("WAITING_REDISTRIBUTION"), Some("old"));
    for state in ALL_STATES {
        let finding = case.following(&shown("old", state.clone()), Task::Waiting);
        assert!(matches!(finding, Finding::Unseen(Unseen::NotStarted, _)), "{state:?}: {finding:?}");
        let blind = Case::new(None, None).following(&shown("old", RunState::Finished), Task::Waiting);
        assert!(matches!(blind, Finding::Unseen(Unseen::NotStarted, _)), "{blind:?}");
    }
    assert!(is_run(
        &Case::new(None, None).following(&shown("x", RunState::Running), Task::Redistributing),
        Phase::Running
    ));
}

#[test]
fn the_stage_follows_from_status_alone_and_ends() {
    let object = |reason: Reason| {
        let mut object = attempted(1, attempt("a", 1, AttemptState::Unknown));
        let status = object.status.as_mut().unwrap();
        let attempt = status.attempt.as_mut().unwrap();
        attempt.baseline = Some(Baseline::default());
        attempt.finished_time = Some(crate::conditions::to_second(at(0)));
        let _ = set_at(&mut status.conditions, 1, reason, "why", at(0));
        object
    };
    for reason in Reason::ALL {
        let expected = match reason {
            Reason::Delivered | Reason::ConfirmedByObservation => Some(Stage::Following),
            Reason::OutcomeUnknown | Reason::ServerError => Some(Stage::Settling),
            _ => None,
        };
        assert_eq!(stage(&object(*reason), at(0)), expected, "{reason}");
    }
    let delivered = object(Reason::Delivered);
    assert_eq!(stage(&delivered, at(30 * 86_400)), Some(Stage::Following));
    assert_eq!(stage(&delivered, at(30 * 86_400 + 1)), None, "not for ever");
    let said = |status: &str, reason: &str, generation: i64| {
        let mut object = delivered.clone();
        let conditions = &mut object.status.as_mut().unwrap().conditions;
        let _ = set_one_at(conditions, REDISTRIBUTED, generation, (status, reason, "why"), at(0));
        stage(&object, at(0))
    };
    assert_eq!(said("True", "Finished", 1), None);
    assert_eq!((said("Unknown", "Unconfirmed", 1), said("Unknown", "EndNotSeen", 1)), (None, None));
    for (status, reason) in [("False", "Running"), ("False", "Paused"), ("False", "Failed"), ("Unknown", "NotStarted")]
    {
        assert_eq!(said(status, reason, 1), Some(Stage::Following), "{reason}");
    }
    assert_eq!(said("True", "Finished", 0), Some(Stage::Following), "it speaks of another generation");
    let mut without = delivered;
    without.status.as_mut().unwrap().attempt.as_mut().unwrap().baseline = None;
    assert_eq!(stage(&without, at(0)), None);
}

#[test]
fn an_older_generation_that_may_have_been_accepted_shortly_before_counts_as_another() {
    let claimed_time = Some(crate::conditions::to_second(at(1000)));
    let claimed = Attempt { claimed_time, ..attempt("b", 2, AttemptState::Unknown) };
    let follows = |second: i64, code: Option<i32>| {
        let past = PastAttempt {
            status_code: code,
            finished_time: Some(crate::conditions::to_second(at(second))),
            ..PastAttempt::default()
        };
        let status = ClusterRedistributionStatus { history: vec![past], ..ClusterRedistributionStatus::default() };
        follows_another(&status, &claimed, Duration::from_secs(600))
    };
    for code in [None, Some(200), Some(503)] {
        assert!(follows(401, code), "{code:?}");
        assert!(!follows(400, code), "it would have shown before the claim");
    }
    assert!(!follows(999, Some(403)), "refused");
    assert!(follows(1010, Some(200)), "clocks may differ a little");
}
