//! Sets up the log, which suppresses what could show a secret.

use clap::ValueEnum;
use std::{io, sync::mpsc, thread, time::Duration};

use tracing::{Level, Subscriber};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    Layer,
    filter::{Targets, filter_fn},
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For people.
    Text,
}

/// Wire-level logs of these crates would show signed headers and the bytes of Secrets. They stay at info with every
/// level and filter that a user may set.
const WIRE_LEVEL: [&str; 9] =
    ["hyper", "h2", "rustls", "reqwest", "tower", "tokio_util", "kube_client", "kube_core", "want"];

/// Failures that these targets log at each try reach this program as errors, and it logs them once.
const LOGGED_HERE: [&str; 2] = ["kube_client::client::builder", "kube_runtime::watcher"];

/// For the lines that wait at the end of the process.
const LAST_LINES_WITHIN: Duration = Duration::from_secs(1);
/// Lines that wait to be written. Beyond that they are dropped.
const MAX_WAITING_LINES: usize = 4096;

/// The running log.
pub struct Log {
    guard: WorkerGuard,
    /// Lines that were dropped since nobody read the earlier ones.
    pub dropped: ErrorCounter,
}

/// Starts logging to standard output, unless the filter cannot be read.
pub fn start(format: LogFormat, filter: &str) -> Result<Log, String> {
    let invalid = |reason: &dyn std::fmt::Display| {
        format!("--log-level {filter:?} is not a level or filter such as debug or info,kube=debug: {reason}")
    };
    // Levels by target, and no filters by field, which would make up a twentieth of the whole program.
    let targets = filter.parse::<Targets>().map_err(|error| invalid(&error))?;
    let (writer, guard) = lossy(MAX_WAITING_LINES, io::stdout());
    let dropped = writer.error_counter();
    log(format, targets, writer).try_init().map_err(|error| invalid(&error))?;
    Ok(Log { guard, dropped })
}

impl Log {
    /// Writes the lines that wait, unless nobody reads them.
    pub fn end(self) {
        let (open, end) = mpsc::channel::<()>();
        thread::spawn(move || {
            drop(self.guard);
            drop(open);
        });
        let _in_time = end.recv_timeout(LAST_LINES_WITHIN);
    }
}

fn lossy(max_waiting: usize, output: impl io::Write + Send + 'static) -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default().lossy(true).buffered_lines_limit(max_waiting).thread_name("log").finish(output)
}

fn log<W>(format: LogFormat, filter: Targets, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let lines = match format {
        LogFormat::Json => fmt::layer().json().with_writer(writer).boxed(),
        LogFormat::Text => fmt::layer().with_target(false).with_writer(writer).boxed(),
    };
    let harmless = filter_fn(|metadata| is_harmless(metadata.target(), *metadata.level()));
    tracing_subscriber::registry().with(filter).with(lines.with_filter(harmless))
}

/// Whether a line cannot show a secret. kube's client also warns of a response that it cannot read, with all of its
/// text, and a response can be a Secret. This program logs the resulting error without the text.
fn is_harmless(target: &str, level: Level) -> bool {
    if LOGGED_HERE.contains(&target) && level <= Level::WARN {
        return false;
    }
    let max_level = if target == "kube_client::client" { Level::ERROR } else { Level::INFO };
    level <= max_level || !WIRE_LEVEL.iter().any(|target_prefix| target.starts_with(target_prefix))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::{Arc, Mutex, mpsc};

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

    /// An output that nobody reads.
    struct Full(mpsc::Receiver<()>);

    impl io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_nobody_reads_are_dropped_and_counted() {
        let (reads, full) = mpsc::channel();
        let (writer, _guard) = lossy(2, Full(full));
        let dropped = writer.error_counter();
        let log = log(LogFormat::Json, "info".parse().unwrap(), writer);
        tracing::subscriber::with_default(log, || (0..100).for_each(|number| tracing::info!(number, "a line")));
        // One is being written, and two wait.
        assert!(dropped.dropped_lines() >= 97, "{}", dropped.dropped_lines());
        drop(reads);
    }

    #[test]
    fn the_log_suppresses_what_could_show_a_secret_in_each_format() {
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
    fn lines_that_could_show_a_secret_are_not_logged_at_any_level() {
        assert!(!is_harmless("kube_client::client", Level::WARN), "it holds the text of a response");
        assert!(is_harmless("kube_client::client", Level::ERROR));
        assert!(
            is_harmless("kube_client::client::tls", Level::WARN),
            "it reports that certificate authorities could not be read again"
        );
        assert!(!is_harmless("hyper::proto::h1", Level::DEBUG) && is_harmless("hyper::proto::h1", Level::WARN));
        assert!(is_harmless("redistribution_operator::controller", Level::TRACE));
    }

    #[test]
    fn failures_that_this_program_logs_are_not_logged_at_each_try() {
        for target in ["kube_client::client::builder", "kube_runtime::watcher"] {
            assert!(!is_harmless(target, Level::ERROR) && !is_harmless(target, Level::WARN), "{target}");
        }
        assert!(is_harmless("kube_runtime::watcher", Level::DEBUG));
        assert!(is_harmless("kube_runtime::controller", Level::WARN));
    }
}
