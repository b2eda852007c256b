//! An upgrade of a release whose Deployment was scaled by another account, on a real API server. No pod runs.

use serde_json::json;

use super::{directory, helm};
use crate::support::world::World;

#[tokio::test]
async fn an_upgrade_meets_a_conflict_while_the_deployment_is_scaled_otherwise() {
    let world = World::new().await;
    let (directory, namespace) = (directory(), world.namespace.as_str());
    let kubeconfig = world.plane.kubeconfig().to_str().unwrap().to_owned();
    let run = |arguments: &[&str]| {
        let chart = [namespace, directory.to_str().unwrap(), "--kubeconfig", &kubeconfig, "--namespace", namespace];
        let values = "image.repository=a,fullnameOverride=dws,rbac.create=false,admissionPolicy.enabled=false,crds.install=false";
        let output = helm(&[arguments, &chart, &["--set", values]].concat());
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let kubectl = |arguments: &[&str]| {
        let output = world.plane.kubectl(&[arguments, &["--namespace", namespace]].concat()).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let replicas = || json!(kubectl(&["get", "deployment", "dws", "--output=jsonpath={.spec.replicas}"]));
    assert_eq!(run(&["install"]), (true, String::new()));
    kubectl(&["scale", "deployment/dws", "--replicas=3"]);
    let (done, said) = run(&["upgrade"]);
    assert!(!done && said.contains("conflict") && said.contains(".spec.replicas"), "{said}");
    assert_eq!(replicas(), "3", "nothing was changed");
    // Both ways in the guide work.
    kubectl(&["scale", "deployment/dws", "--replicas=2"]);
    assert_eq!(run(&["upgrade"]), (true, String::new()));
    kubectl(&["scale", "deployment/dws", "--replicas=3"]);
    assert_eq!(run(&["upgrade", "--force-conflicts"]), (true, String::new()));
    assert_eq!(replicas(), "2");
    // A replica count of 0 has no field owner: the upgrade starts the stopped Deployment.
    kubectl(&["scale", "deployment/dws", "--replicas=0"]);
    assert_eq!(run(&["upgrade"]), (true, String::new()));
    assert_eq!(replicas(), "2");
}
