//! Helm, and the chart's output. It judges nothing.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use serde_json::Value;
use testbed::{Tool, Tools};

pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/chart")
}

/// Runs Helm, without the configuration of the person who runs the tests.
pub fn helm(arguments: &[&str]) -> Output {
    static HELM: OnceLock<PathBuf> = OnceLock::new();
    let helm = HELM.get_or_init(|| {
        let [helm] = Tools::new().provide([Tool::Helm]).unwrap();
        helm
    });
    let home = tempfile::tempdir().unwrap();
    let variables = ["HOME", "HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"];
    let mut command = Command::new(helm);
    command.env_clear().envs(variables.map(|name| (name, home.path()))).env("PATH", "/usr/bin:/bin");
    command.args(arguments).output().unwrap()
}

/// The chart's output with these flags, an image and the release name `dws` in namespace `dws-system`.
pub fn render(flags: &[&str]) -> String {
    let directory = directory();
    let mut arguments = vec!["template", "dws", directory.to_str().unwrap(), "--namespace", "dws-system"];
    arguments.extend(["--set-json", "image.repository=\"example/operator\""]);
    arguments.extend(flags);
    let output = helm(&arguments);
    assert!(output.status.success(), "{flags:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub fn objects(manifest: &str) -> Vec<Value> {
    let objects: Vec<Value> = serde_saphyr::from_multiple(manifest).unwrap();
    objects.into_iter().filter(|object| !object.is_null()).collect()
}
