use std::{env, ffi::OsStr, process::Command};

use super::*;
use crate::testing::mock::ManualClock;

const BUDGET: Duration = Duration::from_secs(2);

#[test]
fn a_deadline_is_over_as_soon_as_it_is_by_either_clock() {
    let second = |seconds| Duration::from_secs(seconds);
    for (boot, wall, wall_back, over) in [
        (0, 0, 0, false),
        (1, 1, 0, false),
        (17, 0, 0, true),
        (0, 17, 0, true),
        (2, 0, 0, true),
        (0, 2, 0, true),
        (1, 0, 3600, false),
        (2, 0, 3600, true),
    ] {
        let hands = ManualClock::default();
        let deadline = hands.clock().deadline(BUDGET);
        hands.suspended(second(boot));
        hands.wall_set(second(wall), second(wall_back));
        assert_eq!(deadline.is_over(), over, "{boot} s by CLOCK_BOOTTIME, {wall} - {wall_back} s by the wall clock");
    }
}

/// The kernel's uptime, which includes the time in which the machine was suspended.
fn uptime() -> Duration {
    let text = std::fs::read_to_string("/proc/uptime").unwrap();
    Duration::from_secs_f64(text.split_whitespace().next().unwrap().parse().unwrap())
}

#[test]
fn the_clock_of_this_host_counts_suspended_time() {
    let tick = Duration::from_millis(10);
    let (before, wall) = (uptime(), Timestamp::now());
    let read = Clock::of_this_host().read();
    assert!(before <= read.since_boot && read.since_boot <= uptime() + tick, "{before:?} {read:?}");
    assert!(wall <= read.wall && read.wall <= Timestamp::now(), "{wall} {read:?}");
}

/// On a machine that was never suspended all clocks agree. In a time namespace this one is ahead of the others, as if
/// the machine had been suspended for months.
#[test]
fn the_clock_of_this_host_counts_suspended_time_in_a_time_namespace() {
    let ahead = |program: &OsStr, arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--time", "--boottime", "10000000"]).arg(program).args(arguments);
        command.output()
    };
    if !ahead("true".as_ref(), &[]).is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this machine allows no time namespace");
        return;
    }
    let (_, module) = module_path!().split_once("::").unwrap();
    let test = format!("{module}::the_clock_of_this_host_counts_suspended_time");
    let output = ahead(env::current_exe().unwrap().as_ref(), &["--exact", &test]).unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && printed.contains("1 passed"), "{printed}");
}
