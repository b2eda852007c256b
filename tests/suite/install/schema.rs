//! The CRD, its samples, and specs that the API server refuses.

use std::{fs, path::Path};

use redistribution_operator::api::crd_yaml;
use serde_json::{Value, json};

use crate::{
    install::chart::generated,
    support::world::{World, spec},
};

const CRD: &str = "crds/clusterredistributions.dws.huaweicloud.com.yaml";

#[test]
fn the_committed_crd_is_the_generated_one() {
    generated::is(&Path::new(env!("CARGO_MANIFEST_DIR")).join(CRD), &crd_yaml().unwrap());
}

#[test]
fn every_field_is_described_bounded_and_free_of_known_tool_traps() {
    fn walk(path: &str, schema: &Value, seen: &mut usize) {
        let described = schema["description"].as_str().is_some_and(|text| text.len() > 10);
        assert!(described || path.is_empty(), "{path} has no description");
        for banned in ["nullable", "anyOf", "oneOf"] {
            assert!(schema[banned].is_null(), "{path} holds {banned}");
        }
        match schema["type"].as_str() {
            Some("string") => assert!(
                ["maxLength", "enum", "format"].iter().any(|bound| !schema[*bound].is_null()),
                "{path} is unbounded"
            ),
            Some("integer") => assert!(matches!(schema["format"].as_str(), Some("int32" | "int64")), "{path}"),
            Some("array") => {
                assert!(!schema["maxItems"].is_null(), "{path} is unbounded");
                walk(&format!("{path}[]"), &schema["items"], seen);
            }
            Some("object" | "boolean") => {}
            other => panic!("{path} has type {other:?}"),
        }
        *seen += 1;
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            walk(&format!("{path}.{name}"), property, seen);
        }
    }
    let crd: Value = serde_saphyr::from_str(&crd_yaml().unwrap()).unwrap();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    assert!(schema["description"].as_str().unwrap().starts_with("Namespaced; Cluster means the DWS cluster"));
    let mut seen = 0;
    for part in ["spec", "status"] {
        walk(part, &schema["properties"][part], &mut seen);
    }
    assert!(seen > 40, "{seen}");
    for (name, field) in schema["properties"]["spec"]["properties"].as_object().unwrap() {
        let text = field["description"].as_str().unwrap();
        assert!(text.ends_with("a new request is sent.") && text.contains("Example: "), "{name}: {text}");
    }
}

#[tokio::test]
async fn every_sample_is_accepted() {
    let world = World::new().await;
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/samples");
    let mut count = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let output = world
            .plane
            .kubectl(&["apply", "--validate=strict", "-n", &world.namespace, "-f", path.to_str().unwrap()])
            .unwrap();
        assert!(output.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
        count += 1;
    }
    assert!(count >= 3);
}

#[tokio::test]
async fn a_wrong_spec_is_refused_with_a_message_that_names_field_and_range() {
    let world = World::new().await;
    let good = serde_json::to_value(spec("e59d6b86-9072-46eb-a996-13f8b44994c1")).unwrap();
    let cases = [
        ("projectID", json!(null), "spec.projectID: Required value"),
        ("clusterID", json!(null), "spec.clusterID: Required value"),
        ("redisMode", json!(null), "spec.redisMode: Required value"),
        ("parallelJobs", json!(null), "spec.parallelJobs: Required value"),
        ("parallelJobs", json!(0), "greater than or equal to 1"),
        ("parallelJobs", json!(33), "less than or equal to 32"),
        ("parallelJobs", json!("3"), "must be of type integer"),
        ("redisMode", json!("Online"), "supported values: \"online\", \"offline\""),
        ("redisMode", json!("fast"), "supported values: \"online\", \"offline\""),
        ("projectID", json!("../x"), "exactly 32 letters and digits"),
        ("projectID", json!("89cd04f168b84af6be287f71730fdb4"), "exactly 32 letters and digits"),
        ("clusterID", json!("e59d6b8690724 6eba99613f8b44994c1"), "UUID of 36 characters"),
        ("clusterID", json!("g59d6b86-9072-46eb-a996-13f8b44994c1"), "UUID of 36 characters"),
        ("region", json!("dws.example.com"), "never a host name"),
        ("region", json!(""), "never a host name"),
        ("trigger", json!("x".repeat(254)), "may not be more than 253"),
        ("jobs", json!(3), "unknown field \"spec.jobs\""),
    ];
    for (number, (field, value, told)) in cases.into_iter().enumerate() {
        let mut spec = good.clone();
        let fields = spec.as_object_mut().unwrap();
        if value.is_null() {
            drop(fields.remove(field));
        } else {
            drop(fields.insert(field.to_owned(), value));
        }
        let object = json!({
            "apiVersion": "dws.huaweicloud.com/v1alpha1", "kind": "ClusterRedistribution",
            "metadata": {"name": format!("wrong-{number}"), "namespace": world.namespace}, "spec": spec
        });
        let output = world.plane.kubectl_with_input(&["create", "-f", "-"], &object.to_string()).unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(told) && error.contains(field), "{field}: {error}");
    }
    for (name, cluster) in
        [("lower", "e59d6b86-9072-46eb-a996-13f8b44994c1"), ("upper", "E59D6B86-9072-46EB-A996-13F8B44994C1")]
    {
        world.create(name, cluster).await;
    }
}
