//! The simulator as a program in a pod: it publishes authority and key where an operator looks for them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use testbed::{ControlPlane, eventually};

/// Ends with the test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_simulator_publishes_authority_and_key_in_its_own_namespace() {
    let control_plane = ControlPlane::shared();
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dws-simulator"));
    command.args(["--listen=127.0.0.1:0", "--publish", "--secret-key=not-a-real-one", "--ca-out"]);
    command.arg(directory.path().join("ca.pem")).env("KUBECONFIG", control_plane.kubeconfig());
    let _program = Program(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap());

    let client = control_plane.client().await.unwrap();
    let secrets = Api::<Secret>::default_namespaced(client.clone());
    let secret = eventually(Duration::from_secs(60), "the Secret is there", async || {
        secrets.get("dws-redistribution-credentials").await.map_err(|error| error.to_string())
    })
    .await;
    let data = secret.data.unwrap();
    assert_eq!(data["accessKey"].0, b"SIMULATORACCESSKEY01");
    assert_eq!(data["secretKey"].0, b"not-a-real-one");
    let maps = Api::<ConfigMap>::default_namespaced(client);
    let published = maps.get("dws-simulator-ca").await.unwrap().data.unwrap();
    assert_eq!(published["ca.crt"], std::fs::read_to_string(directory.path().join("ca.pem")).unwrap());
}
