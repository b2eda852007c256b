//! One figure of an attack with its bar, and the table of all. It measures nothing.

use serde_json::{Value, json};

/// B's object is called within this time, in seconds, where places are the matter.
pub const CALLED: f64 = 2.0;
/// Worst answer of `/livez`, in seconds.
pub const LIVEZ: f64 = 1.0;
/// Peak memory, in MiB.
pub const PEAK: f64 = 64.0;

#[derive(Clone, Debug)]
pub struct Figure {
    pub attack: &'static str,
    /// What was measured, and its unit.
    pub figure: &'static str,
    pub idle: Option<f64>,
    /// None if it never came: a call, an answer, or the process itself.
    pub under_attack: Option<f64>,
    /// The highest value that holds.
    pub bar: f64,
}

impl Figure {
    pub fn holds(&self) -> bool {
        self.under_attack.is_some_and(|value| value <= self.bar)
    }

    pub fn to_json(&self) -> Value {
        json!({
            "attack": self.attack,
            "figure": self.figure,
            "idle": self.idle,
            "underAttack": self.under_attack,
            "bar": self.bar,
            "holds": self.holds(),
        })
    }
}

/// A table in Markdown.
pub fn table(figures: &[Figure]) -> String {
    let head = "| attack | figure | idle | under attack | bar | holds |\n| --- | --- | ---: | ---: | ---: | --- |\n";
    let rows = figures.iter().map(|figure| {
        let idle = figure.idle.map_or_else(|| "-".to_owned(), shown);
        let under_attack = figure.under_attack.map_or_else(|| "never".to_owned(), shown);
        let holds = if figure.holds() { "yes" } else { "NO" };
        format!(
            "| {} | {} | {idle} | {under_attack} | {} | {holds} |\n",
            figure.attack,
            figure.figure,
            shown(figure.bar)
        )
    });
    head.to_owned() + &rows.collect::<String>()
}

fn shown(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_that_never_came_misses_its_bar() {
        let figure = |under_attack| Figure { attack: "a", figure: "f", idle: None, under_attack, bar: 2.0 };
        assert!(figure(Some(2.0)).holds());
        assert!(!figure(Some(2.1)).holds());
        assert!(!figure(None).holds());
        assert!(table(&[figure(None)]).ends_with("| a | f | - | never | 2 | NO |\n"));
    }
}
