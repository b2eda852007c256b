//! Sets the log up, once. What may be logged is decided where it is logged; this room only gives it a form.

use tracing::Level;
use tracing_subscriber::{
    Layer,
    filter::{Targets, filter_fn},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::args::LogFormat;

/// The log filter cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("--log-level {filter:?} is not a level or filter such as debug or info,kube=debug: {reason}")]
pub struct FilterError {
    filter: String,
    reason: String,
}

/// Wire-level logs of these would show signed headers and the bytes of Secrets. They stay at info at every level and
/// with every filter that a person may ask for.
const QUIET: [&str; 9] =
    ["hyper", "h2", "rustls", "reqwest", "tower", "tokio_util", "kube_client", "kube_core", "want"];

/// Starts logging to standard output.
pub fn start(format: LogFormat, filter: &str) -> Result<(), FilterError> {
    let wrong = |reason: String| FilterError { filter: filter.to_owned(), reason };
    // Levels by target, and no filters by field: what those take is a twentieth of the whole program.
    let filter = filter.parse::<Targets>().map_err(|error| wrong(error.to_string()))?;
    let quiet = filter_fn(|metadata| {
        *metadata.level() <= Level::INFO || !QUIET.iter().any(|target| metadata.target().starts_with(target))
    });
    let registry = tracing_subscriber::registry().with(filter);
    let started = match format {
        LogFormat::Json => registry.with(fmt::layer().json().with_filter(quiet)).try_init(),
        LogFormat::Text => registry.with(fmt::layer().with_target(false).with_filter(quiet)).try_init(),
    };
    started.map_err(|error| wrong(error.to_string()))
}
