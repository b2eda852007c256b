//! Values: wrong ones are refused with a readable message, and every value has an effect.

use std::fs;

use serde_json::Value;

use super::{directory, objects, render, set};

fn schema() -> Value {
    serde_json::from_str(&fs::read_to_string(directory().join("values.schema.json")).unwrap()).unwrap()
}

/// Every value by its path, with its part of the schema: each schema entry that has examples.
pub fn leaves() -> Vec<(String, Value)> {
    fn collect(schema: &Value, path: &str, found: &mut Vec<(String, Value)>) {
        if schema.get("examples").is_some() {
            found.push((path.to_owned(), schema.clone()));
            return;
        }
        for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            collect(inner, &path, found);
        }
    }
    let mut found = Vec::new();
    collect(&schema(), "", &mut found);
    found
}

#[test]
fn every_value_is_in_the_schema_and_has_an_effect() {
    let values: Value = serde_saphyr::from_str(&fs::read_to_string(directory().join("values.yaml")).unwrap()).unwrap();
    let (schema, found) = (schema(), leaves());
    let others = ["global", "replicas", "containerSecurityContext"];
    assert_eq!(
        values.as_object().unwrap().len() + others.len(),
        schema["properties"].as_object().unwrap().len(),
        "apart from {others:?}"
    );
    assert!(found.len() > 100, "{}", found.len());
    for (path, leaf) in found {
        assert!(leaf["description"].as_str().is_some_and(|text| !text.is_empty()), "{path} is not described");
        let with: Vec<_> =
            leaf["x-with"].as_object().into_iter().flatten().map(|(key, value)| set(key, value)).collect();
        let mut before: Vec<&str> = with.iter().flat_map(|with| ["--set-json", with]).collect();
        let without = render(&before);
        let example = set(&path, &leaf["examples"][0]);
        before.extend(["--set-json", &example]);
        assert!(without != render(&before), "{example} has no effect");
    }
}

#[test]
fn exclusive_settings_are_not_rendered_together() {
    let kinds = |flags: &[&str]| -> Vec<String> {
        let kind = |object: &Value| object["kind"].as_str().unwrap().to_owned();
        objects(&render(flags)).iter().map(kind).collect()
    };
    let namespaced = kinds(&["--set", "watchNamespaces={a,b}", "--set", "crds.install=false"]);
    let scoped = ["ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "ValidatingAdmissionPolicy"];
    assert!(namespaced.iter().all(|kind| !scoped.contains(&kind.as_str())), "{namespaced:?}");
    assert_eq!(
        namespaced.iter().filter(|kind| *kind == "Role").count(),
        3,
        "one for each namespace, one for the Lease"
    );
    // An empty resourceNames would grant every Secret.
    let none = render(&["--set-json", "credentials.secretNames=[]"]);
    assert!(!none.contains("secrets"), "{none}");
    assert!(!kinds(&["--set", "leaderElection.enabled=false,replicaCount=1"]).contains(&"Role".to_owned()));
    let kept = |flags: &[&str]| {
        let crd = objects(&render(flags)).into_iter().find(|object| object["kind"] == "CustomResourceDefinition");
        crd.is_some_and(|crd| crd["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep")
    };
    assert!(kept(&[]) && !kept(&["--set", "crds.keep=false"]));
}

/// The containers of the pods with these flags.
fn containers(flags: &[&str]) -> Vec<Value> {
    let deployment = objects(&render(flags)).into_iter().find(|object| object["kind"] == "Deployment").unwrap();
    deployment["spec"]["template"]["spec"]["containers"].as_array().unwrap().clone()
}

#[test]
fn the_operator_is_the_first_container_which_kubectl_uses_by_default() {
    let more = r#"extraContainers=[{"name":"more","image":"example/more:1"}]"#;
    let names: Vec<_> = containers(&["--set-json", more]).iter().map(|container| container["name"].clone()).collect();
    assert_eq!(names, ["operator", "more"]);
}

#[test]
fn a_disabled_value_leaves_no_flag_that_overrides_its_variable() {
    let flags = |flags: &[&str]| containers(flags)[0]["args"].to_string();
    let (off, on) = (flags(&[]), flags(&["--set", "checkCluster=warn", "--set", "observe.enabled=true"]));
    for flag in ["--check-cluster", "--check-every", "--observe", "--observe-every", "--settle-time"] {
        assert!(!off.contains(flag) && on.contains(flag), "{flag}: {off} {on}");
    }
}
