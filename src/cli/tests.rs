//! What a command line means: more of it is always taken, and the last word holds.

use super::*;

/// What `run` with these flags is told.
fn run(flags: &[&str]) -> Run {
    let line = ["redistribution-operator", "run"].iter().chain(flags);
    match Command::try_parse_from(line).unwrap().action {
        Action::Run(run) => *run,
        Action::Crd => unreachable!("it was asked to run"),
    }
}

#[test]
fn of_a_flag_that_is_given_twice_the_last_one_holds() {
    let twice = run(&[
        "--log-level=info",
        "--log-format=json",
        "--observe",
        "--check-cluster=require",
        "--region=cn-north-4",
        "--log-level=warn",
        "--log-format=text",
        "--observe",
        "--check-cluster=warn",
        "--region=cn-east-3",
    ]);
    assert_eq!((twice.log_level.as_str(), twice.log_format), ("warn", LogFormat::Text));
    assert_eq!((twice.check_cluster, twice.region.as_deref(), twice.observe), (Mode::Warn, Some("cn-east-3"), true));
}

#[test]
fn of_a_flag_that_may_be_repeated_all_that_are_given_add_up() {
    let many = run(&["--namespace=a", "--namespace=b,c", "--allow-region=cn-east-3", "--allow-region=eu-west-101"]);
    assert_eq!(many.namespaces, ["a", "b", "c"]);
    assert_eq!(many.allowed_regions, ["cn-east-3", "eu-west-101"]);
    let endpoints = run(&["--endpoint=a=https://a.example.com", "--endpoint=b=https://b.example.com"]).endpoints;
    assert_eq!(endpoints.iter().map(|(region, _)| region.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn a_watch_that_fell_silent_is_given_up_with_a_third_of_the_time_left_before_silence_counts_as_death() {
    for seconds in 10..=3600 {
        let run = run(&[&format!("--stale-after={seconds}s")]);
        let given_up = Duration::from_secs(run.watch_seconds().into()) + GIVEN_UP_AFTER;
        assert!(run.watch_seconds() >= 1, "0 would mean: never");
        assert!(given_up * 3 <= run.stale_after * 2, "{seconds} s: given up after {given_up:?}");
        assert!(given_up < Duration::from_secs(60), "{seconds} s");
    }
    for (stale_after, seconds) in [("10s", 1), ("20s", 5), ("154s", 49), ("155s", 50), ("5m", 50)] {
        assert_eq!(run(&[&format!("--stale-after={stale_after}")]).watch_seconds(), seconds, "{stale_after}");
    }
}
