//! The order of the steps: limit, A, B, B, A, limit, repeated, each step on a stage of its own. A round in which other
//! processes used the machine is discarded, and the report says so. Ratios are taken inside a round only.

use serde::{Deserialize, Serialize};

use crate::{
    Failure,
    bars::{Bar, Verdict, number},
    candidate::Candidate,
    sample::{SHARE, Sample, Spread, mean},
    scenarios::{Case, step},
    setting::Setting,
    window::FOREIGN_LIMIT,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    pub name: String,
    pub how: String,
    pub rounds: Vec<Vec<Sample>>,
    pub thrown_away: usize,
    /// Rounds that count although other processes used the machine.
    pub under_load: usize,
    /// Figure whose ratio to the limit is taken inside each round.
    pub ratio: Option<String>,
    pub verdicts: Vec<Verdict>,
}

/// Runs the rounds of a case, and reports the results so far after each round that counts.
pub async fn run(
    case: &Case,
    setting: &Setting,
    mut after_each: impl FnMut(&Summary) -> Result<(), Failure>,
) -> Result<Summary, Failure> {
    let wanted = setting.arguments.rounds.unwrap_or(case.rounds);
    let order = order(case);
    let mut summary = Summary {
        name: case.name.clone(),
        how: case.how.clone(),
        rounds: Vec::new(),
        thrown_away: 0,
        under_load: 0,
        ratio: case.ratio.map(str::to_owned),
        verdicts: Vec::new(),
    };
    println!("\n==> {}: {}", case.name, case.how);
    while summary.rounds.len() < wanted {
        let number_of_it = summary.rounds.len() + summary.thrown_away + 1;
        let samples = round(case, &order, setting, number_of_it).await?;
        let foreign = samples.iter().map(|sample| sample.foreign).fold(0.0, f64::max);
        let loaded = foreign > FOREIGN_LIMIT;
        if loaded && !setting.arguments.accept_load {
            summary.thrown_away += 1;
            println!(
                "    round {number_of_it} is discarded: other processes used {} % of the machine",
                number(foreign * 100.0)
            );
            // Rounds take about equally long, so this also bounds the time.
            if summary.thrown_away > 2 * wanted {
                return Err(
                    "other processes use the machine all the time; --accept-load keeps such rounds, marked".into()
                );
            }
            continue;
        }
        if loaded {
            summary.under_load += 1;
            println!(
                "    round {number_of_it} is kept under load: other processes used {} % of the machine",
                number(foreign * 100.0)
            );
        }
        summary.rounds.push(samples);
        summary.verdicts = case.bars.iter().map(|bar: &Bar| bar.judge(&summary)).collect();
        after_each(&summary)?;
    }
    Ok(summary)
}

fn order(case: &Case) -> Vec<Candidate> {
    let mut order = case.candidates.clone();
    if case.mirrored {
        order.extend(case.candidates.iter().rev());
    }
    order
}

async fn round(
    case: &Case,
    order: &[Candidate],
    setting: &Setting,
    number_of_it: usize,
) -> Result<Vec<Sample>, Failure> {
    let mut samples = Vec::new();
    for &candidate in order {
        let sample = step(case, setting, candidate).await.map_err(|error| format!("{}: {error}", candidate.title()))?;
        let figures: Vec<_> = sample.figures.iter().map(|(name, value)| format!("{name} {}", number(*value))).collect();
        println!("    round {number_of_it}, {}: {}", candidate.title(), figures.join("; "));
        samples.push(sample);
    }
    Ok(samples)
}

impl Summary {
    /// The measured candidates, in the order of the tables.
    pub fn candidates(&self) -> Vec<Candidate> {
        let mut all: Vec<_> = self.rounds.iter().flatten().map(|sample| sample.candidate).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    pub fn figures(&self) -> Vec<String> {
        let mut all: Vec<_> = self.rounds.iter().flatten().flat_map(|sample| sample.figures.keys().cloned()).collect();
        if self.ratio.is_some() {
            all.push(SHARE.to_owned());
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    /// A figure of a candidate over all rounds; for the share, one value for each round.
    pub fn spread(&self, candidate: Candidate, figure: &str) -> Option<Spread> {
        if figure == SHARE {
            return Spread::of(
                &self.rounds.iter().filter_map(|round| self.share(round, candidate)).collect::<Vec<_>>(),
            );
        }
        Spread::of(&self.rounds.iter().flat_map(|round| values(round, candidate, figure)).collect::<Vec<_>>())
    }

    fn share(&self, round: &[Sample], candidate: Candidate) -> Option<f64> {
        let figure = self.ratio.as_deref()?;
        let (own, limit) = (values(round, candidate, figure), values(round, Candidate::Limit, figure));
        (!own.is_empty() && !limit.is_empty()).then(|| mean(&own) / mean(&limit))
    }
}

fn values(round: &[Sample], candidate: Candidate, figure: &str) -> Vec<f64> {
    let of = round.iter().filter(|sample| sample.candidate == candidate);
    of.filter_map(|sample| sample.figures.get(figure).copied()).collect()
}
