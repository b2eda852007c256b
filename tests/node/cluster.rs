//! The one cluster of the run: a control plane and a node, started by the first story that needs them, ended by the
//! sandbox.

use std::{
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::OnceLock,
    thread,
};

use testbed::{ControlPlane, Tool, Tools, node::Node};

use crate::images;

pub struct Cluster {
    pub plane: ControlPlane,
    pub node: Node,
    helm: PathBuf,
}

impl Cluster {
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        // On a thread of its own, since the caller's may be driving a runtime.
        SHARED.get_or_init(|| thread::spawn(Self::start).join().expect("the cluster starts"))
    }

    fn start() -> Self {
        let tools = Tools::new();
        let [helm] = tools.provide([Tool::Helm]).unwrap_or_else(|error| panic!("{error}"));
        let plane = ControlPlane::start(&tools, Node::control_plane_options());
        let plane = plane.unwrap_or_else(|error| panic!("no control plane: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let node = runtime.block_on(Node::start(&tools, &plane, &images::archives()));
        let node = node.unwrap_or_else(|error| panic!("no node: {error}"));
        Self { plane, node, helm }
    }

    /// Runs Helm as an administrator.
    pub fn helm(&self, arguments: &[&str]) -> Output {
        let home = self.plane.directory().join("helm");
        let mut command = Command::new(&self.helm);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("KUBECONFIG", self.plane.kubeconfig());
        // Without HOME, Helm would keep its cache of the API in the working directory.
        command.envs(["HOME", "HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"].map(|name| (name, &home)));
        command.args(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs kubectl as an administrator.
    pub fn kubectl(&self, arguments: &[&str]) -> Output {
        self.plane.kubectl(arguments).unwrap()
    }
}
