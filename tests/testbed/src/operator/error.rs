//! Why an operator does not run or does not do what it was told: a sentence, with the end of its output.

use std::{io, process::ExitStatus};

use crate::{access::AccessError, control_plane::ControlPlaneError, eventually::Overdue};

/// Why an operator does not run, or does not do what it was told. Ends with the last lines of its output.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// It could not be given its rights.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// It could not be given its kubeconfig.
    #[error(transparent)]
    ControlPlane(#[from] ControlPlaneError),
    /// Something of the system failed.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// It ended by itself.
    #[error("the operator ended ({status}) before it was ready; its last lines:\n{tail}")]
    Ended {
        /// How.
        status: ExitStatus,
        /// The last lines of its output.
        tail: String,
    },
    /// It did not do it in time.
    #[error("{overdue}; the operator's last lines:\n{tail}")]
    Overdue {
        /// What was expected.
        overdue: Overdue,
        /// The last lines of its output.
        tail: String,
    },
    /// Its probes and metrics were not answered.
    #[error("asking the operator: {0}")]
    Http(#[from] reqwest::Error),
}
