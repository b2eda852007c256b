//! The end of a program that was asked to end from outside. A signal that nobody waits for ends a process at once: what it
//! started ends with its supervisors, but what it put into somebody else's cluster stays there. It must not end anything
//! itself.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Waits for the first SIGINT (Ctrl-C), SIGTERM or SIGHUP (a closed terminal) to this process, and names it. Whoever polls it beside
/// the work drops the work then, and with it all that the work has started.
///
/// # Errors
/// When signals cannot be waited for.
pub async fn asked_to_end() -> io::Result<&'static str> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => Ok("SIGINT"),
        _ = terminate.recv() => Ok("SIGTERM"),
        _ = hang_up.recv() => Ok("SIGHUP"),
    }
}
