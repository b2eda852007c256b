//! The scenarios: what each of them does with a candidate, and the operator's bars in it.

mod cpu;
mod drain;
mod idle;
mod latency;
pub mod memory;
mod pace;
mod restart;
mod size;

use std::time::Duration;

use crate::{
    Failure,
    arguments::{Arguments, Scenario},
    bars::Bar,
    candidate::{Candidate, PEERS},
    sample::Sample,
    setting::Setting,
};

/// One measurement: a scenario with its numbers.
#[derive(Clone, Debug)]
pub struct Case {
    pub scenario: Scenario,
    pub name: String,
    pub how: String,
    pub objects: usize,
    pub watched: Duration,
    pub candidates: Vec<Candidate>,
    /// Measured in the order A, B, B, A; otherwise once a round.
    pub mirrored: bool,
    pub rounds: usize,
    /// Figure whose ratio to the limit is taken inside each round.
    pub ratio: Option<&'static str>,
    pub bars: Vec<Bar>,
}

impl Case {
    fn new(scenario: Scenario, name: impl Into<String>, how: impl Into<String>) -> Self {
        Self {
            scenario,
            name: name.into(),
            how: how.into(),
            objects: 0,
            watched: Duration::ZERO,
            candidates: Vec::new(),
            mirrored: false,
            rounds: 1,
            ratio: None,
            bars: Vec::new(),
        }
    }

    /// Measured with the limit, the operator and all peers.
    fn beside_all(mut self, with_limit: bool) -> Self {
        self.candidates = with_limit.then_some(Candidate::Limit).into_iter().collect();
        self.candidates.push(Candidate::Operator);
        self.candidates.extend(PEERS);
        self
    }
}

pub fn cases(arguments: &Arguments) -> Vec<Case> {
    let of = |scenario| match scenario {
        Scenario::Drain => drain::cases(arguments),
        Scenario::Cpu => cpu::cases(arguments),
        Scenario::Memory => memory::cases(arguments),
        Scenario::Restart => restart::cases(arguments),
        Scenario::Latency => latency::cases(arguments),
        Scenario::Idle => idle::cases(arguments),
        Scenario::Pace => pace::cases(arguments),
        Scenario::Size => size::cases(arguments),
    };
    let mut cases: Vec<_> = arguments.chosen().into_iter().flat_map(of).collect();
    if !arguments.candidates.is_empty() {
        let stays = |candidate: &Candidate| *candidate == Candidate::Limit || arguments.candidates.contains(candidate);
        for case in &mut cases {
            case.candidates.retain(stays);
        }
    }
    cases
}

/// Measures one candidate once.
pub async fn step(case: &Case, setting: &Setting, candidate: Candidate) -> Result<Sample, Failure> {
    match case.scenario {
        Scenario::Drain => drain::step(case, setting, candidate).await,
        Scenario::Cpu => cpu::step(case, setting, candidate).await,
        Scenario::Memory => memory::step(case, setting, candidate).await,
        Scenario::Restart => restart::step(case, setting, candidate).await,
        Scenario::Latency => latency::step(case, setting, candidate).await,
        Scenario::Idle => idle::step(case, setting, candidate).await,
        Scenario::Pace => pace::step(case, setting, candidate).await,
        Scenario::Size => size::step(case, setting, candidate).await,
    }
}
