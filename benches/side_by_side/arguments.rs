//! The command line of the runner. It starts nothing.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::candidate::Candidate;

/// Measures the operator beside its peers and beside the API server's own limit.
#[derive(Clone, Debug, Parser)]
#[command(name = "side_by_side", max_term_width = 120)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own on the command line")]
pub struct Arguments {
    /// What to measure; everything by default.
    #[arg(value_enum)]
    pub scenarios: Vec<Scenario>,
    /// This number of objects instead of the scenario's own numbers.
    #[arg(long, value_name = "NUMBER")]
    pub objects: Option<usize>,
    /// This number of rounds instead of the scenario's own number.
    #[arg(long, value_name = "NUMBER")]
    pub rounds: Option<usize>,
    /// This number of minutes of idle instead of ten.
    #[arg(long, value_name = "NUMBER")]
    pub minutes: Option<f64>,
    /// This number of the operator's calls in flight in drain, instead of 16.
    #[arg(long, value_name = "NUMBER", default_value_t = 16)]
    pub in_flight: u16,
    /// Only these candidates, comma-separated, in addition to the limit.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub candidates: Vec<Candidate>,
    /// Keep rounds in which other processes used the machine, and mark them. Their timings mean nothing.
    #[arg(long)]
    pub accept_load: bool,
    /// Write all measurements as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write benches/RESULTS.md.
    #[arg(long)]
    pub results: bool,
    /// Take tables from these files of --json as well, so that runs of several days make one report.
    #[arg(long, value_name = "FILE")]
    pub with: Vec<PathBuf>,
    /// Measure nothing; only report what --with brings.
    #[arg(long, requires = "with")]
    pub report_only: bool,
    /// The small version for CI: 300 objects, the operator only, no timings; a value above its bound is an error.
    #[arg(long)]
    pub small: bool,
    /// Another binary of the operator, for example the static one of the image.
    #[arg(long, value_name = "FILE")]
    pub operator: Option<PathBuf>,
    /// The argument that cargo passes to every benchmark.
    #[arg(long, hide = true)]
    pub bench: bool,
}

/// The scenarios.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Scenario {
    /// Waiting objects: how many a second, against the limit.
    Drain,
    /// CPU of the controller for an object that is created while it runs.
    Cpu,
    /// Memory beside finished objects.
    Memory,
    /// A start beside finished objects.
    Restart,
    /// One object at a time, against the bare chain of the same requests.
    Latency,
    /// CPU and requests while nothing happens.
    Idle,
    /// A cloud that takes five calls a second.
    Pace,
    /// The binary, and how soon it is ready.
    Size,
}

impl Arguments {
    /// The requested scenarios.
    pub fn chosen(&self) -> Vec<Scenario> {
        if self.scenarios.is_empty() { Scenario::value_variants().to_vec() } else { self.scenarios.clone() }
    }

    /// The requested number of objects, or else the scenario's own numbers.
    pub fn sizes(&self, own: &[usize]) -> Vec<usize> {
        self.objects.map_or_else(|| own.to_vec(), |objects| vec![objects])
    }
}
