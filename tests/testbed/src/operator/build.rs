//! Builds the operator with the cargo that runs the caller. It never starts it.

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::failure::Failure;

/// Builds it and returns its path, as cargo reports it.
pub fn build(release: bool) -> Result<PathBuf, Failure> {
    build_package("redistribution-operator", release)
}

/// The same for another package of the workspace, whose program has its name.
pub fn build_package(package: &str, release: bool) -> Result<PathBuf, Failure> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--package", package, "--bin", package])
        .args(release.then_some("--release"))
        .arg("--message-format=json-render-diagnostics")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("{package} could not be built; cargo says why above").into());
    }
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let artifacts = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let executable = artifacts.filter_map(|artifact| artifact["executable"].as_str().map(PathBuf::from)).next_back();
    executable.ok_or_else(|| format!("cargo did not say where {package} is").into())
}
