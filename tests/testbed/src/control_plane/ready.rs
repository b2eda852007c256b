//! Readiness of a control plane process, seen from outside. It must not assume that a running process is ready, nor
//! wait for one that has ended.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::{Api, Client};

use super::ControlPlane;
use crate::{
    eventually::try_eventually,
    failure::{Failure, tail},
    supervisor::is_running,
};

/// `/readyz` reports ok, and the namespace `default`, which is created after that, exists.
pub fn api_server(control_plane: &ControlPlane) -> Result<(), Failure> {
    let processes = [("etcd", control_plane.etcd), ("kube-apiserver", control_plane.api_server)];
    wait(control_plane, "kube-apiserver", &processes, async |client| {
        let request = http::Request::get("/readyz").body(Vec::new()).map_err(kube::Error::HttpError)?;
        client.request_text(request).await?;
        Api::<Namespace>::all(client).get("default").await.map(drop)
    })
}

/// The ServiceAccount `default`, which only a controller creates, exists.
pub fn controller_manager(control_plane: &ControlPlane, id: u32) -> Result<(), Failure> {
    wait(control_plane, "kube-controller-manager", &[("kube-controller-manager", id)], async |client| {
        Api::<ServiceAccount>::namespaced(client, "default").get("default").await.map(drop)
    })
}

/// On a thread and runtime of its own, so that it works within another runtime and without one.
fn wait(
    control_plane: &ControlPlane,
    name: &'static str,
    processes: &[(&'static str, u32)],
    look: impl AsyncFn(Client) -> Result<(), kube::Error> + Sync,
) -> Result<(), Failure> {
    let within = control_plane.options.ready_within;
    let waiting = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime?.block_on(async {
            let client = control_plane.client().await?;
            // The outer result is whether to continue, the inner one the result so far.
            let seen = try_eventually(within, "ready", async || {
                if let Some((name, _)) = processes.iter().find(|(_, id)| !is_running(*id)) {
                    return Ok(Some(*name));
                }
                let request = tokio::time::timeout(Duration::from_secs(5), look(client.clone()));
                match request.await {
                    Ok(Ok(())) => Ok(None),
                    Ok(Err(error)) => Err(error.to_string()),
                    Err(_) => Err("no answer within 5 s".to_owned()),
                }
            });
            match seen.await {
                Ok(None) => Ok(()),
                Ok(Some(name)) => {
                    let log = log(control_plane, name);
                    Err(format!("{name} ended by itself while the control plane started; its last lines:\n{log}")
                        .into())
                }
                Err(overdue) => Err(format!("{name}: {overdue}; its last lines:\n{}", log(control_plane, name)).into()),
            }
        })
    };
    std::thread::scope(|scope| match scope.spawn(waiting).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

fn log(control_plane: &ControlPlane, name: &str) -> String {
    let log = std::fs::read(control_plane.directory.join(format!("{name}.log"))).unwrap_or_default();
    tail(&String::from_utf8_lossy(&log))
}
