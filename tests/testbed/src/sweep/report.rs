//! Reports a run: a table for people, JSON for machines. It judges nothing.

use std::{collections::BTreeMap, path::Path};

use serde::Serialize;

use super::one::Outcome;
use crate::{Failure, fault_proxy::Property};

/// Under each fault one answer in this many may have come too late for the operator, as happens on a machine that
/// pauses for seconds, and two of a handful. With more of them, the operator loses answers.
const LATE: usize = 20;

#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Plans, or generations of a storm.
    pub plans: usize,
    /// Calls beyond the first for one object and generation.
    pub duplicates: usize,
    /// False statements.
    pub false_statements: usize,
    /// Generations that ended as unknown.
    pub unknown: usize,
    /// Generations that had an answer, which may have come too late.
    pub late: usize,
    /// Faults under which there are too many of these.
    pub losing: usize,
    pub seconds: f64,
    pub struck: usize,
    pub calls: usize,
    pub settled: usize,
    /// Calls of two generations of one object under way at once.
    pub overlaps: usize,
    /// Keys or secrets seen where none belong.
    pub leaks: usize,
    /// Generations not settled in time, or differently than they must be.
    pub unsettled: usize,
    /// Plans with more status writes than there are reasons for.
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
    pub fn of(outcomes: &[&Outcome], seconds: f64) -> Self {
        let count = |property| outcomes.iter().map(|outcome| outcome.count(property)).sum();
        Self {
            plans: outcomes.len(),
            duplicates: count(Property::Duplicate),
            false_statements: count(Property::FalseStatement),
            unknown: outcomes.iter().map(|outcome| outcome.unknown()).sum(),
            late: late(outcomes),
            losing: by(outcomes, first_fault)
                .values()
                .filter(|group| late(group) > settled(group).div_ceil(LATE).max(2))
                .count(),
            seconds,
            struck: outcomes.iter().filter(|outcome| outcome.strikes == outcome.plan.steps.len()).count(),
            calls: outcomes.iter().map(|outcome| outcome.attempts).sum(),
            settled: settled(outcomes),
            overlaps: count(Property::Overlap),
            leaks: count(Property::Leak),
            unsettled: count(Property::Unsettled),
            too_many_writes: count(Property::TooManyWrites),
            deaf: count(Property::Deaf),
            broken: count(Property::Broken),
            kills: None,
        }
    }

    /// No property was violated, and no answers were lost except by chance.
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
            self.losing,
        ];
        broken.iter().all(|&count| count == 0)
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

fn late(outcomes: &[&Outcome]) -> usize {
    outcomes.iter().map(|outcome| outcome.late).sum()
}

fn settled(outcomes: &[&Outcome]) -> usize {
    outcomes.iter().map(|outcome| outcome.reasons.len()).sum()
}

fn by<'a>(outcomes: &[&'a Outcome], name: impl Fn(&Outcome) -> String) -> BTreeMap<String, Vec<&'a Outcome>> {
    let mut groups = BTreeMap::<String, Vec<&Outcome>>::new();
    for outcome in outcomes {
        groups.entry(name(outcome)).or_default().push(outcome);
    }
    groups
}

fn first_fault(outcome: &Outcome) -> String {
    outcome.plan.steps.first().map_or_else(|| "nothing".to_owned(), |step| step.fault.word().to_owned())
}

fn first_request(outcome: &Outcome) -> String {
    let first = outcome.plan.steps.first();
    first.map_or_else(|| "nothing".to_owned(), |step| format!("{}#{}", step.kind.word(), step.ordinal))
}

/// Percentage; 0 of none.
#[allow(clippy::cast_precision_loss, reason = "counts of a run are far below 2^52")]
pub fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

/// Rows by what the first fault of a plan was, and one for all.
pub fn table(outcomes: &[Outcome], by_fault: bool, seconds: f64) -> String {
    let all: Vec<_> = outcomes.iter().collect();
    let groups = by(&all, if by_fault { first_fault } else { first_request });
    let first = if by_fault { "fault" } else { "at request" };
    let mut lines = vec![
        format!(
            "| {first:<16} | plans  | struck | duplicates | false statements | leaks | unsettled | deaf | unknown % | slowest s |"
        ),
        "| ---------------- | -----: | -----: | ---------: | ---------------: | ----: | --------: | ---: | --------: | --------: |".to_owned(),
    ];
    let slowest = |group: &[&Outcome]| group.iter().map(|outcome| outcome.seconds).fold(0.0, f64::max);
    lines.extend(groups.iter().map(|(name, group)| Report::of(group, 0.0).row(name, slowest(group))));
    lines.push(Report::of(&all, seconds).row("all", slowest(&all)));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(plan: &str, plans: usize, late: usize) -> Vec<Outcome> {
        let reasons = vec!["Delivered".to_owned(); 3];
        let one = |number| Outcome {
            plan: plan.parse().unwrap(),
            violations: Vec::new(),
            reasons: reasons.clone(),
            attempts: 3,
            late: usize::from(number < late),
            strikes: 1,
            seconds: 1.0,
            trace: Vec::new(),
            log: Vec::new(),
        };
        (0..plans).map(one).collect()
    }

    fn is_clean(outcomes: &[Outcome]) -> bool {
        Report::of(&outcomes.iter().collect::<Vec<_>>(), 0.0).is_clean()
    }

    #[test]
    fn rare_late_answers_are_excused_and_many_under_one_fault_are_not() {
        assert!(is_clean(&outcomes("call#1:500", 3, 2)) && is_clean(&outcomes("call#1:500", 100, 15)));
        assert!(!is_clean(&outcomes("call#1:500", 3, 3)) && !is_clean(&outcomes("call#1:500", 100, 16)));
        let mut many = outcomes("put#1:504", 600, 0);
        many.extend(outcomes("call#1:500", 3, 3));
        assert!(!is_clean(&many), "those under other faults make up for nothing");
    }
}
