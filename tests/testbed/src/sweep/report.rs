//! Tells how a run went: a table for people, JSON for machines. It judges nothing.

use std::{collections::BTreeMap, path::Path};

use serde::Serialize;

use super::{bench::Failure, one::Outcome};
use crate::fault_proxy::Law;

/// One generation in so many may end as unknown because its answer may have come too late, which a machine that stands still
/// for seconds brings about. More of them, and the operator loses answers.
const LATE: usize = 20;

/// Figures of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Plans, or generations of a storm.
    pub plans: usize,
    /// Calls beyond the first for one object and generation.
    pub duplicates: usize,
    /// Statements that were not so.
    pub false_statements: usize,
    /// Generations that ended as unknown.
    pub unknown: usize,
    /// Of these, generations whose answer was there and may have come too late.
    pub late: usize,
    /// How long it took.
    pub seconds: f64,
    /// Plans in which every fault struck.
    pub struck: usize,
    /// Calls that reached the cloud.
    pub calls: usize,
    /// Generations that were settled.
    pub settled: usize,
    /// Calls of two generations of one object under way at once.
    pub overlaps: usize,
    /// Keys or secrets seen where none belong.
    pub leaks: usize,
    /// Generations not settled in time, or differently than they must be.
    pub unsettled: usize,
    /// Plans with more status writes than there is reason for.
    pub too_many_writes: usize,
    /// Operators dead, deaf, or ended without reason.
    pub deaf: usize,
    /// Plans that could not be carried out.
    pub broken: usize,
    /// Kills by a storm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kills: Option<usize>,
}

impl Report {
    /// Of these plans.
    pub fn of(outcomes: &[&Outcome], seconds: f64) -> Self {
        let count = |law| outcomes.iter().map(|outcome| outcome.count(law)).sum();
        Self {
            plans: outcomes.len(),
            duplicates: count(Law::Duplicate),
            false_statements: count(Law::FalseStatement),
            unknown: outcomes.iter().map(|outcome| outcome.unknown()).sum(),
            late: outcomes.iter().map(|outcome| outcome.late).sum(),
            seconds,
            struck: outcomes.iter().filter(|outcome| outcome.strikes == outcome.plan.steps.len()).count(),
            calls: outcomes.iter().map(|outcome| outcome.attempts).sum(),
            settled: outcomes.iter().map(|outcome| outcome.reasons.len()).sum(),
            overlaps: count(Law::Overlap),
            leaks: count(Law::Leak),
            unsettled: count(Law::Unsettled),
            too_many_writes: count(Law::TooManyWrites),
            deaf: count(Law::Deaf),
            broken: count(Law::Broken),
            kills: None,
        }
    }

    /// No law was broken, and no answers were lost but by chance.
    pub fn is_clean(&self) -> bool {
        let broken = [
            self.duplicates,
            self.false_statements,
            self.overlaps,
            self.leaks,
            self.unsettled,
            self.too_many_writes,
            self.deaf,
            self.broken,
        ];
        broken.iter().all(|&count| count == 0) && self.late <= self.settled.div_ceil(LATE)
    }

    /// As JSON.
    pub fn write(&self, file: &Path) -> Result<(), Failure> {
        Ok(std::fs::write(file, serde_json::to_string_pretty(self)? + "\n")?)
    }

    fn row(&self, name: &str, slowest: f64) -> String {
        let share = percent(self.unknown, self.settled);
        format!(
            "| {name:<16} | {:>6} | {:>6} | {:>10} | {:>16} | {:>5} | {:>9} | {:>4} | {share:>9.1} | {slowest:>9.1} |",
            self.plans,
            self.struck,
            self.duplicates,
            self.false_statements,
            self.leaks,
            self.unsettled + self.too_many_writes + self.broken,
            self.deaf
        )
    }
}

/// How many of a hundred; 0 of none.
#[allow(clippy::cast_precision_loss, reason = "counts of a run are far below 2^52")]
pub fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

/// Rows by what the first fault of a plan was, and one for all.
pub fn table(outcomes: &[Outcome], by_fault: bool, seconds: f64) -> String {
    let mut groups = BTreeMap::<String, Vec<&Outcome>>::new();
    for outcome in outcomes {
        let name = outcome.plan.steps.first().map_or_else(
            || "nothing".to_owned(),
            |step| {
                if by_fault { step.fault.word().to_owned() } else { format!("{}#{}", step.kind.word(), step.ordinal) }
            },
        );
        groups.entry(name).or_default().push(outcome);
    }
    let first = if by_fault { "fault" } else { "at request" };
    let mut lines = vec![
        format!(
            "| {first:<16} | plans  | struck | duplicates | false statements | leaks | unsettled | deaf | unknown % | slowest s |"
        ),
        "| ---------------- | -----: | -----: | ---------: | ---------------: | ----: | --------: | ---: | --------: | --------: |".to_owned(),
    ];
    let slowest = |group: &[&Outcome]| group.iter().map(|outcome| outcome.seconds).fold(0.0, f64::max);
    lines.extend(groups.iter().map(|(name, group)| Report::of(group, 0.0).row(name, slowest(group))));
    let all: Vec<_> = outcomes.iter().collect();
    lines.push(Report::of(&all, seconds).row("all", slowest(&all)));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_answer_now_and_then_is_no_fault_and_many_are() {
        let report = |late, settled| Report { late, settled, ..Report::default() };
        assert!(report(1, 4).is_clean() && report(100, 2_000).is_clean());
        assert!(!report(2, 4).is_clean() && !report(101, 2_000).is_clean());
        assert!(!Report { duplicates: 1, ..report(0, 2_000) }.is_clean());
    }
}
