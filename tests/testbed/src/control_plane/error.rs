//! Errors of a control plane. Each is a sentence, with the end of the log if there is one.

use std::{fs, io, path::Path, time::Duration};

use super::certificates::CertificateError;
use crate::tools::ToolError;

/// Why a control plane, or a part of it, is not available.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlPlaneError {
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// No certificates.
    #[error(transparent)]
    Certificates(#[from] CertificateError),
    #[error("{what}: {source}")]
    Io { what: &'static str, source: io::Error },
    /// A process ended by itself.
    #[error("{name} ended by itself while the control plane started; its last lines:\n{log}")]
    Ended {
        name: &'static str,
        /// The end of its log.
        log: String,
    },
    /// It did not come up in time.
    #[error("{name} was not ready within {within:?}, the last answer was {answer:?}; its last lines:\n{log}")]
    NotReady {
        name: &'static str,
        within: Duration,
        answer: String,
        /// The end of its log.
        log: String,
    },
    /// The client could not be made, or a request failed.
    #[error("talking to the API server: {0}")]
    Api(#[from] kube::Error),
    #[error("reading the kubeconfig: {0}")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
}

impl ControlPlaneError {
    pub(super) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}

pub(super) fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
