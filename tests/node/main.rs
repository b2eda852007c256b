//! The chart in real pods: kubelet, containerd and runc in a sandbox of kernel namespaces, a control plane beside them, and
//! the image as `deploy/container/build` makes it. Needs root and some Debian packages, and so runs only when asked for:
//!
//! ```console
//! cargo test --test node -- --ignored
//! ```
//!
//! A program of its own instead of Rust's test harness: it must enter its namespaces before the first thread starts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod cluster;
#[path = "../suite/install/chart/combinations.rs"]
mod combinations;
mod failover;
mod first_install;
mod helm_versions;
mod history;
mod images;
mod modes;
mod monitoring;
mod rollout;
mod story;
mod trial;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Conclusion, Failed, Trial};
use testbed::node::sandbox;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    if sandbox::is_inside() {
        sandbox::end_with_owner();
        return run(&arguments).exit_code();
    }
    if arguments.list || !(arguments.ignored || arguments.include_ignored) {
        return run(&arguments).exit_code();
    }
    let prepared = sandbox::missing().map_or(Ok(()), Err).and_then(|()| images::build());
    match prepared.and_then(|()| sandbox::run().map_err(|error| format!("the sandbox: {error}"))) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("the tests in real pods cannot run: {error}");
            ExitCode::FAILURE
        }
    }
}

/// In rounds: the first two install and remove the CRD that all the others need, the last uses the whole machine.
fn run(arguments: &Arguments) -> Conclusion {
    let alone = Arguments { test_threads: Some(1), ..arguments.clone() };
    // They mostly wait: for leases, for slow calls, for the node.
    let arguments = &Arguments { test_threads: arguments.test_threads.or(Some(6)), ..arguments.clone() };
    let together =
        [failover::stories(), modes::stories(), monitoring::stories(), rollout::stories(), helm_versions::stories()]
            .into_iter()
            .flatten()
            .collect();
    let by_hand = arguments.filter.as_deref().is_some_and(|filter| filter.starts_with("ten minutes"));
    let last = if by_hand { modes::by_hand() } else { history::stories() };
    let first = first_install::stories().into_iter().chain(trial::stories()).collect();
    let rounds = [(&alone, first), (arguments, together), (&alone, last)];
    let conclusions = rounds.map(|(arguments, stories)| libtest_mimic::run(arguments, stories));
    let sum = |count: fn(&Conclusion) -> u64| conclusions.iter().map(count).sum();
    Conclusion {
        num_filtered_out: sum(|round| round.num_filtered_out),
        num_passed: sum(|round| round.num_passed),
        num_failed: sum(|round| round.num_failed),
        num_ignored: sum(|round| round.num_ignored),
        num_measured: sum(|round| round.num_measured),
    }
}

/// A test on a runtime of its own.
fn story<F>(name: &str, story: impl FnOnce() -> F + Send + 'static) -> Trial
where
    F: Future<Output = ()>,
{
    let trial = Trial::test(name.replace('_', " "), move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.map_err(Failed::from)?.block_on(story());
        Ok(())
    });
    trial.with_ignored_flag(true)
}
