//! The health check as a patch of Argo CD's ConfigMap: generated from the script, and accepted by a real API server.

use serde_json::{Value, json};

use super::{directory, read};
use crate::{install::chart::generated, support::world::World};

const KEY: &str = "resource.customizations.health.dws.huaweicloud.com_ClusterRedistribution";

#[test]
fn the_generated_config_map_holds_exactly_this_health_check() {
    let script = read("argocd-health.lua");
    let indented: String =
        script.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("    {line}\n") }).collect();
    let wanted = format!(
        "# Teaches Argo CD the health of a ClusterRedistribution. Generated from argocd-health.lua; a test compares. Other keys of\n# the ConfigMap stay as they are:\n#   kubectl patch configmap argocd-cm --namespace argocd --patch-file deploy/gitops/argocd-cm.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: argocd-cm\ndata:\n  {KEY}: |\n{indented}"
    );
    generated::is(&directory().join("argocd-cm.yaml"), &wanted);
    let map: Value = serde_saphyr::from_str(&wanted).unwrap();
    assert_eq!(map["data"], json!({KEY: script}));
}

#[tokio::test]
async fn the_config_map_is_patched_in_and_leaves_other_keys_alone() {
    let world = World::new().await;
    let kubectl = |arguments: &[&str]| {
        let output = world.plane.kubectl(&[arguments, &["-n", &world.namespace]].concat()).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    kubectl(&["create", "configmap", "argocd-cm", "--from-literal=url=https://argocd.example.com"]);
    let patch = directory().join("argocd-cm.yaml");
    kubectl(&["patch", "configmap", "argocd-cm", "--patch-file", patch.to_str().unwrap()]);
    let map: Value = serde_json::from_slice(&kubectl(&["get", "configmap", "argocd-cm", "-o", "json"])).unwrap();
    let wanted = json!({"url": "https://argocd.example.com", KEY: read("argocd-health.lua")});
    assert_eq!(map["data"], wanted);
}
