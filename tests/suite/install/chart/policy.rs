//! The admission policy on a real API server: a wrong annotation is refused by name when it is set, and no other write
//! is ever refused.

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
