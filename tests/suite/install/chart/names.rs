//! Names: those that Kubernetes would refuse are refused with a message, those that YAML would read as another type are
//! quoted, and different names stay different when they are truncated.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{directory, helm, objects};

/// The output of this release in this namespace, or Helm's error message.
fn release(name: &str, namespace: &str, flags: &[&str]) -> Result<Vec<Value>, String> {
    let directory = directory();
    let mut arguments = vec!["template", name, directory.to_str().unwrap(), "--namespace", namespace];
    arguments.extend(["--set", "image.repository=example/operator"]);
    let output = helm(&[&arguments, flags].concat());
    if output.status.success() {
        Ok(objects(&String::from_utf8(output.stdout).unwrap()))
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[test]
fn an_invalid_service_name_is_refused_with_a_message() {
    for name in ["1dws", "123", "a.b"] {
        let said = release(name, "dws-system", &[]).unwrap_err();
        assert!(
            said.contains(&format!("\"{name}-redistribution-operator\" cannot be the name of a Service")),
            "{said}"
        );
        let other = release(name, "dws-system", &["--set", "fullnameOverride=dws"]).unwrap();
        let label = &other[0]["metadata"]["labels"]["app.kubernetes.io/instance"];
        assert_eq!(label, name);
    }
}

#[test]
fn long_names_that_differ_in_the_last_character_stay_different() {
    let (long, longer) = ("a".repeat(52), "n".repeat(80));
    let names = |name: &str, flag: &str| -> BTreeSet<String> {
        let rendered = release(name, "dws-system", &["--set", flag, "--set", "dashboard.enabled=true"]).unwrap();
        let named = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
        let lease = rendered.iter().find(|object| object["kind"] == "Deployment").unwrap().to_string();
        let lease = lease.split("--lease-name=").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let others = rendered.iter().filter(|object| object["kind"] != "CustomResourceDefinition").map(named);
        others.chain([lease]).collect()
    };
    for (one, other) in [
        (names(&format!("{long}b"), "selector=a"), names(&format!("{long}c"), "selector=a")),
        (names("dws", &format!("fullnameOverride={longer}b")), names("dws", &format!("fullnameOverride={longer}c"))),
        (names("dws", &format!("nameOverride={longer}b")), names("dws", &format!("nameOverride={longer}c"))),
    ] {
        assert!(one.is_disjoint(&other), "{one:?} and {other:?}");
        assert!(one.iter().chain(&other).all(|name| name.len() <= 63 && !name.contains("--")), "{one:?} {other:?}");
    }
    // A name that is short enough is unchanged.
    assert!(names(&"a".repeat(28), "selector=a").contains(&format!("{}-redistribution-operator", "a".repeat(28))));
}

/// Every value in the position of a name, a namespace, a label or an annotation.
fn texts<'a>(value: &'a Value, found: &mut Vec<(&'a str, &'a Value)>) {
    match value {
        Value::Object(fields) => {
            for (key, inner) in fields {
                match key.as_str() {
                    "name" | "namespace" | "serviceAccountName" if !inner.is_object() => found.push((key, inner)),
                    "labels" | "matchLabels" | "annotations" => {
                        found.extend(inner.as_object().unwrap().iter().map(|(key, inner)| (key.as_str(), inner)));
                    }
                    _ => texts(inner, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        _ => {}
    }
}

#[test]
fn names_that_yaml_would_read_as_something_else_stay_names() {
    for name in ["1e3", "true", "123", "null", "0x1f"] {
        let flags = [
            "fullnameOverride=dws".to_owned(),
            format!("namespaceOverride={name}"),
            format!("nameOverride={name}"),
            format!("serviceAccount.name={name}"),
            format!("dashboard.namespace={name}"),
            format!("leaderElection.leaseName={name}"),
            format!("commonLabels.a={name}"),
            format!("commonAnnotations.a={name}"),
            format!("priorityClassName={name}"),
            format!("watchNamespaces[0]={name}"),
            format!("credentials.secretNames[0]={name}"),
            format!("defaultCredentials.existingSecret={name}"),
            format!("cloud.caBundle.configMapName={name}"),
        ];
        let flags: Vec<_> = flags.iter().flat_map(|flag| ["--set-string", flag]).collect();
        let on = ["--set", "dashboard.enabled=true,networkPolicy.enabled=true,serviceMonitor.enabled=true"];
        let rendered = release("dws", name, &[&flags[..], &on].concat()).unwrap();
        let mut found = Vec::new();
        for object in &rendered {
            texts(object, &mut found);
        }
        assert!(found.len() > 100, "{}", found.len());
        for (key, value) in found {
            assert!(value.is_string(), "{name} as {key} is {value}");
        }
        let secrets = rendered.iter().find(|object| object["kind"] == "Role").unwrap();
        assert_eq!(secrets["rules"][3]["resourceNames"], serde_json::json!([name]));
    }
}
