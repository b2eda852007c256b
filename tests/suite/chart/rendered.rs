//! What is rendered, on a real API server: taken without a warning, with exactly the rights that are documented, and an
//! admission policy that says what is wrong when it is applied.

use kube::api::DeleteParams;
use serde_json::{Value, json};

use super::{objects, render};
use crate::world::World;

/// Applies these and returns what kubectl said.
fn kubectl(world: &World, arguments: &[&str], objects: &[Value]) -> (bool, String) {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    let output = world.plane.kubectl_with_input(arguments, &list.to_string()).unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// With everything switched on that a plain API server knows.
const EVERYTHING: [&str; 16] = [
    "--set",
    "metrics.dashboard.enabled=true",
    "--set",
    "podDisruptionBudget.enabled=true",
    "--set",
    "networkPolicy.enabled=true",
    "--set",
    "rbac.aggregateWrite=true",
    "--set",
    "cloud.caBundle.configMapName=roots",
    "--set",
    "defaultCredentials.existingSecret=own",
    "--set",
    "credentials.allSecrets=true",
    "--set",
    "cloud.region=cn-north-4",
];

/// In the test's own namespace, under a name of its own for what is not namespaced.
fn release(world: &World, flags: &[&str]) -> Vec<Value> {
    let namespace = format!("namespaceOverride={}", world.namespace);
    let name = format!("fullnameOverride={}", world.namespace);
    let mut all = vec!["--set", &namespace, "--set", &name];
    all.extend(flags);
    objects(&render(&all)).into_iter().filter(|object| object["kind"] != "CustomResourceDefinition").collect()
}

#[tokio::test]
async fn a_real_api_server_takes_everything_without_a_warning() {
    let world = World::new().await;
    for flags in [&[][..], &EVERYTHING[..]] {
        let arguments = ["apply", "--server-side", "--dry-run=server", "--warnings-as-errors", "-f", "-"];
        let (taken, said) = kubectl(&world, &arguments, &release(&world, flags));
        assert!(taken && !said.contains("Warning"), "{said}");
    }
}

#[tokio::test]
async fn pods_are_taken_where_pod_security_is_restricted() {
    let world = World::new().await;
    let label = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    let namespaces = kube::Api::<k8s_openapi::api::core::v1::Namespace>::all(world.client.clone());
    namespaces
        .patch(&world.namespace, &kube::api::PatchParams::default(), &kube::api::Patch::Merge(label))
        .await
        .unwrap();
    let deployment = release(&world, &[]).into_iter().find(|object| object["kind"] == "Deployment").unwrap();
    let mut pod = deployment["spec"]["template"].clone();
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!("pod");
    pod["metadata"]["namespace"] = json!(world.namespace);
    // No controller makes a default ServiceAccount here, and none is needed to be admitted.
    let account = release(&world, &[]).into_iter().find(|object| object["kind"] == "ServiceAccount").unwrap();
    let (taken, said) = kubectl(&world, &["apply", "--server-side", "-f", "-"], &[account, pod]);
    assert!(taken, "{said}");
}

#[tokio::test]
async fn the_rights_are_these_and_no_others() {
    let world = World::new().await;
    let rendered: Vec<_> = release(&world, &[])
        .into_iter()
        .filter(|object| {
            ["Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "ServiceAccount"]
                .contains(&object["kind"].as_str().unwrap())
        })
        .collect();
    let (taken, said) = kubectl(&world, &["apply", "--server-side", "-f", "-"], &rendered);
    assert!(taken, "{said}");
    let account = format!("system:serviceaccount:{0}:{0}", world.namespace);
    let lease = format!("leases/{}", world.namespace);
    let table = [
        (true, "list", "clusterredistributions", "other"),
        (true, "watch", "clusterredistributions", "other"),
        (true, "get", "clusterredistributions", "other"),
        (false, "update", "clusterredistributions", "other"),
        (false, "patch", "clusterredistributions", "other"),
        (false, "delete", "clusterredistributions", "other"),
        (false, "create", "clusterredistributions", "other"),
        (true, "update", "clusterredistributions/status", "other"),
        (false, "patch", "clusterredistributions/status", "other"),
        (true, "get", "secrets/dws-redistribution-credentials", "other"),
        (false, "get", "secrets/another", "other"),
        (false, "list", "secrets", "other"),
        (false, "watch", "secrets", "other"),
        (true, "create", "events.events.k8s.io", "other"),
        (true, "create", "leases", &world.namespace),
        (true, "update", &lease, &world.namespace),
        (false, "update", "leases/another", &world.namespace),
        (false, "create", "leases", "other"),
        (false, "get", "pods", "other"),
        (false, "get", "configmaps", &world.namespace),
    ];
    for (may, verb, resource, namespace) in table {
        // With a slash kubectl means a name.
        let (resource, subresource) = match resource.strip_suffix("/status") {
            Some(resource) => (resource, "--subresource=status"),
            None => (resource, "--subresource="),
        };
        let arguments = ["auth", "can-i", verb, resource, subresource, "--as", &account, "-n", namespace];
        let said = testbed::try_eventually(crate::world::PATIENCE, &format!("{arguments:?}"), async || {
            let output = world.plane.kubectl(&arguments).unwrap();
            let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            // A binding has its effect a little after it was made; what was never granted stays so.
            if (said == "yes") == may { Ok(()) } else { Err(said) }
        })
        .await;
        assert!(said.is_ok(), "{}: may {verb} {resource}: {said:?}", world.namespace);
    }
}

#[tokio::test]
async fn a_wrong_annotation_is_refused_when_it_is_applied_with_the_known_ones() {
    let world = World::new().await;
    let mut policies: Vec<_> = release(&world, &[])
        .into_iter()
        .filter(|object| object["kind"].as_str().unwrap().starts_with("ValidatingAdmissionPolicy"))
        .collect();
    assert_eq!(policies.len(), 2);
    // Other tests on the same API server make objects with such annotations on purpose.
    policies[0]["spec"]["matchConstraints"]["namespaceSelector"] =
        json!({"matchLabels": {"kubernetes.io/metadata.name": world.namespace}});
    let (taken, said) = kubectl(&world, &["apply", "--server-side", "-f", "-"], &policies);
    assert!(taken, "{said}");
    let cluster = world.cluster();
    let object = |key: &str, value: &str| {
        json!({
            "apiVersion": "dws.huaweicloud.com/v1alpha1", "kind": "ClusterRedistribution",
            "metadata": {"name": "wish", "namespace": world.namespace, "annotations": {format!("dws.huaweicloud.com/{key}"): value}},
            "spec": serde_json::to_value(crate::world::spec(&cluster)).unwrap(),
        })
    };
    for (key, value, word) in [
        ("suspended", "true", "known are suspend, not-after and credentials-secret"),
        ("suspend", "yes", "must be \"true\" or \"false\""),
        ("not-after", "tomorrow", "RFC 3339"),
        ("not-after", "2026-12-01 18:00:00Z", "RFC 3339"),
        ("credentials-secret", "../other", "name of a Secret"),
    ] {
        testbed::eventually(crate::world::PATIENCE, &format!("{key}={value} is refused"), async || {
            let (taken, said) = kubectl(&world, &["apply", "--dry-run=server", "-f", "-"], &[object(key, value)]);
            if !taken && said.contains(word) { Ok(()) } else { Err(said) }
        })
        .await;
    }
    for (key, value) in
        [("suspend", "true"), ("not-after", "2026-12-01T18:00:00+08:00"), ("credentials-secret", "a.b-c")]
    {
        let (taken, said) = kubectl(&world, &["apply", "--dry-run=server", "-f", "-"], &[object(key, value)]);
        assert!(taken, "{said}");
    }
    let resource = "validatingadmissionpolicybindings";
    assert!(world.plane.kubectl(&["delete", resource, &world.namespace]).unwrap().status.success());
    drop(world.api().delete("wish", &DeleteParams::default()).await);
}
