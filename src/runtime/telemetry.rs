//! Sets the log up, once. What may be logged is decided where it is logged; this room only gives it a form.

use clap::ValueEnum;
use std::io;

use tracing::{Level, Subscriber};
use tracing_subscriber::{
    Layer,
    filter::{Targets, filter_fn},
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// Form of the log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For reading.
    Text,
}

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

/// What comes of the failures that these tell of is an error here, told once and not at each try.
const TOLD_HERE: [&str; 2] = ["kube_client::client::builder", "kube_runtime::watcher"];

/// Starts logging to standard output.
pub fn start(format: LogFormat, filter: &str) -> Result<(), FilterError> {
    let wrong = |reason: String| FilterError { filter: filter.to_owned(), reason };
    // Levels by target, and no filters by field: what those take is a twentieth of the whole program.
    let filter = filter.parse::<Targets>().map_err(|error| wrong(error.to_string()))?;
    log(format, filter, io::stdout).try_init().map_err(|error| wrong(error.to_string()))
}

fn log<W>(format: LogFormat, filter: Targets, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let lines = match format {
        LogFormat::Json => fmt::layer().json().with_writer(writer).boxed(),
        LogFormat::Text => fmt::layer().with_target(false).with_writer(writer).boxed(),
    };
    let quiet = filter_fn(|metadata| is_harmless(metadata.target(), *metadata.level()));
    tracing_subscriber::registry().with(filter).with(lines.with_filter(quiet))
}

/// kube's client besides warns of an answer that it cannot read with all of its text, and an answer can be a Secret. What
/// comes of it is an error here, told without the text.
fn is_harmless(target: &str, level: Level) -> bool {
    if TOLD_HERE.contains(&target) && level <= Level::WARN {
        return false;
    }
    let most = if target == "kube_client::client" { Level::ERROR } else { Level::INFO };
    level <= most || !QUIET.iter().any(|quiet| target.starts_with(quiet))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_log_holds_back_what_could_show_a_secret_in_each_form_and_tells_the_rest() {
        for format in [LogFormat::Json, LogFormat::Text] {
            let written = Written::default();
            let writer = written.clone();
            let log = log(format, "trace".parse().unwrap(), move || writer.clone());
            tracing::subscriber::with_default(log, || {
                tracing::warn!(target: "kube_client::client", "CANARY of an answer");
                tracing::trace!(target: "hyper::proto::h1", "CANARY of a header");
                tracing::error!(target: "kube_client::client", "a failure");
                tracing::trace!("a detail");
            });
            let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
            assert!(!text.contains("CANARY"), "{text}");
            assert!(text.contains("a failure") && text.contains("a detail"), "{text}");
        }
    }

    #[test]
    fn what_could_show_a_secret_is_not_logged_however_loud_the_log_is() {
        assert!(!is_harmless("kube_client::client", Level::WARN), "it holds the text of an answer");
        assert!(is_harmless("kube_client::client", Level::ERROR));
        assert!(
            is_harmless("kube_client::client::tls", Level::WARN),
            "it tells that authorities could not be read anew"
        );
        assert!(!is_harmless("hyper::proto::h1", Level::DEBUG) && is_harmless("hyper::proto::h1", Level::WARN));
        assert!(is_harmless("redistribution_operator::controller", Level::TRACE));
    }

    #[test]
    fn what_is_told_here_once_is_not_told_by_others_at_each_try() {
        for target in ["kube_client::client::builder", "kube_runtime::watcher"] {
            assert!(!is_harmless(target, Level::ERROR) && !is_harmless(target, Level::WARN), "{target}");
        }
        assert!(is_harmless("kube_runtime::watcher", Level::DEBUG));
        assert!(is_harmless("kube_runtime::controller", Level::WARN));
    }
}
