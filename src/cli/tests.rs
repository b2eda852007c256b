//! Command lines: appended flags are always accepted, and the last one applies.

use super::*;

/// The settings of `run` with these flags.
fn run(flags: &[&str]) -> Run {
    let line = ["redistribution-operator", "run"].iter().chain(flags);
    match Command::try_parse_from(line).unwrap().action {
        Action::Run(run) => *run,
        Action::Crd => unreachable!("the command is run"),
    }
}

#[test]
fn the_last_value_of_a_flag_given_twice_applies() {
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
    assert_eq!((twice.process.log_level.as_str(), twice.process.log_format), ("warn", LogFormat::Text));
    assert_eq!(
        (twice.guards.check_cluster, twice.cloud.region.as_deref(), twice.observation.observe),
        (Mode::Warn, Some("cn-east-3"), true)
    );
}

#[test]
fn values_of_repeatable_flags_add_up() {
    let many = run(&["--namespace=a", "--namespace=b,c", "--allow-region=cn-east-3", "--allow-region=eu-west-101"]);
    assert_eq!(many.kubernetes.namespaces, ["a", "b", "c"]);
    assert_eq!(many.cloud.allowed_regions, ["cn-east-3", "eu-west-101"]);
    let endpoints = run(&["--endpoint=a=https://a.example.com", "--endpoint=b=https://b.example.com"]).cloud.endpoints;
    assert_eq!(endpoints.iter().map(|(region, _)| region.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn a_silent_watch_is_abandoned_with_a_third_of_stale_after_left() {
    for seconds in 10..=3600 {
        let run = run(&[&format!("--stale-after={seconds}s")]);
        let abandoned = Duration::from_secs(run.process.watch_seconds().into()) + IDLE_TIMEOUT_MARGIN;
        assert!(run.process.watch_seconds() >= 1, "0 would mean: never");
        assert!(abandoned * 3 <= run.process.stale_after * 2, "{seconds} s: abandoned after {abandoned:?}");
        assert!(abandoned < Duration::from_secs(60), "{seconds} s");
    }
    for (stale_after, seconds) in [("10s", 1), ("20s", 5), ("154s", 49), ("155s", 50), ("5m", 50)] {
        assert_eq!(run(&[&format!("--stale-after={stale_after}")]).process.watch_seconds(), seconds, "{stale_after}");
    }
}
