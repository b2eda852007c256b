//! The examples for Argo CD and Flux: well-formed, free of settings that would repeat a call, and with requests and
//! values that a real API server and the chart accept. The tools' own schemas are not checked, since their CRDs are not
//! available here.

use std::{collections::BTreeMap, fs, path::Path};

use redistribution_operator::protocol::annotations;
use serde_json::{Value, json};

use super::{directory, read};
use crate::{install::chart, support::world::World};

/// Every document under `deploy/gitops`, with its file.
fn documents() -> Vec<(String, Value)> {
    fn collect(directory: &Path, found: &mut Vec<(String, Value)>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "yaml") {
                let text = fs::read_to_string(&path).unwrap();
                let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
                found.extend(documents.into_iter().map(|document| (path.display().to_string(), document)));
            }
        }
    }
    let mut found = Vec::new();
    collect(&directory(), &mut found);
    found
}

fn of_kind(kind: &str) -> Vec<(String, Value)> {
    documents().into_iter().filter(|(_, document)| document["kind"] == kind).collect()
}

/// Settings that delete and recreate objects, that run at every sync, and that give an object a new name at every
/// apply.
const FORBIDDEN: [&str; 8] = [
    "Replace=true",
    "Force=true",
    "force: true",
    "argocd.argoproj.io/hook",
    "helm.sh/hook",
    "kustomize.toolkit.fluxcd.io/force",
    "remediation",
    "generateName",
];

fn forbidden(value: &Value) -> Vec<&'static str> {
    match value {
        Value::String(text) => {
            let options = text.split(',').map(str::trim);
            options.filter_map(|option| FORBIDDEN.into_iter().find(|&name| name == option)).collect()
        }
        Value::Array(items) => items.iter().flat_map(forbidden).collect(),
        Value::Object(fields) => {
            let named = |key: &str, field: &Value| {
                FORBIDDEN.into_iter().find(|&name| name == key || name == format!("{key}: {field}"))
            };
            fields.iter().flat_map(|(key, field)| named(key, field).into_iter().chain(forbidden(field))).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn forbidden_settings_are_found_and_named_in_the_guide() {
    let spec = |field: Value| json!({"spec": {"a": [field]}});
    let annotated = |key: &str, value: &str| json!({"metadata": {"annotations": {key: value}}});
    let samples = [
        json!({"spec": {"syncPolicy": {"syncOptions": ["CreateNamespace=true", "Replace=true"]}}}),
        annotated("argocd.argoproj.io/sync-options", "Prune=false, Force=true"),
        spec(json!({"force": true})),
        annotated("argocd.argoproj.io/hook", "PostSync"),
        annotated("helm.sh/hook", "post-install"),
        annotated("kustomize.toolkit.fluxcd.io/force", "enabled"),
        json!({"spec": {"upgrade": {"remediation": {"strategy": "uninstall"}}}}),
        json!({"metadata": {"generateName": "request-"}}),
    ];
    let guide = read("../../docs/gitops.md");
    for (sample, name) in samples.iter().zip(FORBIDDEN) {
        assert_eq!(forbidden(sample), [name]);
        assert!(guide.contains(&format!("`{name}")), "the guide does not mention {name}");
    }
    assert_eq!(forbidden(&spec(json!({"force": false, "x": "Replace=false,Force"}))), [""; 0]);
}

#[test]
fn no_example_holds_a_forbidden_setting() {
    let documents = documents();
    let mut kinds = BTreeMap::<_, usize>::new();
    for (file, document) in &documents {
        assert_eq!(forbidden(document), [""; 0], "{file}");
        for field in [&document["apiVersion"], &document["kind"], &document["metadata"]["name"]] {
            assert!(field.is_string(), "{file}: {document:#}");
        }
        *kinds.entry(document["kind"].as_str().unwrap()).or_default() += 1;
    }
    let wanted = [
        ("Application", 2),
        ("ClusterRedistribution", 2),
        ("ConfigMap", 1),
        ("GitRepository", 1),
        ("HelmRelease", 1),
        ("Kustomization", 2),
        ("Namespace", 1),
    ];
    assert_eq!(kinds, wanted.into());
}

#[tokio::test]
async fn every_request_in_the_examples_is_accepted_and_guarded() {
    let world = World::new().await;
    for (file, request) in of_kind("ClusterRedistribution") {
        let arguments = ["apply", "--dry-run=server", "--validate=strict", "-n", &world.namespace, "-f", "-"];
        let output = world.plane.kubectl_with_input(&arguments, &request.to_string()).unwrap();
        assert!(output.status.success(), "{file}: {}", String::from_utf8_lossy(&output.stderr));
        let annotated: BTreeMap<String, String> =
            serde_json::from_value(request["metadata"]["annotations"].clone()).unwrap();
        let switches = annotations::read(Some(&annotated)).unwrap();
        assert!(switches.not_after.is_some() && !switches.suspended, "{file}");
        let kept = [
            ("argocd.argoproj.io/sync-options", "Prune=false,Delete=false"),
            ("kustomize.toolkit.fluxcd.io/prune", "disabled"),
        ];
        assert!(kept.iter().any(|(key, value)| annotated.get(*key).is_some_and(|found| found == value)), "{file}");
        assert!(request["spec"]["trigger"].is_string(), "{file}");
    }
}

#[test]
fn the_chart_takes_the_values_of_the_examples_and_reverts_are_held() {
    let values = of_kind("HelmRelease")
        .into_iter()
        .map(|(_, release)| release["spec"]["values"].clone())
        .chain(of_kind("Application").into_iter().map(|(_, app)| app["spec"]["source"]["helm"]["valuesObject"].clone()))
        .filter(|values| !values.is_null());
    let mut count = 0;
    for values in values {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), values.to_string()).unwrap();
        let rendered = chart::objects(&chart::render(&["--values", file.path().to_str().unwrap()]));
        let of_kind = |kind: &str| rendered.iter().find(|object| object["kind"] == kind).unwrap();
        let deployment = of_kind("Deployment").to_string();
        for flag in ["--hold-reverts", "--require-not-after"] {
            assert!(deployment.contains(flag), "{flag}: {deployment}");
        }
        let kept = &of_kind("CustomResourceDefinition")["metadata"]["annotations"];
        assert_eq!(kept["helm.sh/resource-policy"], "keep");
        let option = &values["crds"]["annotations"]["argocd.argoproj.io/sync-options"];
        assert_eq!(&kept["argocd.argoproj.io/sync-options"], option);
        count += 1;
    }
    assert_eq!(count, 2);
}

