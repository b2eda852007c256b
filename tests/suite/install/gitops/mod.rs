//! Argo CD, Flux and Helm with the resource: the shipped health check for Argo CD, the shipped examples for all of
//! them, and Helm itself against a real API server. Flux and Argo CD themselves are not run.

mod argocd;
mod config_map;
mod examples;
mod health;
mod helm;
mod release;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Directory of the files that are tested here.
fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/gitops")
}

fn read(file: &str) -> String {
    fs::read_to_string(directory().join(file)).unwrap()
}
