//! Errors of an operator process: a sentence, with the end of its output.

use std::{io, process::ExitStatus};

use crate::{access::AccessError, control_plane::ControlPlaneError, eventually::Overdue};

/// Why an operator does not run, or does not do what was requested. Ends with the last lines of its output.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// It could not be given its rights.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// It could not be given its kubeconfig.
    #[error(transparent)]
    ControlPlane(#[from] ControlPlaneError),
    #[error("{what}: {source}")]
    Io { what: &'static str, source: io::Error },
    /// It ended by itself.
    #[error("the operator ended ({status}) before it was ready; its last lines:\n{tail}")]
    Ended { status: ExitStatus, tail: String },
    /// The expected state did not come in time.
    #[error("{overdue}; the operator's last lines:\n{tail}")]
    Overdue { overdue: Overdue, tail: String },
    /// Its probes or metrics gave no answer.
    #[error("asking the operator: {0}")]
    Http(#[from] reqwest::Error),
}
