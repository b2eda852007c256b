//! Values: what is wrong is refused with a readable message, and everything that can be set does something.

use std::fs;

use serde_json::{Value, json};

use super::{directory, helm, objects, render};

fn schema() -> Value {
    serde_json::from_str(&fs::read_to_string(directory().join("values.schema.json")).unwrap()).unwrap()
}

/// Every value that has examples, by its path.
fn leaves(schema: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    if schema.get("examples").is_some() {
        found.push((path.to_owned(), schema.clone()));
        return;
    }
    for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        leaves(inner, &path, found);
    }
}

fn set(path: &str, value: &Value) -> String {
    format!("{path}={value}")
}

#[test]
fn helm_finds_nothing_to_complain_about() {
    let directory = directory();
    let output = helm(&["lint", "--strict", directory.to_str().unwrap(), "--set", "image.repository=example/operator"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && !said.contains("WARNING"), "{said}");
}

#[test]
fn every_value_is_in_the_schema_and_every_value_of_the_schema_has_an_effect() {
    let values: Value = serde_saphyr::from_str(&fs::read_to_string(directory().join("values.yaml")).unwrap()).unwrap();
    let (schema, mut found) = (schema(), Vec::new());
    assert_eq!(
        values.as_object().unwrap().len() + 1,
        schema["properties"].as_object().unwrap().len(),
        "global besides"
    );
    leaves(&schema, "", &mut found);
    assert!(found.len() > 80, "{}", found.len());
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
fn wrong_values_are_refused_in_words() {
    let directory = directory();
    let refusals = [
        (json!({}), "image.repository is required"),
        (json!({"replica": 1}), "replica"),
        (json!({"image": {"repository": "a", "digest": "sha256:abc"}}), "/image/digest"),
        (json!({"pace": {"concurrency": 0}}), "/pace/concurrency"),
        (json!({"pace": {"requestTimeout": "soon"}}), "/pace/requestTimeout"),
        (json!({"log": {"format": "xml"}}), "/log/format"),
        (json!({"watchNamespaces": "team"}), "/watchNamespaces"),
        (json!({"image": {"repository": "registry.example.com:5000/team/operator:0.1.0"}}), "/image/repository"),
        (json!({"fullnameOverride": "redistribution.operator"}), "/fullnameOverride"),
        (json!({"fullnameOverride": "2nd"}), "/fullnameOverride"),
        (json!({"cloud": {"endpoints": {"lab": "dws.example.com"}}}), "/cloud/endpoints/lab"),
        (json!({"cloud": {"endpoints": {"lab": "http://dws.example.com"}}}), "/cloud/endpoints/lab"),
        (json!({"cloud": {"endpoints": {"lab": "http://127.0.0.1.example.com"}}}), "/cloud/endpoints/lab"),
        (json!({"cloud": {"endpoints": {"lab": "https://dws.example.com/v2"}}}), "/cloud/endpoints/lab"),
        (json!({"cloud": {"iamEndpoints": {"lab": "iam.example.com"}}}), "/cloud/iamEndpoints/lab"),
        (json!({"cloud": {"iamEndpoints": {"lab": "http://localhost.example.com"}}}), "/cloud/iamEndpoints/lab"),
        (json!({"networkPolicy": {"extraPorts": [0]}}), "/networkPolicy/extraPorts/0"),
        (json!({"cloud": {"proxy": "https://proxy.example.com"}}), "/cloud/proxy"),
        (
            json!({"image": {"repository": "a"}, "pace": {"requestTimeout": "1m15s"}}),
            "terminationGracePeriodSeconds must be above pace.requestTimeout + 15 s (90)",
        ),
        (
            json!({"image": {"repository": "a"}, "defaultCredentials": {"namespaces": ["team"]}}),
            "defaultCredentials.namespaces needs defaultCredentials.existingSecret: ",
        ),
    ];
    for (values, word) in refusals {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), values.to_string()).unwrap();
        let output = helm(&["template", "dws", directory.to_str().unwrap(), "--values", file.path().to_str().unwrap()]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned().replace('.', "/")
            + &String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(word), "{values}: {said}");
    }
    // What is close to them is taken.
    for (path, value) in [
        ("image.repository", "operator"),
        ("image.repository", "registry.example.com:5000/team/operator"),
        ("fullnameOverride", "redistribution-operator-2"),
        ("cloud.endpoints.lab", "https://dws.example.com:8443/"),
        ("cloud.endpoints.lab", "http://127.0.0.1:8080"),
        ("cloud.iamEndpoints.lab", "http://[::1]:8080"),
    ] {
        render(&["--set-json", &set(path, &value.into())]);
    }
    // A parent chart hands its own values down.
    render(&["--set", "global.anything=1"]);
    let global =
        ["--set", "global.imageRegistry=registry.example.com", "--set", "global.imagePullSecrets[0].name=pull"];
    let deployment = objects(&render(&global)).into_iter().find(|object| object["kind"] == "Deployment").unwrap();
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["imagePullSecrets"], json!([{"name": "pull"}]));
    assert!(pod["containers"][0]["image"].as_str().unwrap().starts_with("registry.example.com/example/operator:"));
}

