//! Missing values: set to null, or absent since the release was made by a chart that did not have them.

use std::{collections::BTreeSet, fs, process::Command, thread};

use serde_json::{Value, json};

use super::{directory, helm, pod, refusal, render, values::leaves};

fn keys() -> BTreeSet<String> {
    let prefixes = |path: String| {
        let ends: Vec<_> = path.match_indices('.').map(|(end, _)| end).chain([path.len()]).collect();
        ends.into_iter().map(move |end| path[..end].to_owned())
    };
    leaves().into_iter().flat_map(|(path, _)| prefixes(path)).collect()
}

#[test]
fn a_value_that_is_null_has_its_default() {
    let keys: Vec<_> = keys().into_iter().filter(|key| key != "image" && key != "image.repository").collect();
    assert!(keys.len() > 140, "{}", keys.len());
    let defaults = &render(&[]);
    thread::scope(|scope| {
        for keys in keys.chunks(keys.len().div_ceil(4)) {
            scope.spawn(move || {
                for key in keys {
                    assert!(render(&["--set", &format!("{key}=null")]) == *defaults, "{key}=null changes something");
                }
            });
        }
    });
    for key in ["image", "image.repository"] {
        let said = refusal(&["--set", "image.repository=a", "--set", &format!("{key}=null")]);
        assert!(said.contains("image.repository is required"), "{key}: {said}");
    }
}

/// A copy of the chart with only every second one of its own values: the effect of `--reuse-values` on a newer chart's
/// values.
fn with_half_of_its_values(rest: usize) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    let copied = Command::new("cp").arg("-r").arg(directory().join(".")).arg(copy.path()).status().unwrap();
    assert!(copied.success());
    let mut values = json!({});
    let all: Value = serde_saphyr::from_str(&fs::read_to_string(directory().join("values.yaml")).unwrap()).unwrap();
    for (path, _) in leaves().into_iter().enumerate().filter(|(index, _)| index % 2 == rest).map(|(_, leaf)| leaf) {
        let value = path.split('.').fold(&all, |place, key| &place[key]);
        *path.split('.').fold(&mut values, |place, key| &mut place[key]) = value.clone();
    }
    fs::write(copy.path().join("values.yaml"), values.to_string()).unwrap();
    copy
}

#[test]
fn a_release_that_lacks_half_of_the_values_is_upgraded_to_the_same() {
    for rest in [0, 1] {
        let copy = with_half_of_its_values(rest);
        let chart = copy.path().to_str().unwrap();
        let image = ["--set", "image.repository=example/operator"];
        let output = helm(&[&["template", "dws", chart, "--namespace", "dws-system"], &image[..]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8(output.stdout).unwrap() == render(&[]), "every second value from {rest} on");
    }
}

#[test]
fn a_key_within_a_free_value_can_be_taken_away() {
    let container = |flag: &str| pod(&["--set", flag])["containers"][0].clone();
    assert_eq!(container("resources.limits=null")["resources"], json!({"requests": {"cpu": "10m", "memory": "32Mi"}}));
    assert_eq!(container("livenessProbe.timeoutSeconds=null")["livenessProbe"]["timeoutSeconds"], Value::Null);
    assert_eq!(pod(&["--set", r"nodeSelector.kubernetes\.io/os=null"])["nodeSelector"], Value::Null);
}
