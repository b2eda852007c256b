//! A program that is ended from outside. A signal without a handler ends a process at once: the processes it started
//! end with its supervisors, but the objects it created in another cluster stay there. This module must not end
//! anything itself.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Waits for the first SIGINT (Ctrl-C), SIGTERM or SIGHUP (a closed terminal) to this process, and names it. A caller
/// that polls it beside the work drops the work then, and with it all that the work has started.
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
