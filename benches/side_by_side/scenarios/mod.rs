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

/// The requested cases: of each scenario, one for each number of objects.
pub fn cases(arguments: &Arguments) -> Vec<Case> {
    let mut cases = Vec::new();
    for scenario in arguments.chosen() {
        let (sizes, case): (&[usize], fn(usize) -> Case) = match scenario {
            Scenario::Drain => (&[1_000, 10_000], drain::case),
            Scenario::Cpu => (&[2_000], cpu::case),
            Scenario::Memory => (&[0, 10_000, 100_000], memory::case),
            Scenario::Restart => (&[100_000], restart::case),
            Scenario::Latency => (&[200], latency::case),
            Scenario::Idle => (&[10_000], idle::case),
            Scenario::Pace => (&[500], pace::case),
            Scenario::Size => (&[1], size::case),
        };
        cases.extend(arguments.sizes(sizes).into_iter().map(case));
    }
    for case in &mut cases {
        if let Some(minutes) = arguments.minutes {
            case.watched = Duration::from_secs_f64(60.0 * minutes);
        }
        let is_asked_for =
            |candidate: &Candidate| *candidate == Candidate::Limit || arguments.candidates.contains(candidate);
        case.candidates.retain(|candidate| arguments.candidates.is_empty() || is_asked_for(candidate));
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
