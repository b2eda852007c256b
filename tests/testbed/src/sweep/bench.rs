//! The shared base of all plans of a run: one control plane, one simulated cloud, the built operator and its rights. It
//! runs no plan.

use std::{path::PathBuf, process::Command};

use kube::{
    Api, Client,
    core::{ApiResource, DynamicObject, GroupVersionKind},
};

use crate::{
    ControlPlane, Failure, Options as ControlPlaneOptions, Tools,
    access::Grant,
    apply_crd,
    credentials::{Credentials, token},
    fault_proxy::{FaultProxy, Network},
    fresh_namespace,
    operator::{self, OperatorCommand},
    simulator::{Options, Simulator},
};

const ACCOUNT: &str = "operator";

pub struct Bench {
    pub plane: ControlPlane,
    pub client: Client,
    /// The cloud that all operators call in the end.
    pub cloud: Simulator,
    pub network: Network,
    /// Whether operators check the cluster before each call, and call only while it waits.
    pub check: bool,
    /// Whether operators observe redistributions after each call.
    pub observe: bool,
    binary: PathBuf,
    token: String,
    home: String,
    /// The CRD, as YAML.
    pub crd: String,
}

impl Bench {
    pub async fn start(release: bool) -> Result<Self, Failure> {
        Self::with(operator::build(release)?).await
    }

    /// Starts a control plane of its own for this operator, and gives it the rights of `deploy/install.yaml`.
    pub async fn with(binary: PathBuf) -> Result<Self, Failure> {
        let crd = Command::new(&binary).arg("crd").output()?;
        if !crd.status.success() {
            return Err(String::from_utf8_lossy(&crd.stderr).into());
        }
        let start = || ControlPlane::start(&Tools::new(), ControlPlaneOptions::default());
        let plane = tokio::task::spawn_blocking(start).await??;
        let client = plane.client().await?;
        let crd = String::from_utf8(crd.stdout)?;
        apply_crd(&client, &crd).await?;
        let home = fresh_namespace(&client, "sweep").await?;
        Grant { namespace: &home, name: ACCOUNT, watch: &[], secrets: true }.apply(&client).await?;
        let token = token(&client, &home, ACCOUNT).await?;
        let cloud = Simulator::start(&Options::default())?;
        let network = Network::new(&plane, &cloud)?;
        Ok(Self { plane, client, cloud, network, check: false, observe: false, binary, token, home, crd })
    }

    pub fn grant(&self) -> Grant<'_> {
        Grant { namespace: &self.home, name: ACCOUNT, watch: &[], secrets: true }
    }

    pub fn objects(&self, namespace: &str) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("dws.huaweicloud.com", "v1alpha1", "ClusterRedistribution");
        let resource = ApiResource::from_gvk_with_plural(&kind, "clusterredistributions");
        Api::namespaced_with(self.client.clone(), namespace, &resource)
    }

    /// Command line of an operator of this namespace, behind this proxy, with these further flags.
    pub fn command(
        &self,
        namespace: &str,
        proxy: &FaultProxy,
        flags: impl IntoIterator<Item = String>,
    ) -> Result<OperatorCommand, Failure> {
        let url = proxy.kubernetes_url();
        let kubeconfig = self.kubeconfig(&url, self.network.ca_pem())?;
        Ok(self.command_with(namespace, kubeconfig, &proxy.cloud_url(), self.network.ca_file(), flags))
    }

    /// The same without a proxy in between.
    pub fn direct(&self, namespace: &str, flags: impl IntoIterator<Item = String>) -> Result<OperatorCommand, Failure> {
        let kubeconfig = self.kubeconfig(self.plane.url(), self.plane.ca_pem())?;
        Ok(self.command_with(namespace, kubeconfig, &self.cloud.url(), self.cloud.ca_file(), flags))
    }

    /// Flags for prechecks and observation, with short times.
    pub fn read_flags(&self) -> Vec<String> {
        let check = ["--check-cluster=require", "--check-every=1s"].into_iter().filter(|_| self.check);
        let observe = ["--observe", "--observe-every=1s", "--settle-time=4s"].into_iter().filter(|_| self.observe);
        check.chain(observe).map(str::to_owned).collect()
    }

    fn kubeconfig(&self, url: &str, ca_pem: &str) -> Result<PathBuf, Failure> {
        let credentials = Credentials { url, ca_pem, token: &self.token, namespace: &self.home };
        let path = self.plane.directory().join(format!("{:016x}.kubeconfig", rand::random::<u64>()));
        std::fs::write(&path, credentials.kubeconfig())?;
        Ok(path)
    }

    fn command_with(
        &self,
        namespace: &str,
        kubeconfig: PathBuf,
        cloud: &str,
        ca: &std::path::Path,
        flags: impl IntoIterator<Item = String>,
    ) -> OperatorCommand {
        let own = ["--region=lab".to_owned(), format!("--endpoint=lab={cloud}"), "--rate-limit=0".to_owned()];
        let ca = format!("--ca-bundle={}", ca.display());
        OperatorCommand {
            binary: self.binary.clone(),
            kubeconfig,
            watch: vec![namespace.to_owned()],
            log_level: "debug".to_owned(),
            arguments: own.into_iter().chain([ca]).chain(flags).map(Into::into).collect(),
            environment: Vec::new(),
        }
    }
}
