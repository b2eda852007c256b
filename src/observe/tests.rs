use std::time::Instant;

use super::{
    judge::{Hint, OtherCalls},
    schedule::is_refusal,
    *,
};
use crate::{
    api::{AttemptState, Baseline, NONE, Phase, Redistribution},
    cloud::{
        ReadResult,
        cluster::{ClusterState, Details, RunState, Task},
    },
    protocol::{
        attempts::AttemptTracker,
        conditions::{set_at, set_one_at},
        decide::{Now, Rules, decide},
        regions::Regions,
    },
    testing::sample::{at, attempt, attempted, spec},
};

const ALL_STATES: [RunState; 6] =
    [RunState::Preparing, RunState::Running, RunState::Paused, RunState::Failed, RunState::Finished, RunState::Other];

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

fn cluster(task: Task) -> ReadResult<ClusterState> {
    ReadResult::Found(ClusterState { task, status: Some("AVAILABLE".to_owned()), sub_status: Vec::new() })
}

fn shown(id: &str, state: RunState) -> ReadResult<Option<Details>> {
    ReadResult::Found(Some(details(id, state)))
}

/// The facts that are known before a poll.
#[derive(Clone)]
struct Case {
    baseline: Baseline,
    known: Option<Redistribution>,
    hint: Option<Hint>,
    others_before: bool,
    others_since: bool,
    has_settled: bool,
    reported: Option<&'static str>,
}

impl Case {
    fn new(task: Option<&str>, id: Option<&str>) -> Self {
        let (baseline, known, hint) = (baseline(task, id), None, None);
        Self { baseline, known, hint, others_before: false, others_since: false, has_settled: false, reported: None }
    }

    fn waiting() -> Self {
        Self::new(Some("WAITING_REDISTRIBUTION"), Some(NONE))
    }

    fn known(mut self, id: Option<&str>) -> Self {
        self.known = Some(Redistribution { id: id.map(str::to_owned), ..Redistribution::default() });
        self
    }

    fn after(&self, hint: Hint) -> Self {
        Self { hint: Some(hint), ..self.clone() }
    }

