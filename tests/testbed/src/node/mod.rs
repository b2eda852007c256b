//! A node that runs real pods: kube-scheduler, containerd and kubelet beside a control plane, in a [`sandbox`]. It must
//! run nowhere else: it takes addresses, mounts file systems and leaves processes behind, all of which end with the
//! sandbox. It knows nothing of what runs in the pods.

mod files;
pub mod sandbox;

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use k8s_openapi::api::core::v1::Node as NodeObject;
use kube::Api;

use crate::{
    control_plane::{ControlPlane, ControlPlaneError, Options},
    eventually::{Overdue, try_eventually},
    supervisor::{Supervisor, is_running},
    tools::{Tool, ToolError, Tools},
};

/// The address under which pods reach the API server (it is that of Service default/kubernetes, so that no kube-proxy
/// is needed) and every other server in the sandbox.
pub const HOST: [u8; 4] = [10, 96, 0, 1];

const READY_WITHIN: Duration = Duration::from_secs(120);

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    #[error(transparent)]
    Tool(#[from] ToolError),
    #[error(transparent)]
    ControlPlane(#[from] ControlPlaneError),
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
    /// An image could not be imported.
    #[error("the image {}: {said}", image.display())]
    Image {
        /// The archive, or its name.
        image: PathBuf,
        said: String,
    },
    /// It was not ready in time.
    #[error("{overdue}; the logs' last lines:\n{tail}")]
    NotReady { overdue: Overdue, tail: String },
}

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
    pub async fn start(tools: &Tools, plane: &ControlPlane, images: &[PathBuf]) -> Result<Self, NodeError> {
        let [scheduler, kubelet, containerd, shim, ctr] =
            tools.provide([Tool::KubeScheduler, Tool::Kubelet, Tool::Containerd, Tool::ContainerdShim, Tool::Ctr])?;
        plane.ensure_controller_manager()?;
        // containerd looks for the shim on PATH, and the shim for runc.
        let mut path = shim.parent().map(Path::to_owned).unwrap_or_default().into_os_string();
        path.push(":/usr/sbin:/usr/bin:/sbin:/bin");
        let environment = [("PATH".into(), path)];
        let supervisor =
            Supervisor::start(&environment, Stdio::inherit()).map_err(io("starting /bin/sh as a supervisor"))?;
        let directory = supervisor.directory().to_owned();
        let pki = plane.directory().join("pki");
        files::write(&directory, &pki, &sandbox::cgroup()).map_err(io("writing the node's configuration"))?;
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

    pub fn tag(&self, image: &str, name: &str) -> Result<(), NodeError> {
        let output = self.containerd(&["images", "tag", image, name])?;
        if output.status.success() {
            return Ok(());
        }
        Err(NodeError::Image { image: image.into(), said: String::from_utf8_lossy(&output.stderr).into_owned() })
    }

    fn spawn(&mut self, program: &Path, name: &str, arguments: &[OsString]) -> Result<u32, NodeError> {
        let log = self.supervisor.directory().join(format!("{name}.log"));
        // The supervisor's own umask would deny non-root users their container's root directory.
        let mut all: Vec<OsString> = ["-c", r#"umask 022; exec "$@""#, name].map(OsString::from).to_vec();
        all.push(program.into());
        all.extend_from_slice(arguments);
        self.supervisor.spawn(Path::new("/bin/sh"), &all, Some(&log)).map_err(io(&format!("starting {name}")))
    }

    fn containerd(&self, arguments: &[&str]) -> Result<Output, NodeError> {
        let mut command = Command::new(&self.ctr);
        command.arg("--address").arg(self.supervisor.directory().join("containerd.sock"));
        command.args(["--namespace", "k8s.io"]).args(arguments).output().map_err(io("running ctr"))
    }

    async fn imported(&self, images: &[PathBuf]) -> Result<(), NodeError> {
        let answers = try_eventually(READY_WITHIN, "containerd answers", async || {
            let output = self.containerd(&["version"]).map_err(|error| error.to_string())?;
            if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
        });
        answers.await.map_err(|overdue| NodeError::NotReady { overdue, tail: self.tail() })?;
        for image in images {
            let output = self.containerd(&["images", "import", &image.to_string_lossy()])?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                return Err(NodeError::Image { image: image.clone(), said });
            }
        }
        Ok(())
    }

    async fn ready(&self, plane: &ControlPlane, pids: &[u32]) -> Result<(), NodeError> {
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
        let overdue = match ready.await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(last_seen)) => Overdue { what: "the node is ready".to_owned(), deadline: READY_WITHIN, last_seen },
            Err(overdue) => overdue,
        };
        Err(NodeError::NotReady { overdue, tail: self.tail() })
    }

    fn tail(&self) -> String {
        let last = |name: &str| {
            let log = std::fs::read_to_string(self.supervisor.directory().join(name)).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            format!("{name}:\n{}\n", lines[lines.len().saturating_sub(15)..].join("\n"))
        };
        ["containerd.log", "kube-scheduler.log", "kubelet.log"].map(last).concat()
    }
}

fn io(what: &str) -> impl FnOnce(io::Error) -> NodeError {
    let what = what.to_owned();
    move |source| NodeError::Io { what, source }
}