#[test]
fn requests_are_synced_after_the_operator_and_outlive_their_files() {
    // The two of this kind: the operator's, and the one of the requests.
    let both = |kind: &str| {
        let is_operator = |found: &Value| found["metadata"]["name"] == "dws-operator";
        let (mut operator, mut requests): (Vec<_>, Vec<_>) =
            of_kind(kind).into_iter().map(|(_, found)| found).partition(is_operator);
        (operator.pop().unwrap(), requests.pop().unwrap())
    };
    let (operator, requests) = both("Kustomization");
    assert_eq!(operator["spec"]["wait"], true);
    assert_eq!(requests["spec"]["dependsOn"], json!([{"name": "dws-operator"}]));
    assert_eq!((&requests["spec"]["prune"], &requests["spec"]["deletionPolicy"]), (&json!(false), &json!("Orphan")));
    let (_, request) = of_kind("ClusterRedistribution").into_iter().find(|(file, _)| file.contains("/flux/")).unwrap();
    assert_eq!(requests["spec"]["healthChecks"][0]["name"], request["metadata"]["name"]);
    for (kustomization, kind) in [(&operator, "HelmRelease"), (&requests, "ClusterRedistribution")] {
        let path = kustomization["spec"]["path"].as_str().unwrap().trim_start_matches('.');
        assert!(of_kind(kind).iter().any(|(file, _)| file.contains(&format!("{path}/"))), "{path} holds no {kind}");
    }
    let (operator, requests) = both("Application");
    assert_ne!(operator["spec"]["source"]["repoURL"], requests["spec"]["source"]["repoURL"]);
    let policy = &requests["spec"]["syncPolicy"];
    assert_eq!(policy["automated"], json!({"prune": false, "selfHeal": false}));
    for option in ["Prune=false", "Delete=false"] {
        assert!(policy["syncOptions"].as_array().unwrap().contains(&json!(option)), "{option}");
    }
    assert!(requests["metadata"]["finalizers"].is_null());
}
