//! The admission policy on a real API server: a wrong annotation is refused by name when it is set, an object that would
//! hold too much is refused, and no other write is ever refused.

use serde_json::{Value, json};

use super::render;
use crate::support::world::{PATIENCE, World};

/// A namespace in which the policy applies once a test creates it there.
struct Guarded(World);

impl Guarded {
    async fn new() -> Self {
        Self(World::new().await)
    }

    /// Creates the policy, and waits until the API server enforces it.
    async fn guard(&self) {
        let name = format!("fullnameOverride={}", self.0.namespace);
        let rendered = super::objects(&render(&["--set", &name]));
        let is_policy = |object: &Value| object["kind"].as_str().unwrap().starts_with("ValidatingAdmissionPolicy");
        let mut policies: Vec<_> = rendered.into_iter().filter(is_policy).collect();
        assert_eq!(policies.len(), 2);
        // Other tests on the same API server create objects with such annotations on purpose.
        policies[0]["spec"]["matchConstraints"]["namespaceSelector"] =
            json!({"matchLabels": {"kubernetes.io/metadata.name": self.0.namespace}});
        for policy in policies {
            let (taken, said) = self.say(&["apply", "--server-side", "-f", "-"], &policy.to_string());
            assert!(taken, "{said}");
        }
        testbed::eventually(PATIENCE, "the policy holds", async || {
            let (taken, said) = self.dry_run("suspend", "perhaps");
            if taken { Err(said) } else { Ok(()) }
        })
        .await;
    }

