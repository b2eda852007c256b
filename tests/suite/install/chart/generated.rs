//! Generated files, compared with their sources. `cargo regenerate` writes them.

use std::{env, fs, path::Path};

use redistribution_operator::api::crd_yaml;
use serde_json::{Value, json};

use super::{directory, objects, render, values::leaves};

/// Compares a file with its expected content, or writes it.
pub fn is(path: &Path, wanted: &str) {
    if env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(path, wanted).unwrap();
    }
    let found = fs::read_to_string(path).unwrap_or_default();
    assert!(found == wanted, "{} is not what it is generated from; run cargo regenerate", path.display());
}

/// The template takes it from the chart's copy of the file in `crds/`, and adds labels and annotations.
#[test]
fn the_chart_installs_the_generated_crd() {
    is(&directory().join("files/crd.yaml"), &crd_yaml().unwrap());
    let crd: Value = serde_saphyr::from_str(&crd_yaml().unwrap()).unwrap();
    let rendered = objects(&render(&[]));
    let installed = rendered.iter().find(|object| object["kind"] == crd["kind"]).unwrap();
    assert_eq!((&installed["apiVersion"], &installed["spec"]), (&crd["apiVersion"], &crd["spec"]));
    assert_eq!(installed["metadata"]["name"], crd["metadata"]["name"]);
    assert!(installed["metadata"]["labels"].is_object());
}

/// The defaults by path, for the templates: Helm shows them neither values.yaml nor the schema.
#[test]
fn the_defaults_of_the_templates_are_those_of_the_values() {
    let values: Value = serde_saphyr::from_str(&fs::read_to_string(directory().join("values.yaml")).unwrap()).unwrap();
    let mut lines: Vec<_> = leaves()
        .into_iter()
        .map(|(path, _)| {
            let value = path.split('.').fold(&values, |place, key| &place[key]);
            format!("{}:{value}", Value::from(path))
        })
        .collect();
    lines.sort();
    let mut text = String::from("{\n");
    let mut length = 0;
    for line in lines {
        // Wrapped, since only the templates read it.
        let separator = if length == 0 { "" } else { [",", ",\n"][usize::from(length + 1 + line.len() > 120)] };
        length = if separator == "," { length + 1 + line.len() } else { line.len() };
        text.extend([separator, &line]);
    }
    is(&directory().join("files/defaults.json"), &(text + "\n}\n"));
}

/// Metadata for Artifact Hub. Home, sources, icon, maintainers and a contact for security cannot be invented here.
#[test]
fn the_annotations_of_the_chart_are_those_of_crd_sample_and_changelog() {
    let root = directory().join("../..");
    let crd: Value = serde_saphyr::from_str(&crd_yaml().unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let sample = fs::read_to_string(root.join("deploy/samples/clusterredistribution.yaml")).unwrap();
    let sample: Vec<_> = sample.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let changelog = fs::read_to_string(root.join("CHANGELOG.md")).unwrap();
    let newest = changelog.split("\n## ").nth(1).unwrap();
    assert!(newest.starts_with(env!("CARGO_PKG_VERSION")), "the newest section is not this version's: {newest}");
    let mut changes = String::new();
    for group in newest.split("\n### ").skip(1) {
        let (kind, entries) = group.split_once('\n').unwrap();
        for entry in entries.lines().filter_map(|line| line.strip_prefix("- ")) {
            let kind = kind.to_lowercase();
            changes.extend(["    - kind: ", &kind, "\n      description: ", &json!(entry).to_string(), "\n"]);
        }
    }
    let annotations = format!(
        "annotations:\n  artifacthub.io/license: Apache-2.0\n  artifacthub.io/operator: \"true\"\n  artifacthub.io/operatorCapabilities: Basic Install\n  artifacthub.io/crds: |\n    - kind: {}\n      version: {}\n      name: {}\n      displayName: Cluster redistribution\n      description: One request to the cloud for each generation of its spec\n  artifacthub.io/crdsExamples: |\n    - {}\n  artifacthub.io/changes: |\n{changes}",
        text(&crd["spec"]["names"]["kind"]),
        text(&crd["spec"]["versions"][0]["name"]),
        text(&crd["metadata"]["name"]),
        sample.join("\n      "),
    );
    let path = directory().join("Chart.yaml");
    let chart = fs::read_to_string(&path).unwrap();
    let (head, _) = chart.split_once("annotations:\n").unwrap();
    is(&path, &format!("{head}{annotations}"));
    let chart: Value = serde_saphyr::from_str(&annotations).unwrap();
    for key in ["crds", "crdsExamples", "changes"] {
        let text = chart["annotations"][format!("artifacthub.io/{key}")].as_str().unwrap();
        let list: Vec<Value> = serde_saphyr::from_str(text).unwrap();
        assert!(list.iter().all(Value::is_object) && !list.is_empty(), "{key}: {text}");
    }
}

/// One row for each line of `values.yaml` that has a comment.
#[test]
fn the_readme_of_the_chart_lists_every_value() {
    let values = fs::read_to_string(directory().join("values.yaml")).unwrap();
    let mut path: Vec<&str> = Vec::new();
    let mut rows = String::new();
    for line in values.lines().filter(|line| line.contains(':') && !line.starts_with('#')) {
        let depth = (line.len() - line.trim_start().len()) / 2;
        let (key, rest) = line.trim_start().split_once(':').unwrap();
        path.truncate(depth);
        path.push(key);
        if let Some((default, meaning)) = rest.split_once("# ") {
            let default = default.trim();
            let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
            rows.extend(["| `", &path.join("."), "` | ", &default, " | ", meaning.trim(), " |\n"]);
        }
    }
    let readme = format!(
        "# Chart redistribution-operator\n\nGenerated from `values.yaml`; a test compares. How to install is in the project's README.\n\n| value | default | |\n| --- | --- | --- |\n{rows}"
    );
    is(&directory().join("README.md"), &readme);
}

/// For users without Helm: the chart with its defaults, beside the CRD in `crds/`. They set the image themselves.
#[test]
fn the_plain_manifest_is_the_chart_with_its_defaults() {
    let namespace = "redistribution-operator";
    let directory = directory();
    let mut arguments = vec!["template", namespace, directory.to_str().unwrap(), "--namespace", namespace];
    arguments.extend(["--set", "image.repository=redistribution-operator", "--set", "crds.install=false"]);
    let output = super::helm(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rendered = String::from_utf8(output.stdout).unwrap();
    let rendered: String = rendered
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("# Source: "))
        .map(|line| line.replace("managed-by: Helm", "managed-by: kubectl") + "\n")
        .collect();
    let manifest = format!(
        "# Rendered from deploy/chart with its defaults; a test compares. The CRD is in crds/. Set the image to one that you have pushed,\n# and DWS_OPERATOR_REGION, without which every object must name an allowed region; docs/operations.md has the commands.\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: {namespace}\n{rendered}"
    );
    is(&directory.join("../install.yaml"), &manifest);
    assert!(render(&[]).contains("kind: Deployment"));
}
