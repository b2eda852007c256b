//! The chart's alerts and dashboard, checked by promtool: Prometheus accepts them, and each alert fires in the stories
//! that require it and in no other. `.ci/run` runs these; `cargo test` does not, since few machines have promtool.
//! Checks that need no promtool are in `tests/suite/install/chart/alerts.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests fail by panicking, and their names are their documentation"
)]

#[path = "suite/install/chart/helm.rs"]
mod helm;

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

/// The one object of this kind, rendered with its prerequisites and these flags.
fn rendered(kind: &str, flags: &[&str]) -> Value {
    let mut all = vec!["--set", "prometheusRule.enabled=true", "--set", "dashboard.enabled=true"];
    all.extend(flags);
    helm::objects(&helm::render(&all)).into_iter().find(|object| object["kind"] == kind).unwrap()
}

/// Runs promtool on a file of rules (JSON is YAML) beside the stories, and expects success.
fn promtool(rules: &Value, arguments: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    let stories = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/install/chart");
    fs::write(directory.path().join("rules.yaml"), rules.to_string()).unwrap();
    for file in ["alerts_test.yaml", "alerts_enforced_test.yaml"] {
        fs::copy(stories.join(file), directory.path().join(file)).unwrap();
    }
    let output = Command::new("promtool").current_dir(&directory).args(arguments).output().unwrap_or_else(|error| {
        panic!("promtool cannot be run ({error}); install it, for example by apt-get install prometheus")
    });
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
}

#[test]
#[ignore = "needs promtool (Debian: prometheus)"]
fn prometheus_takes_the_rules_also_with_overrides_and_additional_ones() {
    promtool(&rendered("PrometheusRule", &[])["spec"], &["check", "rules", "rules.yaml"]);
    let changed = [
        "--set-json",
        "prometheusRule.overrides={\"RedistributionRefused\":{\"for\":\"1h30m\",\"severity\":\"info\",\"expr\":\"vector(1)\"}}",
        "--set-json",
        "prometheusRule.additionalRules=[{\"record\":\"a:b\",\"expr\":\"vector(1)\"}]",
    ];
    let spec = &rendered("PrometheusRule", &changed)["spec"];
    assert_eq!(spec["groups"].as_array().unwrap().len(), 2);
    promtool(spec, &["check", "rules", "rules.yaml"]);
}

#[test]
#[ignore = "needs promtool (Debian: prometheus)"]
fn each_alert_fires_in_its_stories_and_in_no_other() {
    promtool(&rendered("PrometheusRule", &[])["spec"], &["test", "rules", "alerts_test.yaml"]);
}

/// As on OpenShift, whose proxy adds the label to every selector and every rule.
#[test]
#[ignore = "needs promtool (Debian: prometheus)"]
fn alerts_distinguish_objects_under_an_enforced_namespace_label() {
    let mut spec = rendered("PrometheusRule", &[])["spec"].clone();
    for rule in spec["groups"][0]["rules"].as_array_mut().unwrap() {
        rule["labels"]["namespace"] = json!("dws-system");
        let query = rule["expr"].as_str().unwrap();
        rule["expr"] = json!(query.replace("{job=", r#"{namespace="dws-system",job="#));
    }
    promtool(&spec, &["test", "rules", "alerts_enforced_test.yaml"]);
}

#[test]
#[ignore = "needs promtool (Debian: prometheus)"]
fn every_dashboard_query_parses() {
    let text = rendered("ConfigMap", &[])["data"]["redistribution-operator.json"].as_str().unwrap().to_owned();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let mut rules = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            let query =
                query.replace("$__rate_interval", "5m").replace("$job", "job").replace("$namespace", "namespace");
            assert!(!query.replace("\"$1\"", "").contains('$'), "a variable that the dashboard does not have: {query}");
            let name = format!("dashboard:panel_{}_{}", panel["id"], target["refId"].as_str().unwrap());
            rules.push(json!({"record": name, "expr": query}));
        }
    }
    assert!(rules.len() > 20, "{}", rules.len());
    promtool(&json!({"groups": [{"name": "dashboard", "rules": rules}]}), &["check", "rules", "rules.yaml"]);
}
