//! Options and command line of an operator. It starts nothing.

use std::{ffi::OsString, path::PathBuf};

use crate::control_plane::ControlPlane;

#[derive(Clone, Debug)]
pub struct OperatorOptions<'a> {
    pub binary: PathBuf,
    pub control_plane: &'a ControlPlane,
    /// A proxy through which it reaches the API server: address, and authority as PEM.
    pub through: Option<(String, String)>,
    pub namespace: String,
    /// The ServiceAccount, created if needed; two operators with different rights need two.
    pub service_account: String,
    /// Namespaces it watches and has rights in; none means all.
    pub watch: Vec<String>,
    /// Whether it may read Secrets there.
    pub secrets: bool,
    /// `--log-level`.
    pub log_level: String,
    /// Further arguments, after all others.
    pub arguments: Vec<OsString>,
    pub environment: Vec<(OsString, OsString)>,
}

impl<'a> OperatorOptions<'a> {
    /// An operator in this namespace that watches only this namespace, may read Secrets and logs at `debug`.
    pub fn new(binary: impl Into<PathBuf>, control_plane: &'a ControlPlane, namespace: &str) -> Self {
        Self {
            binary: binary.into(),
            control_plane,
            through: None,
            namespace: namespace.to_owned(),
            service_account: "redistribution-operator".to_owned(),
            watch: vec![namespace.to_owned()],
            secrets: true,
            log_level: "debug".to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }
}

/// The command line of an operator, ready to run, once or again.
#[derive(Clone, Debug)]
pub struct OperatorCommand {
    pub binary: PathBuf,
    pub kubeconfig: PathBuf,
    /// Namespaces it watches; none means all.
    pub watch: Vec<String>,
    /// `--log-level`.
    pub log_level: String,
    /// Further arguments, after all others.
    pub arguments: Vec<OsString>,
    pub environment: Vec<(OsString, OsString)>,
}

impl OperatorCommand {
    /// The arguments in their order.
    pub(super) fn line(&self) -> Vec<OsString> {
        let mut line: Vec<OsString> = vec!["run".into(), "--kubeconfig".into(), self.kubeconfig.clone().into()];
        line.extend(["--listen", "127.0.0.1:0", "--log-format", "json", "--log-level"].map(OsString::from));
        line.push((&self.log_level).into());
        line.extend(self.watch.iter().flat_map(|namespace| [OsString::from("--namespace"), namespace.into()]));
        line.extend(self.arguments.iter().cloned());
        line
    }
}