#[test]
fn what_must_not_be_put_together_is_not_rendered_together() {
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
    assert!(!kinds(&["--set", "leaderElection.enabled=false"]).contains(&"Role".to_owned()));
    let kept = |flags: &[&str]| {
        let crd = objects(&render(flags)).into_iter().find(|object| object["kind"] == "CustomResourceDefinition");
        crd.is_some_and(|crd| crd["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep")
    };
    assert!(kept(&[]) && !kept(&["--set", "crds.keep=false"]));
}

#[test]
fn the_network_policy_lets_out_to_the_ports_of_proxy_and_endpoints() {
    let ports = |flags: &[&str]| -> Vec<i64> {
        let rendered = objects(&render(&[&["--set", "networkPolicy.enabled=true"], flags].concat()));
        let policy = rendered.into_iter().find(|object| object["kind"] == "NetworkPolicy").unwrap();
        let rules = policy["spec"]["egress"].as_array().unwrap().clone();
        rules
            .iter()
            .flat_map(|rule| rule["ports"].as_array().unwrap())
            .map(|port| port["port"].as_i64().unwrap())
            .collect()
    };
    assert_eq!(ports(&[]), [53, 53, 443, 6443]);
    let lab =
        ["--set", "cloud.endpoints.lab=https://dws.example.com:8443", "--set", "cloud.endpoints.other=https://a:443"];
    assert_eq!(ports(&lab), [53, 53, 443, 6443, 8443]);
    let iam = [&lab[..], &["--set", "cloud.iamEndpoints.lab=https://iam.example.com:9443"]].concat();
    assert_eq!(ports(&iam), [53, 53, 443, 6443, 8443, 9443]);
    let both = [&lab[..], &["--set", "cloud.proxy=http://proxy.example.com:3128"]].concat();
    assert_eq!(ports(&both), [53, 53, 443, 6443, 3128, 8443]);
    assert_eq!(ports(&["--set", "cloud.proxy=http://proxy.example.com"]), [53, 53, 443, 6443, 80]);
    // A DNS is asked over both protocols; what is open already is not said again.
    let further = [&lab[..], &["--set", "networkPolicy.extraPorts={53,5353,6443,8443}"]].concat();
    assert_eq!(ports(&further), [53, 53, 443, 6443, 8443, 5353, 5353]);
}

/// The containers of the pods with these flags.
fn containers(flags: &[&str]) -> Vec<Value> {
    let deployment = objects(&render(flags)).into_iter().find(|object| object["kind"] == "Deployment").unwrap();
    deployment["spec"]["template"]["spec"]["containers"].as_array().unwrap().clone()
}

#[test]
fn the_operator_is_the_first_container_of_its_pod_which_kubectl_takes_for_the_meant_one() {
    let more = r#"extraContainers=[{"name":"more","image":"example/more:1"}]"#;
    let names: Vec<_> = containers(&["--set-json", more]).iter().map(|container| container["name"].clone()).collect();
    assert_eq!(names, ["operator", "more"]);
}

#[test]
fn what_is_off_leaves_no_flag_that_would_outweigh_its_environment_twin() {
    let flags = |flags: &[&str]| containers(flags)[0]["args"].to_string();
    let (off, on) = (flags(&[]), flags(&["--set", "checkCluster=warn", "--set", "observe.enabled=true"]));
    for flag in ["--check-cluster", "--check-every", "--observe", "--observe-every", "--settle-time"] {
        assert!(!off.contains(flag) && on.contains(flag), "{flag}: {off} {on}");
    }
}
