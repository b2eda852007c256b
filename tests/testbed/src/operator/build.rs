//! Builds the operator with the cargo that runs the caller. It never starts it.

use std::{
    env, io,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::Value;

/// The operator could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    #[error("starting cargo: {0}")]
    Io(#[from] io::Error),
    /// cargo failed, and has printed why.
    #[error("the operator could not be built; cargo says why above")]
    Failed,
    /// cargo did not report the path of the binary.
    #[error("cargo did not say where the operator is")]
    Nowhere,
}

/// Builds it and returns its path, as cargo reports it.
pub fn build(release: bool) -> Result<PathBuf, BuildError> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--package", "redistribution-operator", "--bin", "redistribution-operator"])
        .args(release.then_some("--release"))
        .arg("--message-format=json-render-diagnostics")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(BuildError::Failed);
    }
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let artifacts = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let executable = artifacts.filter_map(|artifact| artifact["executable"].as_str().map(PathBuf::from)).next_back();
    executable.ok_or(BuildError::Nowhere)
}
