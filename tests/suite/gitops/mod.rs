//! What Argo CD, Flux and Helm make of the resource: the health check that is shipped for Argo CD, the examples that are
//! shipped for all of them, and Helm itself against a real API server. Flux and Argo CD themselves are not run.

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

/// Where the files that are tested here lie.
fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/gitops")
}

fn read(file: &str) -> String {
    fs::read_to_string(directory().join(file)).unwrap()
}
