//! The API server's own limit for this protocol, as far as a client can reach it: the same two PUTs with their
//! preconditions and the call between them, with one watch open. It has no cache, no logs, no decisions and none of a
//! controller's other work. With one object at a time it is the bare chain of requests that latency is compared with.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use http::Request;
use k8s_openapi::jiff::Timestamp;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
    core::WatchEvent,
};
use parking_lot::Mutex;
use redistribution_operator::{
    api::{ClusterRedistribution, ClusterRedistributionStatus},
    protocol::transitions::{self, Recording},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::AbortHandle};

use crate::{
    Failure, objects,
    stage::{PROJECT, Place, Stage, cloud_client},
};

#[derive(Deserialize)]
struct List {
    metadata: Version,
    items: Vec<Listed>,
}

#[derive(Clone, Deserialize)]
struct Listed {
    metadata: Version,
    #[serde(default)]
    spec: Spec,
}

/// An object's metadata, as far as a precondition needs it.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Version {
    name: String,
    uid: String,
    #[serde(rename = "resourceVersion")]
    number: String,
}

#[derive(Clone, Default, Deserialize)]
struct Spec {
    #[serde(rename = "clusterID", default)]
    cluster: String,
}

/// The running limit. Ends when dropped.
pub struct Limit {
    tasks: [AbortHandle; 2],
    failed: Arc<Mutex<Option<String>>>,
}

struct Chain {
    client: Client,
    cloud: reqwest::Client,
    url: String,
    token: String,
    path: String,
    claimed: Value,
    recorded: Value,
}

impl Limit {
    /// Lists, watches, and serves all objects, this number at once.
    pub async fn start(stage: &Stage, place: &Place, in_flight: u16) -> Result<Self, Failure> {
        let kubeconfig = Kubeconfig::read_from(&place.kubeconfig)?;
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        config.proxy_url = None;
        let client = Client::try_from(config)?;
        let path = objects::path(&place.namespace);
        let (claimed, recorded) = statuses()?;
        let (cloud, url, token) = (cloud_client(&stage.cloud)?, stage.cloud.url(), stage.token.clone());
        let chain = Chain { client: client.clone(), cloud, url, token, path: path.clone(), claimed, recorded };
        let list: List = client.request(Request::get(&path).body(Vec::new())?).await?;
        let watch = format!("{path}?watch=1&resourceVersion={}&timeoutSeconds=3600", list.metadata.number);
        let events = client.request_events::<Listed>(Request::get(watch).body(Vec::new())?).await?;
        let (more, waiting) = mpsc::unbounded_channel();
        list.items.into_iter().for_each(|object| drop(more.send(object)));
        let watching = tokio::spawn(async move {
            let mut events = std::pin::pin!(events);
            // The first error ends it: no errors are expected within a step.
            while let Some(Ok(event)) = events.next().await {
                if let WatchEvent::Added(object) = event {
                    drop(more.send(object));
                }
            }
        });
        let failed = Arc::<Mutex<Option<String>>>::default();
        let (chain, told) = (Arc::new(chain), Arc::clone(&failed));
        let waiting = futures::stream::unfold(waiting, async |mut from| Some((from.recv().await?, from)));
        let working = tokio::spawn(waiting.for_each_concurrent(usize::from(in_flight), move |object| {
            let (chain, told) = (Arc::clone(&chain), Arc::clone(&told));
            async move {
                if let Err(error) = chain.carry_out(&object).await {
                    told.lock().get_or_insert(error.to_string());
                }
            }
        }));
        Ok(Self { tasks: [watching.abort_handle(), working.abort_handle()], failed })
    }

    /// The first failure, if there was one.
    pub fn last_output(&self) -> String {
        self.failed.lock().clone().unwrap_or_else(|| "no failure".to_owned())
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Chain {
    async fn carry_out(&self, object: &Listed) -> Result<(), Failure> {
        let claimed = self.put(object, &object.metadata.number, &self.claimed).await?;
        let url = format!("{}/v2/{PROJECT}/clusters/{}/redistribution", self.url, object.spec.cluster);
        let call = self.cloud.post(url).header("X-Auth-Token", &self.token).timeout(Duration::from_secs(60));
        let answer = call.json(&json!({"redis_mode": "online", "parallel_jobs": 3})).send().await?;
        answer.error_for_status()?.bytes().await?;
        self.put(object, &claimed.metadata.number, &self.recorded).await.map(drop)
    }

    async fn put(&self, object: &Listed, version: &str, status: &Value) -> Result<Listed, Failure> {
        let Version { name, uid, .. } = &object.metadata;
        let mut status = status.clone();
        status["attempt"]["uid"] = json!(uid);
        let body = json!({
            "apiVersion": "dws.huaweicloud.com/v1alpha1",
            "kind": "ClusterRedistribution",
            "metadata": {"name": name, "uid": uid, "resourceVersion": version},
            "spec": objects::spec(&object.spec.cluster),
            "status": status,
        });
        let request = Request::put(format!("{}/{name}/status", self.path)).header("Content-Type", "application/json");
        Ok(self.client.request(request.body(serde_json::to_vec(&body)?)?).await?)
    }
}

/// The statuses that the operator writes, from its own transitions: after the claim and after the record.
fn statuses() -> Result<(Value, Value), Failure> {
    let mut object = ClusterRedistribution::new("", objects::spec(&objects::cluster(0)));
    object.metadata.generation = Some(1);
    let claimed: ClusterRedistributionStatus = objects::claimed(&object);
    let id = claimed.attempt.clone().unwrap_or_default().id;
    match transitions::recorded(&claimed, 1, &id, &objects::delivered(), Timestamp::now()) {
        Recording::Write(recorded) => Ok((serde_json::to_value(claimed)?, serde_json::to_value(*recorded)?)),
        _ => Err("the operator would not record this".into()),
    }
}
