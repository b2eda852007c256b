//! Carries out many plans side by side and shows the progress. It judges nothing.

use futures::{StreamExt, stream};

use super::{
    bench::Bench,
    one::{self, Outcome},
    plans::Space,
};
use crate::{Failure, fault_proxy::Plan};

/// A line of progress, so that a long run does not look dead.
const LINE_EVERY: usize = 100;

/// Runs one plan without faults, and finds its requests.
pub async fn space(bench: &Bench) -> Result<(Space, Outcome), Failure> {
    let outcome = one::run(bench, Plan::nothing()).await;
    if outcome.violations.is_empty() {
        return Ok((Space::of(&outcome.trace), outcome));
    }
    Err(format!("a run without faults fails:\n{}\n{:?}", outcome.trace.join("\n"), outcome.violations).into())
}

/// Runs these, this number at once.
pub async fn run(bench: &Bench, plans: Vec<Plan>, parallel: usize) -> Vec<Outcome> {
    let all = plans.len();
    let mut running = stream::iter(plans).map(|plan| one::run(bench, plan)).buffer_unordered(parallel.max(1));
    let (mut outcomes, mut broken) = (Vec::new(), 0);
    while let Some(outcome) = running.next().await {
        if !outcome.violations.is_empty() {
            broken += 1;
            let violations: Vec<_> = outcome.violations.iter().map(ToString::to_string).collect();
            // At once and whole: a failure may not show again when the plan is replayed.
            eprintln!("{}: {}\n{}", outcome.plan, violations.join("; "), outcome.story());
        }
        outcomes.push(outcome);
        if outcomes.len() % LINE_EVERY == 0 {
            eprintln!("{} of {all} plans, {broken} that violated a property", outcomes.len());
        }
    }
    outcomes
}
