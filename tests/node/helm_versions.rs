//! The previous major version of Helm accepts the chart without a complaint, and renders the same as its successor.

use std::{
    path::Path,
    process::{Command, Output},
};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;
use testbed::{Tool, Tools};

use crate::combinations::combinations;

/// Needs no cluster, but a program that is built for the node tests only.
pub fn stories() -> Vec<Trial> {
    let trial = Trial::test("Helm 3 and Helm 4 lint the chart strictly and render the same", || {
        same();
        Ok::<(), Failed>(())
    });
    vec![trial.with_ignored_flag(true)]
}

fn same() {
    let helms = Tools::new().provide([Tool::Helm3, Tool::Helm]);
    let helms = helms.unwrap_or_else(|error| panic!("{error}"));
    let home = tempfile::tempdir().unwrap();
    let run = |helm: &Path, arguments: &[&str]| -> Output {
        let mut command = Command::new(helm);
        command.env_clear().env("PATH", "/usr/bin:/bin");
        command.envs(["HOME", "HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"].map(|name| (name, home.path())));
        let output = command.args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{} {arguments:?}: {said}", helm.display());
        output
    };
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/chart");
    let image = ["--set", "image.repository=example/operator"];
    for flags in combinations() {
        let rendered = helms.each_ref().map(|helm| {
            let lint = run(helm, &[&["lint", "--strict", chart], &image[..], &flags].concat());
            let said = String::from_utf8_lossy(&lint.stdout).into_owned();
            assert!(said.contains("0 chart(s) failed") && !said.contains("[WARNING]"), "{said}");
            // Without a cluster, each version assumes its own version of Kubernetes.
            let version = ["--kube-version", "1.37.2"];
            let output = run(helm, &[&["template", "dws", chart], &version[..], &image, &flags].concat());
            let mut objects: Vec<Value> =
                serde_saphyr::from_multiple(&String::from_utf8(output.stdout).unwrap()).unwrap();
            objects.retain(|object| !object.is_null());
            objects.sort_by_key(|object| {
                let metadata = &object["metadata"];
                format!("{} {} {}", object["kind"], metadata["namespace"], metadata["name"])
            });
            objects
        });
        assert!(rendered[0].len() > 4, "{}", rendered[0].len());
        assert_eq!(rendered[0], rendered[1], "{flags:?}");
    }
}
