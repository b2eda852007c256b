//! The one error type of the testbed. Its errors are read by people and never told apart: each is a sentence that says what
//! was tried and what went wrong.

use std::{error::Error, fmt::Display};

/// Why something of the testbed is not available.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Says what failed.
pub(crate) trait During<T> {
    fn during(self, what: impl Display) -> Result<T, Failure>;
}

impl<T, E: Display> During<T> for Result<T, E> {
    fn during(self, what: impl Display) -> Result<T, Failure> {
        self.map_err(|error| format!("{what}: {error}").into())
    }
}

/// The last lines of a text.
pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