    fn with<T>(&self, then: impl FnOnce(&Past<'_>) -> T) -> T {
        then(&Past {
            baseline: &self.baseline,
            known: self.known.as_ref(),
            request: &spec(),
            hint: self.hint,
            others: OtherCalls { before: self.others_before, since: self.others_since },
            has_settled: self.has_settled,
            reported: self.reported,
        })
    }

    fn judge(
        &self,
        stage: Stage,
        details: &ReadResult<Option<Details>>,
        cluster: Option<&ReadResult<ClusterState>>,
    ) -> (Finding, Option<Hint>) {
        self.with(|past| judge(stage, past, &Readings { details, cluster }))
    }

    fn settling(&self, details: &ReadResult<Option<Details>>, task: Task) -> Finding {
        self.judge(Stage::Settling, details, Some(&cluster(task))).0
    }

    /// The finding of the second of two equal polls.
    fn settling_twice(&self, details: &ReadResult<Option<Details>>, task: Task) -> Finding {
        let (_, hint) = self.judge(Stage::Settling, details, Some(&cluster(task.clone())));
        Self { hint, ..self.clone() }.settling(details, task)
    }

    fn following(&self, details: &ReadResult<Option<Details>>, task: Task) -> Finding {
        self.judge(Stage::Following, details, Some(&cluster(task))).0
    }

    fn following_twice(&self, details: &ReadResult<Option<Details>>, task: Task) -> Finding {
        let (_, hint) = self.judge(Stage::Following, details, Some(&cluster(task.clone())));
        Self { hint, ..self.clone() }.following(details, task)
    }
}

fn is_run(finding: &Finding, phase: Phase) -> bool {
    matches!(finding, Finding::Run(seen, _) if *seen == phase)
}

fn tasks() -> [Task; 6] {
    [Task::Waiting, Task::Redistributing, Task::Paused, Task::Failed, Task::Idle, Task::Other("GROWING".to_owned())]
}

#[test]
fn a_cluster_that_waited_and_redistributes_in_two_polls_confirms() {
    let none = ReadResult::Found(None);
    for mut case in [Case::waiting(), Case::new(Some("WAITING_REDISTRIBUTION"), Some("old"))] {
        for (task, phase) in
            [(Task::Redistributing, Phase::Running), (Task::Paused, Phase::Paused), (Task::Failed, Phase::Failed)]
        {
            for details in [&none, &shown("old", RunState::Other), &ReadResult::Unreachable] {
                assert_eq!(
                    case.settling(details, task.clone()),
                    Finding::Nothing,
                    "the details may show its parameters"
                );
                assert!(is_run(&case.settling_twice(details, task.clone()), phase), "{task:?}");
            }
        }
        for task in [Task::Waiting, Task::Idle, Task::Other("GROWING".to_owned())] {
            case.has_settled = false;
            assert_eq!(case.settling_twice(&none, task.clone()), Finding::Nothing);
            case.has_settled = true;
            let finding = case.settling_twice(&none, task.clone());
            assert!(
                matches!(&finding, Finding::Unseen(Unseen::Unconfirmed, what) if what.contains("task_status is")),
                "{finding:?}"
            );
        }
    }
}

#[test]
fn a_new_id_confirms_and_the_previous_one_never_does() {
    let case = Case::new(Some("WAITING_REDISTRIBUTION"), Some("old"));
    for state in [RunState::Running, RunState::Paused, RunState::Failed, RunState::Finished] {
        let finding = case.settling(&shown("new", state.clone()), Task::Idle);
        assert!(matches!(finding, Finding::Run(..)), "{state:?}: {finding:?}");
        for task in [Task::Idle, Task::Waiting] {
            assert_eq!(case.settling_twice(&shown("old", state.clone()), task), Finding::Nothing, "{state:?}");
        }
    }
}

#[test]
fn a_retried_redistribution_is_distinguished_by_its_start_time() {
    let mut case = Case::new(Some("WAITING_REDISTRIBUTION"), Some("same"));
    case.baseline.start_time = Some("2026-11-25 08:00".to_owned());
    let started = |at: &str| {
        ReadResult::Found(Some(Details { start_time: Some(at.to_owned()), ..details("same", RunState::Running) }))
    };
    assert!(is_run(&case.settling(&started("2026-11-25 09:00"), Task::Redistributing), Phase::Running));
    assert_eq!(case.settling(&started("2026-11-25 08:00"), Task::Redistributing), Finding::Nothing);
}

#[test]
fn a_waiting_cluster_confirms_nothing_whatever_the_details_show() {
    for case in [Case::waiting(), Case::new(Some("WAITING_REDISTRIBUTION"), Some("old"))] {
        for state in ALL_STATES {
            assert_eq!(case.settling_twice(&shown("new", state), Task::Waiting), Finding::Nothing);
        }
        for task in [Task::Idle, Task::Other("GROWING".to_owned())] {
            let prepared = case.settling_twice(&shown("new", RunState::Preparing), task);
            assert_eq!(prepared, Finding::Nothing, "whether it was started is not documented");
        }
    }
}

#[test]
fn an_ended_redistribution_that_was_hidden_before_never_confirms() {
    let case = Case::waiting();
    for task in tasks() {
        for state in [RunState::Finished, RunState::Other] {
            let settled = case.settling_twice(&shown("old", state.clone()), task.clone());
            let followed = case.following_twice(&shown("old", state.clone()), task.clone());
            for finding in [settled, followed] {
                let is_old = |finding: &Finding| matches!(finding, Finding::Run(_, Some(_)));
                assert!(!is_old(&finding), "{task:?} {state:?}: {finding:?}");
            }
        }
        let failed = case.settling_twice(&shown("old", RunState::Failed), task.clone());
        let is_named = matches!(failed, Finding::Run(_, Some(_)));
        assert_eq!(is_named, task == Task::Failed, "{task:?}: {failed:?}");
    }
}

#[test]
fn a_cluster_not_known_to_have_waited_confirms_nothing() {
    for case in [
        Case::new(Some("REDISTRIBUTING"), Some("old")),
        Case::new(Some("REDISTRIBUTING"), Some(NONE)),
        Case::new(Some(NONE), Some("old")),
        Case::new(None, None),
        Case::new(None, Some(NONE)),
    ] {
        for task in tasks() {
            for state in ALL_STATES {
                let finding = case.settling_twice(&shown("new", state), task.clone());
                assert_eq!(finding, Finding::Nothing, "{task:?}");
            }
            assert_eq!(case.settling_twice(&ReadResult::Found(None), task.clone()), Finding::Nothing, "{task:?}");
        }
    }
}

#[test]
fn other_parameters_or_another_call_nearby_confirm_nothing() {
    let others_mode = Details { mode: Some("offline".to_owned()), ..details("new", RunState::Running) };
    let others_jobs = Details { parallel_jobs: Some(8), ..details("new", RunState::Running) };
    let mut case = Case::new(Some("WAITING_REDISTRIBUTION"), Some("old"));
    for details in [others_mode, others_jobs] {
        case.has_settled = false;
        let moving = case.after(Hint::Moving);
        assert_eq!(moving.settling(&ReadResult::Found(Some(details.clone())), Task::Redistributing), Finding::Nothing);
        case.has_settled = true;
        let finding = case.settling(&ReadResult::Found(Some(details)), Task::Redistributing);
        assert!(
            matches!(&finding, Finding::Unseen(Unseen::Unconfirmed, what) if what.contains("another user")),
            "{finding:?}"
        );
    }
    // Also if the id of the previous one could not be read.
    let blind = Case::new(Some("WAITING_REDISTRIBUTION"), None);
    let foreign = ReadResult::Found(Some(Details { parallel_jobs: Some(8), ..details("x", RunState::Running) }));
    assert_eq!(blind.settling_twice(&foreign, Task::Redistributing), Finding::Nothing);
    assert!(is_run(&blind.settling_twice(&shown("x", RunState::Running), Task::Redistributing), Phase::Running));
    case.has_settled = false;
    for (before, since) in [(true, false), (false, true)] {
        (case.others_before, case.others_since) = (before, since);
        assert_eq!(case.settling_twice(&shown("new", RunState::Running), Task::Redistributing), Finding::Nothing);
        assert_eq!(case.settling_twice(&ReadResult::Found(None), Task::Redistributing), Finding::Nothing);
    }
}

#[test]
fn an_unreadable_answer_proves_nothing_and_does_not_end_the_polls() {
    let mut case = Case::waiting();
    case.has_settled = true;
    let (details, cluster) = (ReadResult::Unreadable("no answer came in time"), ReadResult::Unreachable);
    for stage in [Stage::Settling, Stage::Following] {
        let (finding, _) = case.judge(stage, &details, Some(&cluster));
        assert!(matches!(finding, Finding::Unseen(Unseen::NotReadable, _)), "{finding:?}");
    }
    case.reported = Some("NotReadable");
    assert!(matches!(case.judge(Stage::Following, &details, Some(&cluster)).0, Finding::Unseen(..)), "it still is");
    case.reported = Some("Running");
    assert_eq!(
        case.judge(Stage::Following, &details, Some(&cluster)).0,
        Finding::Nothing,
        "the reported finding stays"
    );
}

#[test]
fn a_running_redistribution_is_followed_by_its_details_only() {
    let case = Case::waiting();
    let needs = |case: &Case, stage, details: &ReadResult<_>| case.with(|past| needs_cluster(stage, past, details));
    let running = shown("new", RunState::Running);
    assert!(!needs(&case, Stage::Following, &running));
    assert!(needs(&case, Stage::Settling, &running));
    assert!(needs(&case, Stage::Following, &ReadResult::Found(None)));
    assert!(needs(&case, Stage::Following, &shown("old", RunState::Finished)), "hidden before, perhaps");
    let case = case.known(Some("new"));
    for (state, phase) in [
        (RunState::Preparing, Phase::Running),
        (RunState::Running, Phase::Running),
        (RunState::Paused, Phase::Paused),
        (RunState::Failed, Phase::Failed),
        (RunState::Finished, Phase::Finished),
    ] {
        assert!(is_run(&case.judge(Stage::Following, &shown("new", state), None).0, phase));
    }
}

#[test]
fn an_end_that_only_the_cluster_shows_needs_two_polls() {
    let none = ReadResult::Found(None);
    let case = Case::waiting().known(None);
    assert!(is_run(&case.following(&none, Task::Redistributing), Phase::Running));
    assert_eq!(case.following(&none, Task::Idle), Finding::Nothing);
    assert!(is_run(&case.following_twice(&none, Task::Idle), Phase::Finished));
    let failed = ClusterState { task: Task::Idle, status: None, sub_status: vec!["REDISTRIBUTION-FAILURE".to_owned()] };
    assert!(is_run(&case.judge(Stage::Following, &none, Some(&ReadResult::Found(failed))).0, Phase::Failed));
    assert_eq!(case.following_twice(&none, Task::Other("SNAPSHOTTING".to_owned())), Finding::Nothing);
    // The oldest documentation of task_status has no word for a redistribution, and a frozen cluster is not a finished one.
    let idle = |status: &str, sub_status: &[&str]| {
        let sub_status = sub_status.iter().map(|&member| member.to_owned()).collect();
        ReadResult::Found(ClusterState { task: Task::Idle, status: Some(status.to_owned()), sub_status })
    };
    let idle_twice = |case: &Case, cluster: ReadResult<ClusterState>| {
        case.after(Hint::Idle).judge(Stage::Following, &none, Some(&cluster)).0
    };
    assert!(is_run(&idle_twice(&case, idle("AVAILABLE", &["UNBALANCED", "REDISTRIBUTING"])), Phase::Running));
    assert_eq!(idle_twice(&case, idle("FROZEN", &[])), Finding::Nothing);
    for status in ["AVAILABLE", "ACTIVE"] {
        assert!(is_run(&idle_twice(&case, idle(status, &["NORMAL"])), Phase::Finished), "{status}");
    }
    assert_eq!(case.following(&none, Task::Waiting), Finding::Nothing, "late, perhaps");
    let waits_again = case.following_twice(&none, Task::Waiting);
    assert!(matches!(waits_again, Finding::Unseen(Unseen::EndNotSeen, _)), "{waits_again:?}");
}

#[test]
fn a_cluster_without_a_status_never_ends_a_redistribution() {
    let none = ReadResult::Found(None);
    let silent = ReadResult::Found(ClusterState { task: Task::Idle, status: None, sub_status: Vec::new() });
    for case in [Case::waiting(), Case::waiting().known(Some("mine")), Case::waiting().known(None)] {
        for hint in [None, Some(Hint::Idle)] {
            let case = Case { hint, ..case.clone() };
            let (finding, next) = case.judge(Stage::Following, &none, Some(&silent));
            assert!(!matches!(finding, Finding::Run(..)), "{finding:?}");
            assert_eq!(next, None, "it is no sign of an end either");
        }
    }
}

#[test]
fn only_a_4xx_that_was_read_proves_that_nothing_began() {
    for (status, code, expected) in [
        (Some(403), Some("DWS.7023"), true),
        (Some(403), Some("APIGW.0302"), true),
        (Some(401), None, true),
        (Some(429), None, true),
        (Some(403), None, false),
        (Some(404), None, false),
        (Some(408), Some("DWS.7023"), false),
        (Some(400), Some("DWS.9999"), false),
        (Some(401), Some("DWS.0005"), false),
        (Some(303), Some("DWS.7023"), false),
        (Some(301), None, false),
        (Some(200), Some("DWS.7023"), false),
        (Some(500), Some("DWS.7023"), false),
        (None, None, false),
    ] {
        assert_eq!(is_refusal(status, code), expected, "{status:?} {code:?}");
    }
}

#[test]
fn another_redistribution_ends_the_polls_when_read_twice() {
    let mut case = Case::new(Some("WAITING_REDISTRIBUTION"), Some("old")).known(Some("mine"));
    let another = shown("another", RunState::Running);
    assert_eq!(case.following(&another, Task::Redistributing), Finding::Nothing);
    let finding = case.following_twice(&another, Task::Redistributing);
    assert!(matches!(finding, Finding::Unseen(Unseen::EndNotSeen, _)), "{finding:?}");
    case.hint = Some(Hint::Gone);
    let late = case.following(&shown("old", RunState::Finished), Task::Redistributing);
    assert!(is_run(&late, Phase::Running), "{late:?}");
}

#[test]
fn a_redistribution_between_two_polls_is_finished_after_two_idle_ones() {
    let none = ReadResult::Found(None);
    let case = Case::waiting();
    assert!(matches!(case.following(&none, Task::Idle), Finding::Unseen(Unseen::NotStarted, _)));
    assert!(is_run(&case.following_twice(&none, Task::Idle), Phase::Finished));
    for blind in [Case::new(None, Some(NONE)), Case::new(Some(NONE), Some(NONE))] {
        let finding = blind.following_twice(&none, Task::Idle);
        assert!(matches!(finding, Finding::Unseen(Unseen::NotStarted, _)), "it may never have waited");
    }
    let late = case.following_twice(&none, Task::Waiting);
    assert!(matches!(late, Finding::Unseen(Unseen::NotStarted, _)), "{late:?}");
}

#[test]
fn an_earlier_or_later_redistribution_is_never_shown_for_a_call() {
    let mut case = Case::new(Some("WAITING_REDISTRIBUTION"), Some("old"));
    for state in ALL_STATES {
        let finding = case.following_twice(&shown("old", state.clone()), Task::Waiting);
        assert!(matches!(finding, Finding::Unseen(Unseen::NotStarted, _)), "{state:?}: {finding:?}");
    }
    let blind = Case::new(None, None);
    let finding = blind.following_twice(&shown("old", RunState::Finished), Task::Waiting);
    assert!(matches!(finding, Finding::Unseen(Unseen::NotStarted, _)), "{finding:?}");
    assert!(is_run(&blind.following(&shown("x", RunState::Running), Task::Redistributing), Phase::Running));
    case.others_before = true;
    assert!(is_run(&case.following(&shown("new", RunState::Running), Task::Redistributing), Phase::Running));
    case.others_since = true;
    let finding = case.following_twice(&shown("new", RunState::Running), Task::Redistributing);
    assert!(matches!(finding, Finding::Unseen(Unseen::NotStarted, _)), "{finding:?}");
    let known = case.known(Some("new"));
    assert!(is_run(&known.following(&shown("new", RunState::Running), Task::Redistributing), Phase::Running));
}

#[test]
fn a_404_proves_no_redistribution_only_if_the_service_sent_it() {
    use crate::cloud::outcome::{Answer, KeyEffect};
    let not_found = |code: Option<&str>, reason: Reason| {
        ReadResult::<Option<Details>>::Refused(Answer {
            status_code: 404,
            error_code: code.map(str::to_owned),
            request_id: None,
            reason,
            message: String::new(),
            key_effect: KeyEffect::Neutral,
        })
    };
    assert_eq!(not_found(Some("DWS.5037"), Reason::NotFound).shown(), Some(None));
    assert_eq!(not_found(Some("APIGW.0101"), Reason::NotFound).shown(), None);
    assert_eq!(not_found(None, Reason::NotFound).shown(), None);
    assert_eq!(not_found(Some("DWS.0047"), Reason::ClusterNotFound).shown(), None);
    assert_eq!(not_found(Some("DWS.5037"), Reason::NotFound).key_effect(), Some(KeyEffect::Neutral), "as it was");
}

#[test]
fn the_stage_depends_on_status_only_and_ends() {
    let object = |reason: Reason| {
        let mut object = attempted(1, attempt("a", 1, AttemptState::Unknown));
        let status = object.status.as_mut().unwrap();
        let attempt = status.attempt.as_mut().unwrap();
        attempt.baseline = Some(Baseline::default());
        attempt.finished_time = Some(crate::protocol::conditions::to_second(at(0)));
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
    assert_eq!(stage(&delivered, at(30 * 86_400 + 1)), Some(Stage::Over), "after 30 days");
    let (over, _) = crate::observe::status::observed(delivered.status.as_ref().unwrap(), 1, &over(), at(0)).unwrap();
    let over = ClusterRedistribution { status: Some(over), ..delivered.clone() };
    assert_eq!(stage(&over, at(30 * 86_400 + 1)), None, "reported once");
    let stage_with = |status: &str, reason: &str, generation: i64| {
        let mut object = delivered.clone();
        let conditions = &mut object.status.as_mut().unwrap().conditions;
        let _ = set_one_at(conditions, REDISTRIBUTED, generation, (status, reason, "why"), at(0));
        stage(&object, at(0))
    };
    assert_eq!(stage_with("True", "Finished", 1), None);
    assert_eq!((stage_with("Unknown", "Unconfirmed", 1), stage_with("Unknown", "EndNotSeen", 1)), (None, None));
    for (status, reason) in [("False", "Running"), ("False", "Paused"), ("False", "Failed"), ("Unknown", "NotStarted")]
    {
        assert_eq!(stage_with(status, reason, 1), Some(Stage::Following), "{reason}");
    }
    assert_eq!(stage_with("True", "Finished", 0), Some(Stage::Following), "it is about another generation");
    let mut without = delivered;
    without.status.as_mut().unwrap().attempt.as_mut().unwrap().baseline = None;
    assert_eq!(stage(&without, at(0)), None);
}

#[test]
fn called_object_is_polled_only_where_nothing_else_is_to_be_done() {
    let (start, second) = (Instant::now(), Duration::from_secs(1));
    let rules = Rules {
        require_not_after: false,
        hold_reverts: false,
        grace: 75 * second,
        regions: Regions::new(Some("cn-north-4"), &[], &[]).unwrap(),
    };
    let mut attempts = AttemptTracker::default();
    let mut at_second = |object: &ClusterRedistribution, after: u32| {
        let now = Now { wall: at(i64::from(after)), instant: start + after * second };
        attempts.note(object, now.instant);
        let step = decide(object, &attempts, &rules, now);
        (due(object, &step, now.wall), step)
    };
    let mut called = attempted(1, attempt("a", 1, AttemptState::Unknown));
    let status = called.status.as_mut().unwrap();
    status.attempt.as_mut().unwrap().baseline = Some(Baseline::default());
    let _ = set_at(&mut status.conditions, 1, Reason::OutcomeUnknown, "why", at(0));
    assert_eq!(at_second(&called, 0), (Some(Stage::Settling), Step::Done));
    assert_eq!(at_second(&called, 1_000_000), (Some(Stage::Settling), Step::Done));
    let without = attempted(1, attempt("a", 1, AttemptState::Unknown));
    assert_eq!(at_second(&without, 0), (None, Step::Done), "without a baseline");
    let mut open = called.clone();
    open.status.as_mut().unwrap().attempt.as_mut().unwrap().state = "Claimed".to_owned();
    let (stage, step) = at_second(&open, 0);
    assert!(stage.is_none() && matches!(step, Step::Wait(_)), "an open attempt is resolved first");
    let mut newer = called.clone();
    newer.metadata.generation = Some(2);
    assert_eq!(at_second(&newer, 1_000_000).0, None, "the next request is not observed");
    called.metadata.deletion_timestamp = Some(crate::protocol::conditions::to_second(at(0)));
    assert_eq!(at_second(&called, 0), (None, Step::Done));
}
