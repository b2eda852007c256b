//! The chart's output on a real API server: accepted without a warning, with exactly the documented rights, and with an
//! admission policy that reports its own errors when it is applied.

use serde_json::{Value, json};

use super::{combinations::combinations, objects, render};
use crate::support::world::World;

fn kubectl(world: &World, arguments: &[&str], objects: &[Value]) -> (bool, String) {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    let output = world.plane.kubectl_with_input(arguments, &list.to_string()).unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// In the test's own namespace, with unique names for objects without a namespace.
fn release(world: &World, flags: &[&str]) -> Vec<Value> {
    let namespace = format!("namespaceOverride={}", world.namespace);
    let name = format!("fullnameOverride={}", world.namespace);
    let mut all = vec!["--set", &namespace, "--set", &name];
    all.extend(flags);
    objects(&render(&all)).into_iter().filter(|object| object["kind"] != "CustomResourceDefinition").collect()
}

/// In one request: objects that several combinations share are sent once.
#[tokio::test]
async fn a_real_api_server_takes_every_combination_without_a_warning() {
    let world = World::new().await;
    let mut all = Vec::new();
    for flags in combinations() {
        for object in release(&world, &flags) {
            // The kinds of the Prometheus operator are absent, and so are the namespaces that some of the values name.
            let namespace = &object["metadata"]["namespace"];
            let is_here = namespace.is_null() || *namespace == world.namespace;
            let is_known = object["apiVersion"] != "monitoring.coreos.com/v1";
            if is_here && is_known && !all.contains(&object) {
                all.push(object);
            }
        }
    }
    assert!(all.len() > 40, "{}", all.len());
    let arguments = ["apply", "--server-side", "--dry-run=server", "--warnings-as-errors", "-f", "-"];
    let (taken, said) = kubectl(&world, &arguments, &all);
    assert!(taken && !said.contains("Warning"), "{said}");
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
    // No controller creates a default ServiceAccount here, and admission does not need one.
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
    let own = world.namespace.as_str();
    let table = [
        (true, "list", "clusterredistributions", "other"),
        (true, "watch", "clusterredistributions", "other"),
        (true, "get", "clusterredistributions", "other"),
        (false, "update", "clusterredistributions", "other"),
        (false, "patch", "clusterredistributions", "other"),
        (false, "delete", "clusterredistributions", "other"),
        (false, "create", "clusterredistributions", "other"),
        (true, "get", "clusterredistributions/status", "other"),
        (true, "update", "clusterredistributions/status", "other"),
        (false, "patch", "clusterredistributions/status", "other"),
        (false, "delete", "clusterredistributions/status", "other"),
        (true, "get", "secrets/dws-redistribution-credentials", "other"),
        (false, "get", "secrets/another", "other"),
        (false, "list", "secrets", "other"),
        (false, "watch", "secrets", "other"),
        (false, "create", "secrets", own),
        (false, "update", "secrets/dws-redistribution-credentials", own),
        (true, "create", "events.events.k8s.io", "other"),
        (true, "patch", "events.events.k8s.io", "other"),
        (true, "create", "leases", own),
        (true, "get", &lease, own),
        (true, "update", &lease, own),
        (false, "delete", &lease, own),
        (false, "list", "leases", own),
        (false, "get", "leases/another", own),
        (false, "update", "leases/another", own),
        (false, "create", "leases", "other"),
        (false, "get", "pods", "other"),
        (false, "list", "pods", own),
        (false, "create", "pods", own),
        (false, "get", "configmaps", own),
        (false, "list", "namespaces", own),
        (false, "impersonate", "users", own),
        (false, "get", "customresourcedefinitions.apiextensions.k8s.io", own),
    ];
    for (may, verb, resource, namespace) in table {
        // kubectl treats a word with a slash as a name.
        let (resource, subresource) = match resource.strip_suffix("/status") {
            Some(resource) => (resource, "--subresource=status"),
            None => (resource, "--subresource="),
        };
        let arguments = ["auth", "can-i", verb, resource, subresource, "--as", &account, "-n", namespace];
        let said = testbed::try_eventually(crate::support::world::PATIENCE, &format!("{arguments:?}"), async || {
            let output = world.plane.kubectl(&arguments).unwrap();
            let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            // A binding takes effect a little after it was created; a right that was never granted stays denied.
            if (said == "yes") == may { Ok(()) } else { Err(said) }
        })
        .await;
        assert!(said.is_ok(), "{}: may {verb} {resource}: {said:?}", world.namespace);
    }
}
