//! The Kubernetes cluster of the tour: one of its own, or, carefully, the user's.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use redistribution_operator::api::{crd_json, crd_yaml};
use serde_json::{Value, json};
use testbed::{ControlPlane, Options, Tool, Tools, simulator::Simulator};

use crate::{Failure, say};

const CRD: &str = "clusterredistributions.dws.huaweicloud.com";
/// Marks the objects that the tour created in the user's cluster, and which it may therefore remove.
const OURS: &str = "quickstart.dws.huaweicloud.com/made-by-the-tour";

pub struct Cluster {
    kubectl: PathBuf,
    kubeconfig: PathBuf,
    namespace: String,
    /// The user's cluster is left as it was found.
    own: Option<ControlPlane>,
}

impl Cluster {
    /// Starts one, building its programs first if this machine lacks them.
    pub async fn start() -> Result<Self, Failure> {
        say(
            "Starting a separate Kubernetes: etcd and kube-apiserver on loopback (built from Go modules the first time)",
        );
        let plane = tokio::task::spawn_blocking(|| ControlPlane::start(&Tools::new(), Options::default()))
            .await??;
        println!("    ready after {:.1} s at {}", plane.started_in().as_secs_f64(), plane.url());
        let [kubectl] = Tools::new().provide([Tool::Kubectl])?;
        let kubeconfig = plane.kubeconfig().to_owned();
        Self::new(kubectl, &kubeconfig, "quickstart", Some(plane))
    }

    /// Uses the user's cluster: only after naming it and asking, and never if a CRD of that name already exists.
    pub async fn of_the_user(kubeconfig: &Path, yes: bool) -> Result<Self, Failure> {
        let [kubectl] = tokio::task::spawn_blocking(|| Tools::new().provide([Tool::Kubectl])).await??;
        let namespace = format!("quickstart-{:06x}", rand::random::<u32>() & 0x00ff_ffff);
        let cluster = Self::new(kubectl, kubeconfig, &namespace, None)?;
        let context = cluster.kubectl(&["config", "current-context"], "")?;
        let server =
            cluster.kubectl(&["config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"], "")?;
        say(&format!("Using your cluster: context {}, {server}", context.trim()));
        println!("    It will get the CRD {CRD} and the namespace {namespace}; both are removed at the end.");
        if cluster.try_kubectl(&["get", "crd", CRD, "-o", "name"], "")?.status.success() {
            let made_by = cluster.kubectl(
                &["get", "crd", CRD, "-o", &format!("jsonpath={{.metadata.annotations.{}}}", OURS.replace('.', "\\."))],
                "",
            )?;
            if made_by.trim().is_empty() {
                return Err(format!("the CRD {CRD} already exists in the cluster and is not this tour's: its objects could be in use. Choose another cluster").into());
            }
        }
        if !yes && !confirmed()? {
            return Err("not confirmed; nothing was changed".into());
        }
        Ok(cluster)
    }

    fn new(kubectl: PathBuf, kubeconfig: &Path, namespace: &str, own: Option<ControlPlane>) -> Result<Self, Failure> {
        let kubeconfig = kubeconfig.canonicalize().map_err(|error| format!("{}: {error}", kubeconfig.display()))?;
        Ok(Self { kubectl, kubeconfig, namespace: namespace.to_owned(), own })
    }

    /// The control plane, if it is the tour's own.
    pub fn own(&self) -> Option<&ControlPlane> {
        self.own.as_ref()
    }

    /// The kubeconfig, for a user who wants to try commands.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Creates CRD, namespace and Secret.
    pub async fn prepare(&self, cloud: &Simulator) -> Result<(), Failure> {
        if let Some(plane) = &self.own {
            testbed::apply_crd(&plane.client().await?, &crd_yaml()?).await?;
        } else {
            let mut crd = crd_json()?;
            crd["metadata"]["annotations"] = json!({OURS: "true"});
            self.kubectl(&["apply", "--server-side", "-f", "-"], &crd.to_string())?;
            self.kubectl(&["wait", "--for=condition=Established", "--timeout=60s", &format!("crd/{CRD}")], "")?;
        }
        self.kubectl(&["create", "namespace", &self.namespace], "")?;
        self.secret("dws-redistribution-credentials", cloud.access_key(), cloud.secret_key())
    }

    /// A Secret with a key of the cloud.
    pub fn secret(&self, name: &str, access: &str, secret: &str) -> Result<(), Failure> {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
            "stringData": {"accessKey": access, "secretKey": secret}
        });
        self.apply(&secret.to_string()).map(drop)
    }

    /// `kubectl apply`; returns its output.
    pub fn apply(&self, yaml: &str) -> Result<String, Failure> {
        self.kubectl(&["apply", "-f", "-"], yaml)
    }

    /// The message with which the API server refuses this.
    pub fn refused(&self, yaml: &str) -> Result<String, Failure> {
        let output = self.try_kubectl(&["apply", "-f", "-"], yaml)?;
        if output.status.success() {
            return Err("the API server accepted a spec that it should have refused".into());
        }
        Ok(text(&output.stderr))
    }

    pub fn objects(&self) -> Result<Vec<Value>, Failure> {
        let list: Value = serde_json::from_str(&self.kubectl(&["get", "clusterredistributions", "-o", "json"], "")?)?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    pub fn version(&self) -> Result<String, Failure> {
        let version: Value = serde_json::from_str(&self.kubectl(&["version", "-o", "json"], "")?)?;
        Ok(version["serverVersion"]["gitVersion"].as_str().unwrap_or_default().to_owned())
    }

    /// Runs kubectl in the tour's namespace; returns its output, or why it failed.
    pub fn kubectl(&self, arguments: &[&str], input: &str) -> Result<String, Failure> {
        let output = self.try_kubectl(arguments, input)?;
        if output.status.success() {
            return Ok(text(&output.stdout));
        }
        Err(format!("kubectl {}: {}", arguments.join(" "), text(&output.stderr)).into())
    }

    fn try_kubectl(&self, arguments: &[&str], input: &str) -> Result<Output, Failure> {
        let mut command = Command::new(&self.kubectl);
        command.arg("--namespace").arg(&self.namespace).args(arguments).env("KUBECONFIG", &self.kubeconfig);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes())?;
        }
        Ok(child.wait_with_output()?)
    }

    /// Removes the tour's objects from the user's cluster; the tour's own cluster ends with the tour.
    pub fn tidy(&self) -> Result<(), Failure> {
        if self.own.is_none() {
            self.kubectl(&["delete", "namespace", &self.namespace, "--ignore-not-found", "--timeout=120s"], "")?;
            self.kubectl(&["delete", "crd", CRD, "--ignore-not-found", "--timeout=120s"], "")?;
        }
        Ok(())
    }
}

fn confirmed() -> Result<bool, Failure> {
    print!("    Continue? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}
