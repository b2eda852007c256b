//! The control plane's guarantees for the tests that use it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api, Client, Config,
    api::ListParams,
    config::{KubeConfigOptions, Kubeconfig},
};
use testbed::{ControlPlane, access::Grant, fresh_namespace, supervisor::is_running};

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

#[test]
fn stopping_leaves_no_process_and_no_file() {
    let tools = testbed::Tools::new();
    let control_plane = ControlPlane::start(&tools, testbed::Options::default()).unwrap();
    let (pids, directory) = (control_plane.pids(), control_plane.directory().to_owned());
    assert!(pids.iter().all(|id| is_running(*id)) && directory.exists());
    control_plane.stop();
    assert!(!pids.into_iter().any(is_running));
    assert!(!directory.exists());
}

#[test]
fn a_server_that_ends_at_once_is_an_error_with_its_output() {
    let tools = testbed::Tools::new();
    let flags = vec!["--no-such-flag=1".to_owned()];
    let options = testbed::Options { api_server_flags: flags, ..testbed::Options::default() };
    let error = ControlPlane::start(&tools, options).unwrap_err().to_string();
    assert!(error.starts_with("kube-apiserver ended by itself") && error.contains("no-such-flag"), "{error}");
}
