//! The control plane's guarantees for the tests that use it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::{
    Api, Client, Config,
    api::{DeleteParams, ListParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use testbed::{ControlPlane, access::Grant, apply_crd, eventually, fresh_namespace, supervisor::is_running};

const CRD: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: samples.testbed.invalid}
spec:
  group: testbed.invalid
  names: {kind: Sample, plural: samples}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";

async fn account(control_plane: &ControlPlane, namespace: &str, name: &str) -> Client {
    let path = control_plane.service_account_kubeconfig(namespace, name, None).await.unwrap();
    let kubeconfig = Kubeconfig::read_from(path).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

fn is_forbidden<T>(result: &kube::Result<T>) -> bool {
    matches!(result, Err(kube::Error::Api(status)) if status.code == 403)
}

#[tokio::test]
async fn kubectl_and_clients_reach_the_same_server() {
    let control_plane = ControlPlane::shared();
    println!("ready in {:?}", control_plane.started_in());
    let client = control_plane.client().await.unwrap();
    let namespace = fresh_namespace(&client, "kubectl").await.unwrap();
    let manifest = "{apiVersion: v1, kind: ConfigMap, metadata: {name: seen}, data: {by: kubectl}}";
    let said = control_plane.kubectl_with_input(&["apply", "-n", &namespace, "-f", "-"], manifest).unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let seen = Api::<ConfigMap>::namespaced(client, &namespace).get("seen").await.unwrap();
    assert_eq!(seen.data.unwrap()["by"], "kubectl");
    let said = control_plane.kubectl(&["get", "configmaps", "-n", &namespace, "-o", "name"]).unwrap();
    assert!(String::from_utf8_lossy(&said.stdout).contains("configmap/seen"));
    let metrics = control_plane.api_server_metrics().await.unwrap();
    assert!(metrics.contains("apiserver_request_total"));
}

#[tokio::test]
async fn a_crd_is_usable_when_apply_returns_even_if_two_apply_it() {
    let control_plane = ControlPlane::shared();
    let client = control_plane.client().await.unwrap();
    let namespace = fresh_namespace(&client, "crd").await.unwrap();
    let (one, other) = tokio::join!(apply_crd(&client, CRD), apply_crd(&client, CRD));
    one.unwrap();
    other.unwrap();
    let sample = "{apiVersion: testbed.invalid/v1, kind: Sample, metadata: {name: one}}";
    let said = control_plane.kubectl_with_input(&["apply", "-n", &namespace, "-f", "-"], sample).unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}

#[tokio::test]
async fn an_account_may_do_what_deploy_grants_and_nothing_else() {
    let control_plane = ControlPlane::shared();
    let admin = control_plane.client().await.unwrap();
    let namespace = fresh_namespace(&admin, "rights").await.unwrap();
    let elsewhere = fresh_namespace(&admin, "elsewhere").await.unwrap();
    let watch = [namespace.clone()];
    let mut grant = Grant { namespace: &namespace, name: "operator", watch: &watch, secrets: true };
    grant.apply(&admin).await.unwrap();

    let client = account(control_plane, &namespace, "operator").await;
    let secrets = Api::<Secret>::namespaced(client.clone(), &namespace);
    assert!(secrets.get_opt("absent").await.unwrap().is_none());
    assert!(is_forbidden(&secrets.list(&ListParams::default()).await), "Secrets are never listed");
    assert!(is_forbidden(&Api::<Secret>::namespaced(client.clone(), &elsewhere).get("absent").await));
    assert!(is_forbidden(&Api::<ConfigMap>::namespaced(client, &namespace).get("absent").await));

    grant.secrets = false;
    grant.apply(&admin).await.unwrap();
    assert!(is_forbidden(&secrets.get("absent").await), "the right to read Secrets was taken back");
}

#[tokio::test]
async fn a_namespace_is_deleted_once_the_controller_manager_runs() {
    let control_plane = ControlPlane::shared();
    let client = control_plane.client().await.unwrap();
    let namespace = fresh_namespace(&client, "deleted").await.unwrap();
    control_plane.ensure_controller_manager().unwrap();
    control_plane.ensure_controller_manager().unwrap();
    assert_eq!(control_plane.pids().len(), 3, "asked twice, started once");
    let namespaces = Api::<Namespace>::all(client);
    namespaces.delete(&namespace, &DeleteParams::default()).await.unwrap();
    // It did not exist before: how long the controller manager takes to start and to work depends on the machine.
    eventually(Duration::from_secs(600), "the namespace is gone", async || {
        match namespaces.get_opt(&namespace).await {
            Ok(None) => Ok(()),
            seen => Err(format!("{seen:?}")),
        }
    })
    .await;
}

#[test]
fn stopping_leaves_no_process_and_no_file() {
    let tools = testbed::Tools::new(testbed::Progress::OneLine);
    let control_plane = ControlPlane::start(&tools, testbed::Options::default()).unwrap();
    let (pids, directory) = (control_plane.pids(), control_plane.directory().to_owned());
    assert!(pids.iter().all(|id| is_running(*id)) && directory.exists());
    let begin = Instant::now();
    control_plane.stop();
    println!("stopped in {:?}", begin.elapsed());
    assert!(!pids.into_iter().any(is_running));
    assert!(!directory.exists());
}

#[test]
fn a_server_that_ends_at_once_is_an_error_with_its_output() {
    let tools = testbed::Tools::new(testbed::Progress::OneLine);
    let flags = vec!["--no-such-flag=1".to_owned()];
    let options = testbed::Options { api_server_flags: flags, ..testbed::Options::default() };
    let error = ControlPlane::start(&tools, options).unwrap_err().to_string();
    assert!(error.starts_with("kube-apiserver ended by itself") && error.contains("no-such-flag"), "{error}");
}
