//! Attacks of a tenant on another one that shares the operator, and on the operator's admin port:
//! `cargo run --release -p testbed --bin hostile -- --small`.

use std::{path::PathBuf, process::ExitCode, time::Instant};

use clap::{
    Parser,
    builder::{PossibleValue, PossibleValuesParser},
};
use testbed::{
    Failure,
    hostile::{
        attacks::{ATTACKS, Attack},
        figure::{self, Figure},
        stage::Stage,
    },
};

/// Measures what attacks do to a healthy tenant: when its objects are called, how soon /livez answers, and memory.
#[derive(Debug, Parser)]
#[command(name = "hostile", version)]
struct Arguments {
    /// The attacks; all of them by default.
    #[arg(value_name = "ATTACK", value_parser = names())]
    attacks: Vec<String>,
    /// Reduced sizes: all attacks in less than 4 minutes.
    #[arg(long)]
    small: bool,
    /// Also writes the figures as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// An operator that is built already, instead of the workspace's.
    #[arg(long, value_name = "FILE")]
    operator: Option<PathBuf>,
}

fn names() -> PossibleValuesParser {
    let help = |attack: &Attack| format!("{} ({})", attack.does, attack.bar);
    PossibleValuesParser::new(ATTACKS.iter().map(|attack| PossibleValue::new(attack.name).help(help(attack))))
}

fn main() -> ExitCode {
    let run = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::from);
    match run.and_then(|runtime| runtime.block_on(hostile(Arguments::parse()))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("hostile: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether all bars held.
async fn hostile(arguments: Arguments) -> Result<bool, Failure> {
    let begin = Instant::now();
    let stage = Stage::start(arguments.operator, arguments.small).await?;
    println!(
        "{}",
        match &stage.limit {
            Some(_) => "the operator runs under the chart's memory limit of 128 MiB (cgroup)",
            None => "no memory limit can be imposed here (that takes root and cgroup v2): memory is only measured",
        }
    );
    let is_chosen =
        |attack: &&Attack| arguments.attacks.is_empty() || arguments.attacks.iter().any(|name| name == attack.name);
    let (mut figures, mut broken) = (Vec::new(), Vec::new());
    for attack in ATTACKS.iter().filter(is_chosen) {
        let from = Instant::now();
        match (attack.run)(&stage).await {
            Ok(measured) => figures.extend(measured),
            Err(error) => broken.push(format!("{}: {error}", attack.name)),
        }
        eprintln!("{}: {:.0} s", attack.name, from.elapsed().as_secs_f64());
    }
    println!("\n{}\n{:.0} s", figure::table(&figures), begin.elapsed().as_secs_f64());
    if let Some(file) = &arguments.json {
        let figures: Vec<_> = figures.iter().map(Figure::to_json).collect();
        std::fs::write(file, serde_json::to_string_pretty(&figures)?)?;
    }
    if broken.is_empty() {
        return Ok(figures.iter().all(Figure::holds));
    }
    Err(format!("could not be carried out:\n{}", broken.join("\n")).into())
}
