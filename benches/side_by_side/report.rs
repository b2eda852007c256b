//! Reports the measurements: tables for people, JSON for machines, `benches/RESULTS.md` to keep. It judges nothing.

use std::{fmt::Write, fs, path::Path};

use serde::{Deserialize, Serialize};

use crate::{Failure, bars::spread, machine::Machine, rounds::Summary};

#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    pub machine: Machine,
    pub day: String,
    pub cases: Vec<Summary>,
}

impl Report {
    pub fn new() -> Self {
        let now = k8s_openapi::jiff::Timestamp::now();
        Self { machine: Machine::here(), day: now.strftime("%Y-%m-%d").to_string(), cases: Vec::new() }
    }

    /// Adds results that an earlier run wrote as JSON. A case that is measured again later replaces the earlier one.
    pub fn take(&mut self, file: &Path) -> Result<(), Failure> {
        let earlier: Self = serde_json::from_slice(&fs::read(file)?)?;
        if earlier.machine.processor != self.machine.processor || earlier.machine.cores != self.machine.cores {
            return Err(format!("{} was measured on another machine", file.display()).into());
        }
        earlier.cases.into_iter().for_each(|case| self.add(case));
        Ok(())
    }

    /// Adds a case, in place of one of the same name.
    pub fn add(&mut self, case: Summary) {
        self.cases.retain(|other| other.name != case.name);
        self.cases.push(case);
    }

    /// Writes JSON.
    pub fn write_json(&self, file: &Path) -> Result<(), Failure> {
        Ok(fs::write(file, serde_json::to_string_pretty(self)? + "\n")?)
    }

    pub fn write_results(&self, directory: &Path) -> Result<(), Failure> {
        let mut text = format!(
            "# Side by side\n\nWritten by `cargo bench --bench side_by_side -- --results` on {}. What each figure means and \
             how it is measured is described in [README.md](README.md).\n\nMachine: {}.\n",
            self.day,
            self.machine.line()
        );
        for case in &self.cases {
            text += &table(case);
        }
        Ok(fs::write(directory.join("RESULTS.md"), text)?)
    }
}

/// A case as Markdown, which is readable on a terminal too.
pub fn table(case: &Summary) -> String {
    let mut text = format!("\n## {}\n\n{} {}\n\n", case.name, case.how, rounds(case));
    let candidates = case.candidates();
    let head = candidates.iter().map(|candidate| candidate.title().to_owned());
    text += &row("", std::iter::once("bar for the operator".to_owned()).chain(head));
    let _ = writeln!(text, "| --- | --- |{}", " ---: |".repeat(candidates.len()));
    for figure in case.figures() {
        let cells = candidates.iter().map(|candidate| case.spread(*candidate, &figure).map_or(String::new(), spread));
        text += &row(&figure, std::iter::once(bars(case, &figure)).chain(cells));
    }
    text
}

/// The bars for a figure, each with a word if it was missed.
fn bars(case: &Summary, figure: &str) -> String {
    let of_it = case.verdicts.iter().filter(|verdict| verdict.figure == figure);
    let bars = of_it.map(|verdict| match verdict.holds {
        Some(true) => verdict.asked.clone(),
        Some(false) => format!("{}: **missed**", verdict.asked),
        None => format!("{}: not judged", verdict.asked),
    });
    bars.collect::<Vec<_>>().join("; ")
}

fn rounds(case: &Summary) -> String {
    let mut text = match case.rounds.len() {
        1 => "One round; of a figure that it gave twice the mean, minimum and maximum in parentheses.".to_owned(),
        several => format!("{several} rounds; medians, minimum and maximum in parentheses."),
    };
    if case.thrown_away > 0 {
        let _ = write!(text, " {} more were discarded since other processes used the machine.", case.thrown_away);
    }
    if case.under_load > 0 {
        let _ = write!(
            text,
            " In {} of them others used the machine (--accept-load): their timings mean nothing.",
            case.under_load
        );
    }
    text
}

fn row(first: &str, cells: impl Iterator<Item = String>) -> String {
    format!("| {first} | {} |\n", cells.collect::<Vec<_>>().join(" | "))
}
