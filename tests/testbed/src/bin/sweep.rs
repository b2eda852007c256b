//! Every single fault, pairs of faults, frozen operators and storms of kills, against the built operator on a real API
//! server: `cargo run --release -p testbed --bin sweep -- single`.

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::{Parser, Subcommand};
use testbed::{
    Failure,
    fault_proxy::Plan,
    sweep::{
        bench::Bench,
        endless::{self, Endless},
        many,
        one::{self, Outcome},
        report::{self, Report},
        storm,
    },
};

/// Checks the operator's guarantee under faults: at most one call for each object and generation, and no false status.
#[derive(Debug, Parser)]
#[command(name = "sweep", version)]
struct Arguments {
    #[command(subcommand)]
    what: What,
    /// Plans carried out side by side; most of the time each of them waits.
    #[arg(long, global = true, default_value_t = 32)]
    parallel: usize,
    /// Operators check the cluster before each call (`--check-cluster=require`), and these reads meet faults too.
    #[arg(long, global = true)]
    check: bool,
    /// Operators observe redistributions after each call (`--observe`), and these reads meet faults too.
    #[arg(long, global = true)]
    observe: bool,
    /// Also writes the figures as JSON.
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Every fault at every request that a run without faults makes.
    Single,
    /// Ordered pairs of faults, half of them with two operators.
    Pairs {
        /// How many.
        #[arg(long, default_value_t = 200)]
        plans: usize,
        /// The seed; the same seed draws the same pairs.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// An operator that is frozen across its claim or its call while another one takes over.
    Frozen {
        /// How often.
        #[arg(long, default_value_t = 200)]
        times: usize,
    },
    /// Operators without election, killed at random while all objects are edited without pause.
    Storm {
        /// Spec generations, all objects together.
        #[arg(long, default_value_t = 10_000)]
        generations: i64,
        /// Objects.
        #[arg(long, default_value_t = 100)]
        objects: usize,
        /// Operators.
        #[arg(long, default_value_t = 3)]
        operators: usize,
        /// One edit in this many is followed by a kill, 1 to 50 ms later.
        #[arg(long, default_value_t = 10)]
        kill_every: u32,
    },
    /// Faults that never end (CRD, rights, API server and subresource gone): at most one request a second and one line of the
    /// log a minute while each of them lasts.
    Endless {
        /// How long each lasts.
        #[arg(long, default_value_t = 300)]
        seconds: u64,
    },
    /// One plan, with everything that happened.
    Replay {
        /// As the tables and messages name it, for example put#2:kill-after.
        plan: Plan,
        /// Also what the operators logged.
        #[arg(long)]
        log: bool,
    },
}

/// An operator that is stopped at its claims and at its calls.
const FROZEN: [&str; 8] = [
    "put#2:stop-before",
    "put#2:stop-after",
    "put#4:stop-before",
    "put#4:stop-after",
    "call#1:stop-before",
    "call#1:stop-after",
    "call#2:stop-before",
    "call#2:stop-after",
];

fn main() -> ExitCode {
    let run = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::from);
    match run.and_then(|runtime| runtime.block_on(sweep(Arguments::parse()))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sweep: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether the guarantee held.
async fn sweep(arguments: Arguments) -> Result<bool, Failure> {
    let mut bench = Bench::start(!cfg!(debug_assertions)).await?;
    bench.check = arguments.check;
    bench.observe = arguments.observe;
    let begin = Instant::now();
    let report = match arguments.what {
        What::Single => {
            let (space, _) = many::space(&bench).await?;
            let plans = space.single();
            let counts: Vec<_> =
                space.counts().iter().map(|(kind, count)| format!("{count} {}", kind.word())).collect();
            println!(
                "{} requests in a run without faults ({}): {} plans",
                space.boundaries(),
                counts.join(", "),
                plans.len()
            );
            report_of(&many::run(&bench, plans, arguments.parallel).await, begin)
        }
        What::Pairs { plans, seed } => {
            let (space, _) = many::space(&bench).await?;
            println!("{plans} ordered pairs, seed {seed}");
            report_of(&many::run(&bench, space.pairs(plans, seed), arguments.parallel).await, begin)
        }
        What::Frozen { times } => {
            let plans: Result<Vec<Plan>, _> = FROZEN.iter().cycle().take(times).map(|plan| plan.parse()).collect();
            report_of(&many::run(&bench, plans?, arguments.parallel).await, begin)
        }
        What::Storm { generations, objects, operators, kill_every } => {
            let report = storm::run(&bench, storm::Size { generations, objects, operators, kill_every }).await?;
            println!("{}", serde_json::to_string_pretty(&report)?);
            let share = report::percent(report.unknown, report.plans);
            println!("{} kills, {} attempts, {share:.1} % of them unknown", report.kills.unwrap_or(0), report.plans);
            report
        }
        What::Endless { seconds } => return endless(&bench, Duration::from_secs(seconds)).await,
        What::Replay { plan, log } => {
            let outcome = one::run(&bench, plan).await;
            if log {
                println!("{}", outcome.log.join("\n"));
            }
            println!("{}", outcome.story());
            Report::of(&[&outcome], outcome.seconds)
        }
    };
    if let Some(file) = &arguments.json {
        report.write(file)?;
    }
    Ok(report.is_clean())
}

/// Whether the operator sends and logs little during a fault without end.
async fn endless(bench: &Bench, lasts: Duration) -> Result<bool, Failure> {
    let mut is_within = true;
    for fault in Endless::ALL {
        let figures = endless::run(bench, fault, lasts).await?;
        println!("{figures}{}", if figures.is_within() { "" } else { "\n  more than it may be" });
        is_within &= figures.is_within();
    }
    Ok(is_within)
}

/// Prints the tables.
fn report_of(outcomes: &[Outcome], begin: Instant) -> Report {
    let seconds = begin.elapsed().as_secs_f64();
    println!("{}\n\n{}", report::table(outcomes, true, seconds), report::table(outcomes, false, seconds));
    let report = Report::of(&outcomes.iter().collect::<Vec<_>>(), seconds);
    println!(
        "\n{} plans, {} calls, {} duplicates, {} overlaps, {} false statements, {} of {} generations unknown, {} answers late, {seconds:.0} s",
        report.plans,
        report.calls,
        report.duplicates,
        report.overlaps,
        report.false_statements,
        report.unknown,
        report.settled,
        report.late
    );
    for outcome in outcomes.iter().filter(|outcome| outcome.late > 0) {
        println!("late: {} {}", outcome.late, outcome.plan);
        if report.losing > 0 {
            println!("{}", outcome.story());
        }
    }
    if report.losing > 0 {
        println!("under {} faults so many answers were late that the operator must lose them", report.losing);
    }
    report
}
