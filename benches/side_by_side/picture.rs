//! The curves as one SVG: a panel for each curve of each case, a line for each candidate. It only draws.

use std::fmt::Write;

use crate::{bars::number, candidate::Candidate, process::as_float, rounds::Summary, sample::Curve};

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 34.0;
const BELOW: f64 = 34.0;
const LEGEND: f64 = 44.0;
/// Names in one row of the legend; the longest has 28 letters.
const IN_A_ROW: usize = 3;

/// A colour for each candidate, distinguishable with colour vision deficiency too.
fn colour(candidate: Candidate) -> &'static str {
    match candidate {
        Candidate::Limit => "#000000",
        Candidate::Operator => "#d55e00",
        Candidate::Go => "#56b4e9",
        Candidate::GoWorkers => "#0072b2",
        Candidate::Kopf => "#009e73",
        Candidate::Textbook => "#cc79a7",
    }
}

/// A panel: its title and its lines.
struct Panel<'a> {
    title: String,
    lines: Vec<(Candidate, &'a Curve)>,
}

/// Draws all curves; of each candidate the one of the last round that counts.
pub fn draw(cases: &[Summary]) -> String {
    let panels: Vec<_> = cases.iter().flat_map(panels).collect();
    let candidates = {
        let mut all: Vec<_> = panels.iter().flat_map(|panel| panel.lines.iter().map(|(who, _)| *who)).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    let rows = panels.len().div_ceil(2).max(1);
    let height = LEGEND + as_float(rows as u64) * (HEIGHT + TOP + BELOW);
    let width = 2.0 * (WIDTH + LEFT + 20.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    for (index, candidate) in candidates.into_iter().enumerate() {
        let (x, colour) = (LEFT + 300.0 * as_float((index % IN_A_ROW) as u64), colour(candidate));
        let y = 8.0 + 18.0 * as_float((index / IN_A_ROW) as u64);
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{y}\" width=\"14\" height=\"4\" fill=\"{colour}\"/><text x=\"{}\" y=\"{}\">{}</text>",
            x + 20.0,
            y + 6.0,
            candidate.title()
        );
    }
    for (index, panel) in panels.iter().enumerate() {
        let (column, line) = (index % 2, index / 2);
        let x = LEFT + as_float(column as u64) * (WIDTH + LEFT + 20.0);
        let y = LEGEND + TOP + as_float(line as u64) * (HEIGHT + TOP + BELOW);
        svg += &draw_panel(panel, x, y);
    }
    svg + "</svg>\n"
}

fn panels(case: &Summary) -> Vec<Panel<'_>> {
    let Some(last) = case.rounds.last() else { return Vec::new() };
    let mut names: Vec<_> = last.iter().flat_map(|sample| sample.curves.iter().map(|curve| &curve.name)).collect();
    names.sort_unstable();
    names.dedup();
    names
        .into_iter()
        .map(|name| {
            let line = |candidate: Candidate| {
                let own = last.iter().find(|sample| sample.candidate == candidate)?;
                Some((candidate, own.curves.iter().find(|curve| curve.name == *name)?))
            };
            let lines = case.candidates().into_iter().filter_map(line).collect();
            Panel { title: format!("{}: {name}", case.name), lines }
        })
        .collect()
}

fn draw_panel(panel: &Panel<'_>, x: f64, y: f64) -> String {
    let points = || panel.lines.iter().flat_map(|(_, curve)| curve.points.iter());
    let most = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(0.0, f64::max).max(1e-9);
    let (right, high) = (most(|point| point.0), most(|point| point.1));
    let mut svg = format!(
        "<text x=\"{x}\" y=\"{}\" font-weight=\"bold\">{}</text>\n\
         <path d=\"M{x} {y}V{}H{}\" fill=\"none\" stroke=\"#888888\"/>\n\
         <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text><text x=\"{}\" y=\"{}\" text-anchor=\"end\">0</text>\n\
         <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{} s</text>\n",
        y - 8.0,
        panel.title,
        y + HEIGHT,
        x + WIDTH,
        x - 4.0,
        y + 8.0,
        number(high),
        x - 4.0,
        y + HEIGHT,
        x + WIDTH,
        y + HEIGHT + 14.0,
        number(right),
    );
    for (candidate, curve) in &panel.lines {
        let place = |(seconds, value): &(f64, f64)| {
            format!("{:.1},{:.1}", x + seconds / right * WIDTH, y + HEIGHT - value / high * HEIGHT)
        };
        let points: Vec<_> = curve.points.iter().map(place).collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.5\"/>",
            points.join(" "),
            colour(*candidate)
        );
    }
    svg
}
