//! A fault proxy's faults, and their times: *at the k-th request of this kind, this fault*. A plan has a text form that
//! names it in tables and repeats it: `put#2:kill-after`, two in a row `put#2:kill-after+get#1:hang` (the second counts
//! from when the first has struck), with two operators `2*put#2:stop-after`. It does nothing itself.

use std::{fmt, str::FromStr};

pub use super::fault::Fault;

super::fault::words! {
    /// The kind of a request.
    Kind {
        List = "list",
        Watch = "watch",
        /// A watch that begins with all objects: a streamed list.
        Stream = "stream",
        Get = "get",
        Secret = "secret",
        Put = "put",
        Event = "event",
        Version = "version",
        Other = "other",
        Connect = "connect",
        /// A precheck of the cluster before a call.
        Look = "look",
        Call = "call",
    }
}

/// One fault at one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Step {
    pub kind: Kind,
    /// Which one of its kind, from 1, counted from the start or from when the step before has struck.
    pub ordinal: u32,
    pub fault: Fault,
}

/// Faults in a row, and the number of operators. Only the first operator meets them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    /// How many operators run, without election.
    pub operators: usize,
    /// In this order.
    pub steps: Vec<Step>,
}

impl Plan {
    /// No fault, one operator.
    pub const fn nothing() -> Self {
        Self { operators: 1, steps: Vec::new() }
    }

    /// One fault; with another operator where it needs one.
    pub fn single(step: Step) -> Self {
        Self::of(vec![step], 1)
    }

    /// These faults, with at least this number of operators.
    pub fn of(steps: Vec<Step>, operators: usize) -> Self {
        let another = steps.iter().any(|step| step.fault.needs_another_operator());
        Self { operators: operators.max(if another { 2 } else { 1 }), steps }
    }

    /// Lists come by pages: its faults meet a list or the watch after it, and no streamed list.
    pub fn is_paged(&self) -> bool {
        self.has(|step| matches!(step.kind, Kind::List | Kind::Watch)) && !self.has(|step| step.kind == Kind::Stream)
    }

    /// Whether this is true for any of its faults.
    pub fn has(&self, is: impl Fn(&Step) -> bool) -> bool {
        self.steps.iter().any(is)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(text, "{}#{}:{}", self.kind.word(), self.ordinal, self.fault.word())
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.operators > 1 {
            write!(text, "{}*", self.operators)?;
        }
        let steps: Vec<_> = self.steps.iter().map(ToString::to_string).collect();
        text.write_str(if steps.is_empty() { "nothing" } else { "" })?;
        text.write_str(&steps.join("+"))
    }
}

/// A text that is no plan.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is not a plan; expected something like put#2:kill-after, two in a row with +, and 2* before it for two operators"
)]
pub struct NotAPlan(String);

impl FromStr for Step {
    type Err = NotAPlan;

    fn from_str(text: &str) -> Result<Self, NotAPlan> {
        let parsed = (|| {
            let (place, fault) = text.split_once(':')?;
            let (kind, ordinal) = place.split_once('#')?;
            Some(Self {
                kind: Kind::ALL.iter().copied().find(|known| known.word() == kind)?,
                ordinal: ordinal.parse().ok().filter(|&ordinal| ordinal > 0)?,
                fault: Fault::ALL.iter().copied().find(|known| known.word() == fault)?,
            })
        })();
        parsed.filter(|step| step.kind.faults().contains(&step.fault)).ok_or_else(|| NotAPlan(text.to_owned()))
    }
}

impl FromStr for Plan {
    type Err = NotAPlan;

    fn from_str(text: &str) -> Result<Self, NotAPlan> {
        let (operators, steps) = match text.split_once('*') {
            Some((operators, steps)) => (operators.parse().map_err(|_| NotAPlan(text.to_owned()))?, steps),
            None => (1, text),
        };
        let steps = if steps == "nothing" {
            Vec::new()
        } else {
            steps.split('+').map(str::parse).collect::<Result<Vec<Step>, _>>()?
        };
        Ok(Self::of(steps, operators))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_parses_back_as_written() {
        for &kind in Kind::ALL {
            for fault in kind.faults() {
                let plan = Plan::single(Step { kind, ordinal: 3, fault });
                assert_eq!(plan.to_string().parse::<Plan>().unwrap(), plan);
            }
        }
        let pair = "3*put#2:kill-after+get#1:hang";
        assert_eq!(pair.parse::<Plan>().unwrap().to_string(), pair);
        assert_eq!("nothing".parse::<Plan>().unwrap(), Plan::nothing());
    }

    #[test]
    fn lists_come_by_pages_where_a_fault_needs_them_and_none_meets_a_stream() {
        for (plan, is_paged) in [
            ("nothing", false),
            ("put#1:hang", false),
            ("put#1:hang+list#1:500", true),
            ("watch#1:410", true),
            ("stream#1:torn+watch#1:410", false),
        ] {
            assert_eq!(plan.parse::<Plan>().unwrap().is_paged(), is_paged, "{plan}");
        }
    }

    #[test]
    fn an_invalid_plan_is_an_error() {
        for text in ["", "put", "put#0:hang", "put#1", "put#1:melt", "put#1:swallow-1", "call#1:409", "x*put#1:hang"] {
            assert!(text.parse::<Plan>().is_err(), "{text}");
        }
    }
}
