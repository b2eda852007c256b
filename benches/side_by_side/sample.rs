//! Results of one step: figures by name, and how much other processes used the machine. It must not judge.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{candidate::Candidate, process::as_float, window};

/// Figure of throughput whose share of the limit is taken inside each round.
pub const PER_SECOND: &str = "objects per second";
pub const SHARE: &str = "share of the limit";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sample {
    pub candidate: Candidate,
    /// Figures; the unit is in the name.
    pub figures: BTreeMap<String, f64>,
    /// Share of the machine's CPU that other processes used during the step.
    pub foreign: f64,
}

impl Sample {
    /// An empty sample.
    pub fn new(candidate: Candidate) -> Self {
        Self { candidate, figures: BTreeMap::new(), foreign: 0.0 }
    }

    #[must_use]
    pub fn figure(mut self, name: &str, value: f64) -> Self {
        self.figures.insert(name.to_owned(), value);
        self
    }

    /// Adds the CPU share of other processes; of several windows, the worst.
    #[must_use]
    pub fn measured(mut self, seen: window::Measured) -> Self {
        self.foreign = self.foreign.max(seen.foreign);
        self
    }
}

/// Smallest, middle and largest of some values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    /// Of these values; none if there are none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        Some(Self { median: quantile(&values, 0.5), least, most })
    }
}

/// Mean; 0 if there are no values.
pub fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / as_float(values.len() as u64) }
}

/// The value below which this share of the sorted values lies, interpolated linearly between two neighbours.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index into few values")]
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = share * as_float(last as u64);
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * place.fract()
}
