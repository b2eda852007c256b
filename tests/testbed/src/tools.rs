//! Finds the programs of the control plane and of the node, or builds them from Go modules.
//!
//! First match wins: `TEST_ASSET_<NAME>`, the directory in `KUBEBUILDER_ASSETS`, `PATH`, an earlier build, a new build.
//! A program named in `TEST_ASSET_<NAME>` is used or is an error, never silently skipped; a program that was merely
//! found is used if its version fits. It must not download anything but Go modules, and must not write outside of
//! `target/tools`.

mod build;
mod go;
mod version;

use std::{
    collections::HashMap,
    ffi::OsString,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

pub use version::Version;

use crate::failure::Failure;

/// A program of the control plane or of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tool {
    Etcd,
    KubeApiserver,
    /// The controllers: only the deletion of namespaces and garbage collection need them.
    KubeControllerManager,
    Kubectl,
    Helm,
    KubeScheduler,
    Kubelet,
    Containerd,
    /// The parent of one container's processes; containerd finds it beside itself or on `PATH`.
    ContainerdShim,
    Ctr,
    Helm3,
}

impl Tool {
    /// The programs for `cargo test`.
    pub const CONTROL_PLANE: [Self; 5] =
        [Self::Etcd, Self::KubeApiserver, Self::KubeControllerManager, Self::Kubectl, Self::Helm];
    pub const NODE: [Self; 6] =
        [Self::KubeScheduler, Self::Kubelet, Self::Containerd, Self::ContainerdShim, Self::Ctr, Self::Helm3];

    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::Kubectl => "kubectl",
            Self::Helm => "helm",
            Self::KubeScheduler => "kube-scheduler",
            Self::Kubelet => "kubelet",
            Self::Containerd => "containerd",
            Self::ContainerdShim => "containerd-shim-runc-v2",
            Self::Ctr => "ctr",
            Self::Helm3 => "helm3",
        }
    }

    /// The environment variable that names this program's file.
    pub fn variable(self) -> String {
        format!("TEST_ASSET_{}", self.name().to_uppercase().replace('-', "_"))
    }
}

#[derive(Clone, Debug)]
pub struct Tools {
    environment: HashMap<OsString, OsString>,
    workspace: PathBuf,
}

impl Tools {
    /// Searches as this process's environment says.
    #[allow(clippy::new_without_default, reason = "it reads the environment")]
    pub fn new() -> Self {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        Self { environment: std::env::vars_os().collect(), workspace: workspace.canonicalize().unwrap_or(workspace) }
    }

    /// The files of these programs, in their order; a missing one is built.
    pub fn provide<const N: usize>(&self, tools: [Tool; N]) -> Result<[PathBuf; N], Failure> {
        let mut passed_over = Vec::new();
        let mut missing = Vec::new();
        let mut files = tools.map(|tool| self.workspace.join("target/tools").join(tool.name()));
        for (tool, file) in tools.into_iter().zip(&mut files) {
            match self.find(tool, &mut passed_over)? {
                Some(found) => *file = found,
                None => missing.push(tool),
            }
        }
        build::all(self, &missing, &passed_over)?;
        Ok(files)
    }

    /// The file of a program that need not be built; `passed_over` gets the files that were found and do not fit.
    fn find(&self, tool: Tool, passed_over: &mut Vec<String>) -> Result<Option<PathBuf>, Failure> {
        let variable = tool.variable();
        if let Some(path) = self.variable(&variable).map(PathBuf::from) {
            return match version::check(tool, &path, version::Origin::Named) {
                Ok(()) => Ok(Some(path)),
                Err(problem) => Err(format!("{variable} names {}, which {problem}", path.display()).into()),
            };
        }
        let assets = self.variable("KUBEBUILDER_ASSETS").map(|directory| Path::new(directory).join(tool.name()));
        let lying_about = assets
            .filter(|path| is_program(path))
            .map(|path| (path, version::Origin::Assets))
            .into_iter()
            .chain(self.on_path(tool.name()).map(|path| (path, version::Origin::Path)));
        for (path, origin) in lying_about {
            match version::check(tool, &path, origin) {
                Ok(()) => return Ok(Some(path)),
                Err(problem) => passed_over.push(format!("{} {problem}", path.display())),
            }
        }
        Ok(None)
    }

    fn variable(&self, name: &str) -> Option<&OsString> {
        self.environment.get(&OsString::from(name)).filter(|value| !value.is_empty())
    }

    fn on_path(&self, name: &str) -> Option<PathBuf> {
        std::env::split_paths(self.variable("PATH")?)
            .map(|directory| directory.join(name))
            .find(|path| is_program(path))
    }
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Bypasses the capture of the test harness, since it announces minutes of silence.
fn say(line: &str) {
    drop(writeln!(io::stderr().lock(), "{line}"));
}
