//! The bars for the operator, and whether it meets them. A missed bar is shown with the measured value; nothing here
//! lowers a bar.

use serde::{Deserialize, Serialize};

use crate::{
    candidate::Candidate,
    rounds::Summary,
    sample::{SHARE, Spread},
};

/// One bar for a figure of the operator.
#[derive(Clone, Debug)]
pub enum Bar {
    /// The median is at most this.
    AtMost(&'static str, f64),
    /// The median is at least this.
    AtLeast(&'static str, f64),
    Exactly(&'static str, f64),
    /// The median of the ratio to the limit is at least this.
    ShareAtLeast(f64),
    /// The median of the ratio to the limit is at most this.
    ShareAtMost(f64),
    /// The median is above that of every peer.
    AboveEveryPeer(&'static str),
    /// The median is below that of every peer.
    BelowEveryPeer(&'static str),
}

/// Whether the operator meets a bar.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Verdict {
    pub figure: String,
    pub asked: String,
    /// Nothing if there were no data to judge by.
    pub holds: Option<bool>,
}

impl Bar {
    pub fn judge(&self, summary: &Summary) -> Verdict {
        let (figure, asked) = match self {
            Self::AtMost(figure, most) => (*figure, format!("at most {}", number(*most))),
            Self::AtLeast(figure, least) => (*figure, format!("at least {}", number(*least))),
            Self::Exactly(figure, value) => (*figure, format!("exactly {}", number(*value))),
            Self::ShareAtLeast(least) => (SHARE, format!("at least {}", number(*least))),
            Self::ShareAtMost(most) => (SHARE, format!("at most {}", number(*most))),
            Self::AboveEveryPeer(figure) => (*figure, "above every peer".to_owned()),
            Self::BelowEveryPeer(figure) => (*figure, "below every peer".to_owned()),
        };
        let holds = summary.spread(Candidate::Operator, figure).and_then(|own| self.holds(own, figure, summary));
        Verdict { figure: figure.to_owned(), asked, holds }
    }

    fn holds(&self, own: Spread, figure: &str, summary: &Summary) -> Option<bool> {
        let same = |one: f64, other: f64| (one - other).abs() < 1e-9;
        let peers = summary.candidates().into_iter().filter(|candidate| candidate.is_peer());
        let medians = peers.filter_map(|peer| Some(summary.spread(peer, figure)?.median));
        match self {
            Self::AtMost(_, most) | Self::ShareAtMost(most) => Some(own.median <= *most),
            Self::AtLeast(_, least) | Self::ShareAtLeast(least) => Some(own.median >= *least),
            Self::Exactly(_, value) => Some(same(own.least, *value) && same(own.most, *value)),
            Self::AboveEveryPeer(_) => Some(own.median > medians.reduce(f64::max)?),
            Self::BelowEveryPeer(_) => Some(own.median < medians.reduce(f64::min)?),
        }
    }
}

pub fn number(value: f64) -> String {
    let size = value.abs();
    if size < 1e-9 {
        "0".to_owned()
    } else if size >= 1000.0 {
        grouped(value)
    } else if size >= 100.0 || (value - value.round()).abs() < 1e-9 {
        format!("{value:.0}")
    } else if size >= 10.0 {
        format!("{value:.1}")
    } else if size >= 0.1 {
        format!("{value:.2}")
    } else {
        format!("{value:.4}")
    }
}

/// The median, followed by minimum and maximum in parentheses if there is more than one value.
pub fn spread(spread: Spread) -> String {
    let (median, least, most) = (number(spread.median), number(spread.least), number(spread.most));
    if least == most { median } else { format!("{median} ({least}-{most})") }
}

fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 { format!("-{text}") } else { text }
}
