//! The environment of a story: a namespace that enforces Pod Security `restricted`, a cloud of its own that pods can
//! reach, and the chart to install. It asserts nothing about the operator, only that the commands it needs succeed.

use std::{
    net::Ipv4Addr,
    path::Path,
    process::Output,
    time::{Duration, Instant},
};

use kube::{Api, Client, ResourceExt, api::ListParams};
use redistribution_operator::api::{ClusterRedistribution, crd_yaml};
use serde_json::{Value, json};
use testbed::{
    apply_crd, eventually, fresh_namespace,
    node::HOST,
    simulator::{Options, Simulator},
};

use crate::{cluster::Cluster, images};

/// Longest wait for anything. Generous: a wait ends as soon as its condition holds.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Project of all stories: the API page's own.
pub const PROJECT: &str = "89cd04f168b84af6be287f71730fdb4b";

/// One namespace, its cloud and its release.
pub struct Story {
    pub cluster: &'static Cluster,
    pub client: Client,
    pub namespace: String,
    pub cloud: Simulator,
}

impl Story {
    /// A namespace with good credentials in the default Secret, a cloud that accepts them, and the CRD.
    pub async fn new() -> Self {
        let story = Self::without_crd().await;
        apply_crd(&story.client, &crd_yaml().unwrap()).await.unwrap();
        story
    }

