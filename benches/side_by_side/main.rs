//! The operator beside its peers and beside the API server's own limit: `cargo bench --bench side_by_side -- drain`.
//! One candidate at a time, as a process of its own, on a freshly started real API server and a simulated cloud that
//! keeps a ledger. `benches/README.md` explains the measurements and the method.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a benchmark: it panics when an assumption is wrong"
)]

mod actors;
mod arguments;
mod bars;
mod candidate;
mod counts;
mod limit;
mod machine;
mod objects;
mod process;
mod programs;
mod report;
mod rounds;
mod sample;
mod scenarios;
mod setting;
mod small;
mod stage;
mod watching;
mod window;

use std::{path::Path, process::ExitCode};

use arguments::Arguments;
use clap::Parser;
use programs::Programs;
use report::Report;
use rounds::Summary;
use setting::Setting;

/// An error that ends a run early, described in one sentence.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    match runtime.block_on(run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &Failure) -> ExitCode {
    eprintln!("\nside_by_side: {error}");
    ExitCode::FAILURE
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let mut report = Report::new();
    for file in &arguments.with {
        report.take(file)?;
    }
    if arguments.small {
        let programs = Programs::build(arguments.operator.as_deref(), &[])?;
        return small::run(&Setting::new(arguments, programs)).await;
    }
    if !arguments.report_only {
        let cases = scenarios::cases(&arguments);
        let candidates: Vec<_> = cases.iter().flat_map(|case| case.candidates.clone()).collect();
        let programs = Programs::build(arguments.operator.as_deref(), &candidates)?;
        let setting = Setting::new(arguments.clone(), programs);
        for case in &cases {
            // After each round, so that a later round cannot lose hours of measurements.
            let after_each = |summary: &Summary| {
                report.add(summary.clone());
                keep(&arguments, &report)
            };
            let summary = rounds::run(case, &setting, after_each).await?;
            print!("{}", report::table(&summary));
        }
    }
    keep(&arguments, &report)
}

fn keep(arguments: &Arguments, report: &Report) -> Result<(), Failure> {
    if let Some(file) = &arguments.json {
        report.write_json(file)?;
    }
    if arguments.results {
        report.write_results(&Path::new(env!("CARGO_MANIFEST_DIR")).join("benches"))?;
    }
    Ok(())
}
