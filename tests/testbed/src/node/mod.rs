//! A node that runs real pods: kube-scheduler, containerd and kubelet beside a control plane, in a [`sandbox`]. It must
//! run nowhere else: it takes addresses, mounts file systems and leaves processes behind, all of which end with the
//! sandbox. It knows nothing of what runs in the pods.

mod files;
pub mod sandbox;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use k8s_openapi::api::core::v1::Node as NodeObject;
use kube::Api;

use crate::{
    control_plane::{ControlPlane, Options},
    eventually::try_eventually,
    failure::{During, Failure, tail},
    supervisor::{Supervisor, is_running},
    tools::{Tool, Tools},
};

/// The address under which pods reach the API server (it is that of Service default/kubernetes, so that no kube-proxy
/// is needed) and every other server in the sandbox.
pub const HOST: [u8; 4] = [10, 96, 0, 1];

const READY_WITHIN: Duration = Duration::from_secs(120);

/// A running node; it ends with the sandbox.
pub struct Node {
    supervisor: Supervisor,
    ctr: PathBuf,
}

impl Node {
    /// Options of a control plane for a node.
    pub fn control_plane_options() -> Options {
        let [a, b, c, d] = HOST;
        let flags =
            [format!("--advertise-address={a}.{b}.{c}.{d}"), "--kubelet-preferred-address-types=InternalIP".to_owned()];
        Options { listen: ([0, 0, 0, 0], 443).into(), api_server_flags: flags.to_vec(), ..Options::default() }
    }

    /// Starts one, called `node`, with these images (docker archives, the pause image among them), and returns when the
    /// API server reports it as ready.
    pub async fn start(tools: &Tools, plane: &ControlPlane, images: &[PathBuf]) -> Result<Self, Failure> {
        let [scheduler, kubelet, containerd, shim, ctr] =
            tools.provide([Tool::KubeScheduler, Tool::Kubelet, Tool::Containerd, Tool::ContainerdShim, Tool::Ctr])?;
        plane.ensure_controller_manager()?;
        // containerd looks for the shim on PATH, and the shim for runc.
        let mut path = shim.parent().map(Path::to_owned).unwrap_or_default().into_os_string();
        path.push(":/usr/sbin:/usr/bin:/sbin:/bin");
        let environment = [("PATH".into(), path)];
        let supervisor =
            Supervisor::start(&environment, Stdio::inherit()).during("starting /bin/sh as a supervisor")?;
        let directory = supervisor.directory().to_owned();
        let pki = plane.directory().join("pki");
        files::write(&directory, &pki, &sandbox::cgroup()).during("writing the node's configuration")?;
        let mut node = Self { supervisor, ctr };

        let path_of = |name: &str| directory.join(name).into_os_string();
        let mut pids = vec![node.spawn(&containerd, "containerd", &["-c".into(), path_of("containerd.toml")])?];
        node.imported(images).await?;
        let kubeconfig = plane.kubeconfig_of("kube-scheduler")?.into_os_string();
        let scheduler_arguments =
            ["--kubeconfig".into(), kubeconfig, "--leader-elect=false".into(), "--secure-port=0".into()];
        pids.push(node.spawn(&scheduler, "kube-scheduler", &scheduler_arguments)?);
        let [a, b, c, d] = HOST;
        let kubelet_arguments = [
            "--config".into(),
            path_of("kubelet.yaml"),
            "--kubeconfig".into(),
            plane.kubeconfig_of("node")?.into_os_string(),
            "--root-dir".into(),
            path_of("kubelet"),
            "--hostname-override=node".into(),
            format!("--node-ip={a}.{b}.{c}.{d}").into(),
        ];
        pids.push(node.spawn(&kubelet, "kubelet", &kubelet_arguments)?);
        node.ready(plane, &pids).await?;
        Ok(node)
    }

    pub fn tag(&self, image: &str, name: &str) -> Result<(), Failure> {
        let output = self.containerd(&["images", "tag", image, name])?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("the image {image}: {}", String::from_utf8_lossy(&output.stderr)).into())
    }

    fn spawn(&mut self, program: &Path, name: &str, arguments: &[OsString]) -> Result<u32, Failure> {
        let log = self.supervisor.directory().join(format!("{name}.log"));
        // The supervisor's own umask would deny non-root users their container's root directory.
        let mut all: Vec<OsString> = ["-c", r#"umask 022; exec "$@""#, name].map(OsString::from).to_vec();
        all.push(program.into());
        all.extend_from_slice(arguments);
        self.supervisor.spawn(Path::new("/bin/sh"), &all, Some(&log)).during(format_args!("starting {name}"))
    }

    fn containerd(&self, arguments: &[&str]) -> Result<Output, Failure> {
        let mut command = Command::new(&self.ctr);
        command.arg("--address").arg(self.supervisor.directory().join("containerd.sock"));
        command.args(["--namespace", "k8s.io"]).args(arguments).output().during("running ctr")
    }

    async fn imported(&self, images: &[PathBuf]) -> Result<(), Failure> {
        let answers = try_eventually(READY_WITHIN, "containerd answers", async || {
            let output = self.containerd(&["version"]).map_err(|error| error.to_string())?;
            if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
        });
        answers.await.map_err(|overdue| self.not_ready(overdue))?;
        for image in images {
            let output = self.containerd(&["images", "import", &image.to_string_lossy()])?;
            if !output.status.success() {
                return Err(
                    format!("the image {}: {}", image.display(), String::from_utf8_lossy(&output.stderr)).into()
                );
            }
        }
        Ok(())
    }

    async fn ready(&self, plane: &ControlPlane, pids: &[u32]) -> Result<(), Failure> {
        let nodes = Api::<NodeObject>::all(plane.client().await?);
        let ready = try_eventually(READY_WITHIN, "the node is ready", async || {
            if let Some(pid) = pids.iter().find(|pid| !is_running(**pid)) {
                return Ok(Err(format!("process {pid} has ended")));
            }
            let node = nodes.get("node").await.map_err(|error| error.to_string())?;
            let conditions = node.status.and_then(|status| status.conditions).unwrap_or_default();
            match conditions.into_iter().find(|condition| condition.type_ == "Ready") {
                Some(ready) if ready.status == "True" => Ok(Ok(())),
                other => Err(other.and_then(|ready| ready.message).unwrap_or_else(|| "no condition Ready".to_owned())),
            }
        });
        match ready.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(ended)) => Err(self.not_ready(ended)),
            Err(overdue) => Err(self.not_ready(overdue)),
        }
    }

    fn not_ready(&self, why: impl std::fmt::Display) -> Failure {
        let last = |name: &str| {
            let log = std::fs::read_to_string(self.supervisor.directory().join(name)).unwrap_or_default();
            format!("{name}:\n{}\n", tail(&log))
        };
        let logs = ["containerd.log", "kube-scheduler.log", "kubelet.log"].map(last).concat();
        format!("{why}; the logs' last lines:\n{logs}").into()
    }
}