    /// The same without the CRD.
    pub async fn without_crd() -> Self {
        let cluster = Cluster::shared();
        let client = cluster.plane.client().await.unwrap();
        let namespace = fresh_namespace(&client, "story").await.unwrap();
        let host = Ipv4Addr::from(HOST);
        let options = Options {
            listen: (host, 0).into(),
            names: vec![host.to_string()],
            accept_any_cluster: true,
            ..Options::default()
        };
        let story = Self { cluster, client, namespace, cloud: Simulator::start(&options).unwrap() };
        story.ok(&["label", "namespace", &story.namespace, "pod-security.kubernetes.io/enforce=restricted"]);
        story.credentials(&story.namespace);
        let ca = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "cloud-ca"},
            "data": {"ca.crt": story.cloud.ca_pem()},
        });
        story.apply(&ca);
        story
    }

    /// Good credentials in the default Secret of a namespace.
    pub fn credentials(&self, namespace: &str) {
        self.apply(&json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "dws-redistribution-credentials", "namespace": namespace},
            "stringData": {"accessKey": self.cloud.access_key(), "secretKey": self.cloud.secret_key()},
        }));
    }

    /// Values that point the chart at the image and at this cloud, and select the objects of this story only.
    fn values(&self) -> Vec<String> {
        vec![
            format!("image.repository={}", images::REPOSITORY),
            format!("image.tag={}", images::TAG),
            "cloud.region=lab".to_owned(),
            format!("cloud.endpoints.lab={}", self.cloud.url()),
            "cloud.caBundle.configMapName=cloud-ca".to_owned(),
            format!("selector=story={}", self.namespace),
            "crds.install=false".to_owned(),
        ]
    }

    /// `helm install` or `helm upgrade`, with `--wait`; later values win.
    pub fn release(&self, verb: &str, further: &[&str]) -> Output {
        let further: Vec<_> = further.iter().flat_map(|value| ["--set", value]).collect();
        self.chart(verb, &[&["--wait", "--timeout", "2m"], &further[..]].concat())
    }

    /// Output of `helm template` with these flags; it must succeed.
    pub fn rendered(&self, further: &[&str]) -> String {
        let output = self.chart("template", further);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Helm with this release, the chart, the story's values and further flags.
    fn chart(&self, verb: &str, further: &[&str]) -> Output {
        let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/chart");
        let values = self.values();
        let mut arguments = vec![verb, &self.namespace, chart.to_str().unwrap(), "--namespace", &self.namespace];
        arguments.extend(values.iter().flat_map(|value| ["--set", value]));
        self.cluster.helm(&[&arguments, further].concat())
    }

    /// Installs the chart and returns the time until its pods were ready.
    pub fn install(&self, further: &[&str]) -> Duration {
        let begin = Instant::now();
        let output = self.release("install", further);
        assert!(output.status.success(), "helm install: {}", self.explained(&output));
        begin.elapsed()
    }

    /// Output of a command and the state of the pods, to explain a failure.
    fn explained(&self, output: &Output) -> String {
        let said = |output: Output| String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let pods = self.cluster.kubectl(&["describe", "pods", "--namespace", &self.namespace]);
        let logs = ["logs", "--selector", "app.kubernetes.io/name", "--prefix", "--namespace", &self.namespace];
        format!("{}\n{}\n{}", said(output.clone()), said(pods), said(self.cluster.kubectl(&logs)))
    }

    /// Runs Helm on this release; it must succeed.
    pub fn helm(&self, arguments: &[&str]) -> String {
        let output = self.cluster.helm(&[arguments, &["--namespace", &self.namespace]].concat());
        assert!(output.status.success(), "helm {arguments:?}: {}", self.explained(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs kubectl in the story's namespace; it must succeed.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.cluster.kubectl(&[&["--namespace", &self.namespace], arguments].concat());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// `kubectl apply`, in the story's namespace unless the object names another.
    pub fn apply(&self, object: &Value) {
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or(&self.namespace);
        let arguments = ["--namespace", namespace, "apply", "--filename", "-"];
        let output = self.cluster.plane.kubectl_with_input(&arguments, &object.to_string()).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The id of the DWS cluster with this number.
    pub fn warehouse(number: u64) -> String {
        format!("00000000-0000-0000-0000-{number:012}")
    }

    pub fn request(&self, name: &str, warehouse: &str) -> Value {
        json!({
            "apiVersion": "dws.huaweicloud.com/v1alpha1",
            "kind": "ClusterRedistribution",
            "metadata": {"name": name, "namespace": self.namespace, "labels": {"story": self.namespace}},
            "spec": {"projectID": PROJECT, "clusterID": warehouse, "redisMode": "online", "parallelJobs": 3},
        })
    }

    /// Requests another call, by the trigger.
    pub fn trigger(&self, name: &str, trigger: &str) {
        let patch = json!({"spec": {"trigger": trigger}}).to_string();
        self.ok(&["patch", "clusterredistribution", name, "--type=merge", "--patch", &patch]);
    }

    pub fn api(&self) -> Api<ClusterRedistribution> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Waits until every object's current generation has this reason.
    pub async fn wait_for_reason(&self, reason: &str) -> Vec<ClusterRedistribution> {
        let api = self.api();
        eventually(PATIENCE, &format!("every object has the reason {reason}"), async || {
            let objects = api.list(&ListParams::default()).await.map_err(|error| error.to_string())?.items;
            let said = objects.iter().map(|object| (object.name_any(), reason_of(object)));
            let others: Vec<_> = said.filter(|(_, said)| said.as_deref() != Some(reason)).collect();
            if others.is_empty() { Ok(objects) } else { Err(format!("{others:?}")) }
        })
        .await
    }

    /// A pod's answer on `/metrics`.
    pub fn metrics(&self, pod: &Value) -> String {
        let name = pod["metadata"]["name"].as_str().unwrap();
        self.ok(&["get", "--raw", &format!("/api/v1/namespaces/{}/pods/{name}:8080/proxy/metrics", self.namespace)])
    }

    /// The operator's pods, as the API server shows them.
    pub fn pods(&self) -> Vec<Value> {
        let list =
            self.ok(&["get", "pods", "--selector", "app.kubernetes.io/name=redistribution-operator", "-o", "json"]);
        serde_json::from_str::<Value>(&list).unwrap()["items"].as_array().unwrap().clone()
    }
}

/// The reason of `Ready`, if it is of the current generation.
pub fn reason_of(object: &ClusterRedistribution) -> Option<String> {
    let status = object.status.as_ref()?;
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready")?;
    (ready.observed_generation == object.metadata.generation).then(|| ready.reason.clone())
}
