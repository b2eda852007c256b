//! Carries out many plans side by side and shows the progress. It judges nothing.

use std::{io::IsTerminal, time::Duration};

use futures::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{
    bench::{Bench, Failure},
    one::{self, Outcome},
    plans::Space,
};
use crate::fault_proxy::Plan;

/// A line of progress without a terminal, so that a long run does not look dead.
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
    let bar = progress(plans.len());
    let mut running = stream::iter(plans).map(|plan| one::run(bench, plan)).buffer_unordered(parallel.max(1));
    let (mut outcomes, mut broken) = (Vec::new(), 0);
    while let Some(outcome) = running.next().await {
        bar.inc(1);
        if !outcome.violations.is_empty() {
            broken += 1;
            let violations: Vec<_> = outcome.violations.iter().map(ToString::to_string).collect();
            bar.suspend(|| eprintln!("{}: {}", outcome.plan, violations.join("; ")));
        }
        outcomes.push(outcome);
        bar.set_message(format!("{broken} that violated a property"));
        if bar.is_hidden() && outcomes.len() % LINE_EVERY == 0 {
            eprintln!("{} plans, {broken} that violated a property", outcomes.len());
        }
    }
    bar.finish_and_clear();
    outcomes
}

fn progress(plans: usize) -> ProgressBar {
    let bar = ProgressBar::new(plans as u64);
    if std::io::stderr().is_terminal() {
        if let Ok(style) = ProgressStyle::with_template("{elapsed_precise} {wide_bar} {pos}/{len} plans, {msg} ({eta})")
        {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_secs(1));
    } else {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    bar
}
