//! Values given twice: keys of maps and entries of lists are merged before they are rendered, and selectors are always
//! the chart's.

use serde_json::{Value, json};

use super::{objects, only, pod, render};

/// Labels, annotations and entries that the chart sets itself, or that several values contain.
fn twice() -> Value {
    json!({
        "commonLabels": {"app.kubernetes.io/name": "other", "app.kubernetes.io/version": "9", "team": "all"},
        "commonAnnotations": {"owner": "all"},
        "podLabels": {"app.kubernetes.io/instance": "other", "team": "pods"},
        "podAnnotations": {"owner": "pods"},
        "deploymentAnnotations": {"owner": "deployment"},
        "serviceAccount": {"labels": {"team": "account", "helm.sh/chart": "other"}, "annotations": {"owner": "account"}},
        "metrics": {"service": {"labels": {"team": "service"}, "annotations": {"owner": "service"}}},
        "serviceMonitor": {"enabled": true, "labels": {"team": "monitor", "app.kubernetes.io/name": "other"}},
        "prometheusRule": {"enabled": true, "labels": {"team": "rules"}, "annotations": {"owner": "rules"}},
        "dashboard": {"enabled": true, "labels": {"team": "dashboard"}, "annotations": {"owner": "dashboard"}},
        "crds": {"annotations": {"helm.sh/resource-policy": "delete", "owner": "crd"}},
        "livenessProbe": {"httpGet": {"path": "/other", "port": "http"}},
        "readinessProbe": {"exec": {"command": ["true"]}},
        "cloud": {"caBundle": {"configMapName": "roots"}},
        "extraEnv": [
            {"name": "DWS_OPERATOR_HOLDER", "value": "me"}, {"name": "A", "value": "1"}, {"name": "A", "value": "2"},
        ],
        "extraVolumes": [{"name": "ca", "emptyDir": {}}, {"name": "x", "emptyDir": {}}, {"name": "x", "emptyDir": {}}],
        "extraVolumeMounts": [
            {"name": "x", "mountPath": "/x"}, {"name": "x", "mountPath": "/x", "readOnly": true},
            {"name": "x", "mountPath": "/etc/redistribution-operator/ca"},
        ],
        "extraContainers": [{"name": "more", "image": "a"}, {"name": "more", "image": "b"}],
        "extraInitContainers": [{"name": "first", "image": "a"}, {"name": "first", "image": "b"}],
        "hostAliases": [{"ip": "127.0.0.1", "hostnames": ["a"]}, {"ip": "127.0.0.1", "hostnames": ["b"]}],
        "imagePullSecrets": [{"name": "pull"}],
        "global": {"imagePullSecrets": [{"name": "pull"}]},
    })
}

/// A file with these values, and the flags that name it.
fn with<T>(values: &Value, test: impl FnOnce(&[&str]) -> T) -> T {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), values.to_string()).unwrap();
    test(&["--values", file.path().to_str().unwrap()])
}

#[test]
fn this_reader_refuses_a_duplicate_key() {
    assert!(serde_saphyr::from_multiple::<Value>("a: 1\nb: {c: 1, c: 2}\n").is_err());
}

#[test]
fn a_label_given_twice_appears_once_and_the_nearer_one_wins() {
    let rendered = with(&twice(), |flags| objects(&render(flags)));
    let at = |kind: &str, part: &str, key: &str| {
        let object = rendered.iter().find(|object| object["kind"] == kind).unwrap();
        object["metadata"][part][key].clone()
    };
    for (kind, team, owner) in [
        ("Deployment", "all", "deployment"),
        ("ServiceAccount", "account", "account"),
        ("Service", "service", "service"),
        ("ServiceMonitor", "monitor", "all"),
        ("PrometheusRule", "rules", "rules"),
        ("ConfigMap", "dashboard", "dashboard"),
        ("CustomResourceDefinition", "all", "crd"),
        ("ClusterRole", "all", "all"),
    ] {
        assert_eq!(
            (at(kind, "labels", "team"), at(kind, "annotations", "owner")),
            (team.into(), owner.into()),
            "{kind}"
        );
        assert_eq!(at(kind, "labels", "app.kubernetes.io/name"), "redistribution-operator", "{kind}");
        assert_eq!(at(kind, "labels", "app.kubernetes.io/version"), "9", "{kind}");
    }
    assert_eq!(at("CustomResourceDefinition", "annotations", "helm.sh/resource-policy"), "keep");
    assert_eq!(at("ServiceAccount", "labels", "helm.sh/chart"), "other");
}

#[test]
fn selectors_always_match_the_labels_of_the_pods() {
    let deployment = with(&twice(), |flags| only("Deployment", flags));
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    assert_eq!(labels["team"], "pods");
    for (key, value) in deployment["spec"]["selector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(&labels[key], value, "{key}");
    }
    assert_eq!(labels["app.kubernetes.io/instance"], "dws");
    assert_eq!(deployment["spec"]["template"]["metadata"]["annotations"], json!({"owner": "pods"}));
}

#[test]
fn an_entry_given_twice_appears_once_and_the_last_one_wins() {
    let pod = with(&twice(), pod);
    let container = &pod["containers"][0];
    assert_eq!(container["env"], json!([{"name": "DWS_OPERATOR_HOLDER", "value": "me"}, {"name": "A", "value": "2"}]));
    assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/other");
    assert_eq!(
        (&container["readinessProbe"]["httpGet"], &container["readinessProbe"]["periodSeconds"]),
        (&Value::Null, &json!(5))
    );
    assert_eq!(pod["volumes"], json!([{"name": "ca", "emptyDir": {}}, {"name": "x", "emptyDir": {}}]));
    let mounts = json!([
        {"name": "x", "mountPath": "/x", "readOnly": true}, {"name": "x", "mountPath": "/etc/redistribution-operator/ca"},
    ]);
    assert_eq!(container["volumeMounts"], mounts);
    let images = |list: &str| pod[list].as_array().unwrap().iter().map(|one| one["image"].clone()).collect::<Vec<_>>();
    assert_eq!((images("containers").len(), images("containers")[1].clone()), (2, json!("b")));
    assert_eq!(images("initContainers"), ["b"]);
    assert_eq!(pod["hostAliases"], json!([{"ip": "127.0.0.1", "hostnames": ["b"]}]));
    assert_eq!(pod["imagePullSecrets"], json!([{"name": "pull"}]));
}
