//! A strict reader, kustomize, Helm's own lint and the operator's command line accept every combination.

use std::{fs, path::PathBuf, process::Command as Process, sync::OnceLock};

use clap::Parser;
use redistribution_operator::cli::Command;
use serde_json::Value;
use testbed::{Tool, Tools};

use super::{combinations::combinations, directory, helm, objects, render};

/// The output of kustomize for a manifest that it moves into the namespace `other`.
fn kustomized(manifest: &str) -> Vec<Value> {
    static KUBECTL: OnceLock<PathBuf> = OnceLock::new();
    let kubectl = KUBECTL.get_or_init(|| {
        let [kubectl] = Tools::new().provide([Tool::Kubectl]).unwrap();
        kubectl
    });
    let base = tempfile::tempdir().unwrap();
    fs::write(base.path().join("manifest.yaml"), manifest).unwrap();
    fs::write(base.path().join("kustomization.yaml"), "namespace: other\nresources: [manifest.yaml]\n").unwrap();
    let output = Process::new(kubectl).arg("kustomize").arg(base.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    objects(&String::from_utf8(output.stdout).unwrap())
}

#[test]
fn every_combination_is_taken_by_lint_reader_kustomize_and_operator() {
    let directory = directory();
    let combinations = combinations();
    assert_eq!(combinations.len(), 30);
    for flags in combinations {
        let lint = ["lint", "--strict", directory.to_str().unwrap(), "--set", "image.repository=example/operator"];
        let output = helm(&[&lint[..], &flags].concat());
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && !said.contains("WARNING"), "{flags:?}: {said}");

        let manifest = render(&flags);
        // This reader refuses a duplicate key; see `duplicates`.
        let read = objects(&manifest);
        // Rules for one namespace each become one rule when all namespaces are made the same.
        if !flags.iter().any(|flag| flag.contains("watchNamespaces")) {
            assert_eq!(kustomized(&manifest).len(), read.len(), "{flags:?}");
        }
        let deployment = read.iter().find(|object| object["kind"] == "Deployment").unwrap();
        let args = deployment["spec"]["template"]["spec"]["containers"][0]["args"].as_array().unwrap();
        let args = args.iter().map(|arg| arg.as_str().unwrap());
        let parsed = Command::try_parse_from(["redistribution-operator"].into_iter().chain(args));
        assert!(parsed.is_ok(), "{flags:?}: {parsed:?}");
    }
}

#[test]
fn kustomize_can_put_the_plain_manifest_into_another_namespace() {
    let manifest = fs::read_to_string(directory().join("../install.yaml")).unwrap();
    let moved = kustomized(&manifest);
    assert!(moved.len() > 10, "{}", moved.len());
    let named = "namespace";
    for object in &moved {
        let namespace = &object["metadata"][named];
        assert!(namespace.is_null() || namespace == "other", "{object}");
        for subject in object["subjects"].as_array().into_iter().flatten() {
            assert_eq!(subject[named], "other", "{object}");
        }
    }
    let deployment = moved.iter().find(|object| object["kind"] == "Deployment").unwrap();
    // The namespace of the Lease is the pods' own, since no flag sets another one; the Role for it has moved with them.
    let args = deployment["spec"]["template"]["spec"]["containers"][0]["args"].to_string();
    assert!(args.contains("--leader-election") && !args.contains("namespace"), "{args}");
    let role = moved.iter().find(|object| object["metadata"]["name"] == "redistribution-operator-lease").unwrap();
    assert_eq!(role["metadata"]["namespace"], "other");
}