    fn say(&self, arguments: &[&str], input: &str) -> (bool, String) {
        let all = [arguments, &["--namespace", &self.0.namespace]].concat();
        let output = self.0.plane.kubectl_with_input(&all, input).unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    /// Runs kubectl, which must succeed.
    fn ok(&self, arguments: &[&str]) -> String {
        let (taken, said) = self.say(arguments, "");
        assert!(taken, "{arguments:?}: {said}");
        said
    }

    fn object(&self, name: &str, key: &str, value: &str) -> Value {
        let metadata = json!({"name": name, "annotations": {format!("dws.huaweicloud.com/{key}"): value}});
        json!({
            "apiVersion": "dws.huaweicloud.com/v1alpha1", "kind": "ClusterRedistribution", "metadata": metadata,
            "spec": serde_json::to_value(crate::support::world::spec(&self.0.cluster())).unwrap(),
        })
    }

    /// Whether an object with this annotation would be accepted.
    fn dry_run(&self, key: &str, value: &str) -> (bool, String) {
        self.say(&["apply", "--dry-run=server", "-f", "-"], &self.object("tried", key, value).to_string())
    }

    /// An object with this metadata.
    fn holding(&self, name: &str, metadata: &Value) -> String {
        let mut object = self.object(name, "suspend", "true");
        object["metadata"] = metadata.clone();
        object["metadata"]["name"] = name.into();
        object.to_string()
    }

    fn create(&self, name: &str, metadata: &Value) -> (bool, String) {
        self.say(&["create", "-f", "-"], &self.holding(name, metadata))
    }

    fn patch(&self, name: &str, metadata: &Value) -> (bool, String) {
        let patch = json!({ "metadata": metadata }).to_string();
        self.say(&["patch", "clusterredistribution", name, "--type=merge", "--patch-file=/dev/stdin"], &patch)
    }

    fn end(&self) {
        self.ok(&["delete", "validatingadmissionpolicybindings,validatingadmissionpolicies", &self.0.namespace]);
    }
}

#[tokio::test]
async fn a_wrong_annotation_is_refused_by_its_name_and_the_known_ones_are_taken() {
    let world = Guarded::new().await;
    world.guard().await;
    for (key, value, words) in [
        ("suspended", "true", "; known under dws.huaweicloud.com/ are "),
        ("suspend", "yes", " must be \"true\" or \"false\""),
        ("not-after", "tomorrow", " must be an instant in RFC 3339"),
        ("not-after", "2026-12-01 18:00:00Z", " must be an instant in RFC 3339"),
        ("credentials-secret", "../other", " must be the name of a Secret"),
    ] {
        let (taken, said) = world.dry_run(key, value);
        let words = format!("annotation dws.huaweicloud.com/{key}{words}");
        assert!(!taken && said.contains(&words), "{key}={value}: {said}");
    }
    for (key, value) in
        [("suspend", "true"), ("not-after", "2026-12-01T18:00:00+08:00"), ("credentials-secret", "a.b-c")]
    {
        let (taken, said) = world.dry_run(key, value);
        assert!(taken, "{said}");
    }
    world.end();
}

#[tokio::test]
async fn an_object_with_a_wrong_annotation_can_be_edited_and_deleted() {
    let world = Guarded::new().await;
    let mut old = world.object("old", "suspended", "true");
    old["metadata"]["finalizers"] = json!(["example.com/kept"]);
    let (taken, said) = world.say(&["apply", "--server-side", "-f", "-"], &old.to_string());
    assert!(taken, "{said}");
    world.guard().await;

    world.ok(&["label", "clusterredistribution", "old", "team=warehouse"]);
    world.ok(&["annotate", "clusterredistribution", "old", "example.com/note=seen"]);
    // A correct annotation is accepted beside it; a wrong or changed one is not.
    world.ok(&["annotate", "clusterredistribution", "old", "dws.huaweicloud.com/suspend=true"]);
    for wrong in ["dws.huaweicloud.com/suspended=again", "dws.huaweicloud.com/suspend=no"] {
        let key = wrong.split('=').next().unwrap();
        let (taken, said) = world.say(&["annotate", "--overwrite", "clusterredistribution", "old", wrong], "");
        assert!(!taken && said.contains(&format!("annotation {key}")), "{wrong}: {said}");
    }
    // Otherwise a namespace that contains it would hang in Terminating.
    world.ok(&["delete", "clusterredistribution", "old", "--wait=false"]);
    let patch = r#"{"metadata":{"finalizers":null}}"#;
    world.ok(&["patch", "clusterredistribution", "old", "--type=merge", "--patch", patch]);
    let (found, said) = world.say(&["get", "clusterredistribution", "old"], "");
    assert!(!found && said.contains("NotFound"), "{said}");
    world.end();
}

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// So many labels or annotations with values of this length.
fn entries(count: usize, length: usize) -> Value {
    (0..count).map(|index| (format!("{index:05}"), Value::from("x".repeat(length)))).collect()
}

/// One annotation: key and value have so many bytes together.
fn bytes(count: usize) -> Value {
    json!({"note": "x".repeat(count - "note".len())})
}

fn finalizers(count: usize) -> Value {
    (0..count).map(|index| format!("example.com/{index}")).collect()
}

/// So many owner references of this length each, of a kind that the garbage collector does not know: it deletes objects whose
/// owners it can miss.
fn owners(count: usize, length: usize) -> Value {
    let owner = |index| {
        let uid = format!("{index:036}");
        let name = "x".repeat(length - "example.com/v1Owner".len() - uid.len());
        json!({"apiVersion": "example.com/v1", "kind": "Owner", "name": name, "uid": uid})
    };
    (0..count).map(owner).collect()
}

/// A name, the field, values at the bound, above it and further above it, and the policy's words.
fn bounds() -> [(&'static str, &'static str, [Value; 3], &'static str); 6] {
    [
        ("labels", "labels", [64, 65, 66].map(|count| entries(count, 63)), "expected at most 64 labels"),
        (
            "annotations",
            "annotations",
            [64, 65, 66].map(|count| entries(count, 100)),
            "expected at most 64 annotations",
        ),
        (
            "bytes",
            "annotations",
            [32_768, 32_769, 32_770].map(bytes),
            "expected annotations with at most 32768 bytes in all, keys and values, not 3",
        ),
        ("finalizers", "finalizers", [16, 17, 18].map(finalizers), "expected at most 16 finalizers"),
        (
            "owners",
            "ownerReferences",
            [16, 17, 18].map(|count| owners(count, 300)),
            "expected at most 16 owner references",
        ),
        (
            "owner",
            "ownerReferences",
            [1024, 1025, 1026].map(|length| owners(2, length)),
            "expected owner references with at most 1024 characters each",
        ),
    ]
}

#[tokio::test]
async fn an_object_is_accepted_at_each_bound_and_refused_above_it() {
    let world = Guarded::new().await;
    world.guard().await;
    for (name, field, [at, above, _], words) in bounds() {
        let (taken, said) = world.create(name, &json!({field: above}));
        assert!(!taken && said.contains(words), "{name}: {said}");
        let (taken, said) = world.create(name, &json!({field: at}));
        assert!(taken, "{name}: {said}");
        let (taken, said) = world.patch(name, &json!({field: above}));
        assert!(!taken && said.contains(words), "{name}: {said}");
    }
    // While it is being deleted, an object can hold no more than before.
    world.ok(&["delete", "clusterredistribution", "finalizers", "--wait=false"]);
    let (taken, said) = world.patch("finalizers", &json!({"labels": entries(65, 63)}));
    assert!(!taken && said.contains("expected at most 64 labels"), "{said}");
    let (taken, said) = world.patch("finalizers", &json!({"finalizers": null}));
    assert!(taken, "{said}");
    world.end();
}

#[tokio::test]
async fn a_policy_whose_cost_is_driven_up_refuses_all_the_same() {
    let world = Guarded::new().await;
    world.guard().await;
    for (name, metadata, words) in [
        ("keys", json!({"annotations": entries(10_000, 0)}), "expected at most 64 annotations"),
        ("values", json!({"annotations": entries(64, 4_000)}), "expected annotations with at most 32768 bytes"),
        ("labels", json!({"labels": entries(15_000, 63)}), "expected at most 64 labels"),
        ("owners", json!({"ownerReferences": owners(9_000, 70)}), "expected at most 16 owner references"),
    ] {
        let (taken, said) = world.create(name, &metadata);
        assert!(!taken && said.contains(words), "{name}: {}", said.chars().take(2_000).collect::<String>());
    }
    // Kubernetes' own bound, which the policy does not state again.
    let (taken, said) = world.create("most", &json!({"annotations": bytes(256 * 1024 + 1)}));
    assert!(!taken && said.contains("metadata.annotations: Too long: may not be more than 262144 bytes"), "{said}");
    world.end();
}

#[tokio::test]
async fn an_object_above_a_bound_can_be_edited_and_deleted_but_not_enlarged() {
    let world = Guarded::new().await;
    for (name, field, [_, above, _], _) in bounds() {
        let (taken, said) = world.create(name, &json!({field: above}));
        assert!(taken, "{name}: {said}");
    }
    world.guard().await;
    for (name, field, [_, above, further], words) in bounds() {
        world.ok(&["patch", "clusterredistribution", name, "--type=merge", "--patch", r#"{"spec":{"trigger":"2"}}"#]);
        let (taken, said) = world.patch(name, &json!({field: further}));
        assert!(!taken && said.contains(words), "{name}: {said}");
        let (taken, said) = world.patch(name, &json!({field: above}));
        assert!(taken, "{name}: {said}");
        // kubectl's and Argo CD's copy of the object grows with each field.
        let (taken, said) = world.patch(name, &json!({"annotations": {LAST_APPLIED: "x".repeat(1_000)}}));
        assert_eq!(taken, name != "annotations", "{name}: {said}");
        if name == "bytes" {
            let (taken, said) = world.patch(name, &json!({"annotations": {"short": ""}}));
            assert!(!taken && said.contains(words), "{said}");
        }
        world.ok(&["delete", "clusterredistribution", name, "--wait=false"]);
    }
    let left = world.ok(&["get", "clusterredistributions", "--output=name"]);
    assert_eq!(left.trim(), "clusterredistribution.dws.huaweicloud.com/finalizers");
    let (taken, said) = world.patch("finalizers", &json!({"finalizers": null}));
    assert!(taken, "{said}");
    world.end();
}

#[tokio::test]
async fn objects_of_gitops_tools_are_accepted() {
    let world = Guarded::new().await;
    world.guard().await;
    let note = "a note with \"quotes\" and words ".repeat(100);
    let metadata = json!({
        "labels": {"app.kubernetes.io/managed-by": "Helm", "kustomize.toolkit.fluxcd.io/name": "warehouses"},
        "annotations": {
            "argocd.argoproj.io/tracking-id": format!(
                "warehouses:dws.huaweicloud.com/ClusterRedistribution:{}/applied", world.0.namespace
            ),
            "example.com/note": note, "meta.helm.sh/release-name": "warehouses",
        },
    });
    // Applied by the client, which writes the whole object into an annotation.
    for trigger in ["first", "second-and-longer"] {
        let mut object: Value = serde_json::from_str(&world.holding("applied", &metadata)).unwrap();
        object["spec"]["trigger"] = trigger.into();
        let (taken, said) = world.say(&["apply", "-f", "-"], &object.to_string());
        assert!(taken, "{said}");
    }
    let held = world.ok(&["get", "clusterredistribution", "applied", "--output=json"]);
    let held: Value = serde_json::from_str(&held).unwrap();
    assert!(held["metadata"]["annotations"][LAST_APPLIED].as_str().unwrap().contains("second-and-longer"), "{held}");
    world.end();
}
