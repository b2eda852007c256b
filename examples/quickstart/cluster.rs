//! The Kubernetes of the tour, and kubectl in its namespace.

use redistribution_operator::api::crd_yaml;
use serde_json::{Value, json};
use testbed::{ControlPlane, Failure, Options, Tools, simulator::Simulator};

pub const NAMESPACE: &str = "quickstart";

pub struct Cluster {
    pub plane: ControlPlane,
}

impl Cluster {
    pub async fn start() -> Result<Self, Failure> {
        let start = || ControlPlane::start(&Tools::new(), Options::default());
        let plane = tokio::task::spawn_blocking(start).await??;
        println!("    ready after {:.1} s at {}", plane.started_in().as_secs_f64(), plane.url());
        Ok(Self { plane })
    }

    /// Creates CRD, namespace and Secret.
    pub async fn prepare(&self, cloud: &Simulator) -> Result<(), Failure> {
        testbed::apply_crd(&self.plane.client().await?, &crd_yaml()?).await?;
        self.kubectl(&["create", "namespace", NAMESPACE])?;
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

    pub fn apply(&self, yaml: &str) -> Result<String, Failure> {
        self.run(&["apply", "-f", "-"], yaml)
    }

    pub fn objects(&self) -> Result<Vec<Value>, Failure> {
        let list: Value = serde_json::from_str(&self.kubectl(&["get", "clusterredistributions", "-o", "json"])?)?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    pub fn kubectl(&self, arguments: &[&str]) -> Result<String, Failure> {
        self.run(arguments, "")
    }

    /// The output, or why it failed.
    fn run(&self, arguments: &[&str], input: &str) -> Result<String, Failure> {
        let output = self.plane.kubectl_with_input(&[&["--namespace", NAMESPACE], arguments].concat(), input)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr).into()) }
    }
}
