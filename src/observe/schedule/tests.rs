use super::*;
use crate::{
    api::Attempt,
    testing::sample::{at, attempt, attempted},
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_new_attempt_resets_the_polls_and_a_deleted_object_ends_them() {
    let (mut schedule, now) = (Schedule::default(), Instant::now());
    let first = schedule.entry("uid", "a", SECOND, now);
    assert_eq!((first.next, first.since), (now + SECOND, None));
    schedule.keep("uid", Scheduled { unchanged_polls: 3, since: Some(now), ..first.clone() });
    let again = schedule.entry("uid", "a", SECOND, now);
    assert_eq!((again.unchanged_polls, again.since), (3, Some(now)));
    let other = schedule.entry("uid", "b", SECOND, now + 5 * SECOND);
    assert_eq!((other.unchanged_polls, other.since, other.next), (0, None, now + 6 * SECOND));
    schedule.keep("uid", Scheduled { unchanged_polls: 7, ..first });
    assert_eq!(schedule.entry("uid", "b", SECOND, now).unchanged_polls, 0, "a poll of an older attempt ended late");
    schedule.end("uid");
    schedule.keep("uid", other);
    assert!(schedule.objects.is_empty(), "it was deleted during a poll");
}

#[test]
fn another_call_counts_from_shortly_before_the_own_one() {
    let mut schedule = Schedule::default();
    let others = |schedule: &Schedule, uid: &str, generation: i64| {
        let others = schedule.others("cluster", uid, generation, 10 * SECOND);
        (others.before, others.since)
    };
    schedule.record_call("cluster", "uid", 1, at(0));
    assert_eq!(others(&schedule, "uid", 1), (false, false), "its own call");
    assert_eq!(others(&schedule, "uid", 2), (false, true), "the time of this call is not known");
    schedule.record_call("cluster", "uid", 2, at(9));
    assert_eq!((others(&schedule, "uid", 1), others(&schedule, "uid", 2)), ((false, true), (true, false)));
    schedule.record_call("cluster", "uid", 3, at(7));
    assert_eq!(
        others(&schedule, "uid", 3),
        (true, false),
        "a call of an older generation is older, also by a clock that is ahead"
    );
    schedule.remove_call("cluster", "uid", 3);
    schedule.record_call("cluster", "other", 1, at(100));
    assert_eq!(others(&schedule, "other", 1), (false, false), "their redistribution would be in the baseline");
    schedule.remove_call("cluster", "other", 1);
    assert_eq!(others(&schedule, "uid", 2), (true, false), "it started nothing");
    schedule.remove_call("cluster", "uid", 1);
    schedule.remove_call("cluster", "uid", 2);
    assert!(schedule.calls.is_empty());
}

#[test]
fn only_the_latest_calls_for_a_cluster_are_kept() {
    let mut schedule = Schedule::default();
    for generation in 0..100 {
        schedule.record_call("cluster", "uid", generation, at(generation));
    }
    assert_eq!(schedule.calls.get("cluster").map(Vec::len), Some(MAX_CALLS));
    assert_eq!(schedule.others("cluster", "uid", 99, SECOND * 5), OtherCalls { before: true, since: false });
}

#[test]
fn calls_are_restored_from_statuses_after_a_restart() {
    let claimed = |state: AttemptState, status_code: Option<i32>, error_code: Option<&str>| {
        let claimed_time = Some(crate::protocol::conditions::to_second(at(0)));
        let error_code = error_code.map(str::to_owned);
        attempted(1, Attempt { claimed_time, status_code, error_code, ..attempt("a", 1, state) })
    };
    for (state, code, error, counts) in [
        (AttemptState::Claimed, None, None, true),
        (AttemptState::Unknown, None, None, true),
        (AttemptState::Answered, Some(200), None, true),
        (AttemptState::Answered, Some(503), None, true),
        (AttemptState::Answered, Some(408), None, true),
        (AttemptState::Answered, Some(400), Some("DWS.0005"), true),
        (AttemptState::Answered, Some(403), Some("DWS.9999"), true),
        (AttemptState::Answered, Some(403), None, true), // its body may have ended before its code
        (AttemptState::Answered, Some(301), None, true),
        (AttemptState::Answered, Some(401), None, false),
        (AttemptState::Answered, Some(429), None, false),
        (AttemptState::Answered, Some(403), Some("DWS.7023"), false),
        (AttemptState::NotSent, None, None, false),
    ] {
        let mut schedule = Schedule::default();
        let object = claimed(state, code, error);
        schedule.record_status(&object);
        let cluster = object.spec.cluster_id.to_ascii_lowercase();
        assert_eq!(schedule.others(&cluster, "other", 1, SECOND).since, counts, "{state:?} {code:?}");
    }
}

const OBSERVE: Observe = Observe { every: Duration::from_secs(60), settle: Duration::from_secs(600) };

fn seconds(stage: Stage, finding: &Finding, unchanged_polls: u32, reads: u32) -> u64 {
    pause(&OBSERVE, stage, finding, unchanged_polls, reads, 0.0).as_secs()
}

#[test]
fn a_running_object_is_read_at_most_sixty_times_an_hour() {
    let running = Finding::Run(Phase::Running, None);
    for (unchanged_polls, reads) in [(0, 1), (0, 2), (100, 1), (100, 2)] {
        let pause = seconds(Stage::Following, &running, unchanged_polls, reads);
        assert!(pause >= 60 * u64::from(reads), "{pause}");
    }
    assert_eq!(seconds(Stage::Following, &Finding::Nothing, 4, 1), 60);
    assert_eq!(seconds(Stage::Following, &Finding::Nothing, 5, 1), 120);
    assert_eq!(seconds(Stage::Following, &Finding::Nothing, u32::MAX, 1), 300);
}

#[test]
fn the_interval_grows_without_progress_but_not_while_settling() {
    assert_eq!(seconds(Stage::Following, &Finding::Run(Phase::Paused, None), 0, 1), 300);
    assert_eq!(seconds(Stage::Following, &Finding::Run(Phase::Failed, None), 0, 1), 900);
    let denied = Finding::Unseen(Unseen::NotReadable, String::new());
    assert_eq!(seconds(Stage::Following, &denied, 0, 2), 300);
    assert_eq!(seconds(Stage::Settling, &denied, 0, 2), 300);
    assert_eq!(seconds(Stage::Settling, &Finding::Nothing, 100, 2), 60);
}

#[test]
fn jitter_only_lengthens_the_interval() {
    let longest = pause(&OBSERVE, Stage::Following, &Finding::Nothing, 0, 1, 1.0);
    assert_eq!(longest, Duration::from_secs(75));
}
