//! The environment of a test: the shared control plane, a namespace and a cloud of its own, and on demand operators. It
//! asserts nothing about the operator.

use std::{collections::HashSet, ffi::OsString, path::PathBuf, time::Duration};

use k8s_openapi::api::{core::v1::Secret, events::v1::Event};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use redistribution_operator::api::{ClusterRedistribution, ClusterRedistributionSpec, RedisMode, crd_yaml};
use serde_json::{Value, json};
use testbed::{
    ControlPlane, Operator, OperatorOptions, apply_crd, eventually, fresh_namespace,
    simulator::{Options, Script, Simulator},
};

/// Longest wait for anything. Generous: a wait ends as soon as its condition holds.
pub const PATIENCE: Duration = Duration::from_secs(600);
/// Project of all tests: the API page's own.
pub const PROJECT: &str = "89cd04f168b84af6be287f71730fdb4b";
/// For a call that the test ends, not a clock: the longest timeout that the flags allow.
pub const NO_TIMEOUT: &str = "--request-timeout=5m";
/// For tests that wait until a claim expires: a grace of 15 s instead of 42 s. The price is that a machine which pauses
/// for 3 s between claim and call legitimately has the call put off.
pub const SHORT_GRACE: &str = "--send-budget=3s";
/// Prefix of the resource's annotations.
pub const PREFIX: &str = "dws.huaweicloud.com/";
/// Name of the Secret an object uses by default.
pub const DEFAULT_SECRET: &str = "dws-redistribution-credentials";

/// One test's namespace, cloud and clients.
pub struct World {
    pub plane: &'static ControlPlane,
    pub client: Client,
    pub namespace: String,
    pub cloud: Simulator,
}

impl World {
    /// A namespace with good credentials in the default Secret, and a cloud that accepts them.
    pub async fn new() -> Self {
        Self::with(Options::default()).await
    }

    /// The same with another cloud.
    pub async fn with(options: Options) -> Self {
        let plane = ControlPlane::shared();
        apply_crd(&plane.client().await.unwrap(), &crd_yaml().unwrap()).await.unwrap();
        Self::on(plane, options).await
    }

    /// The same on another control plane, whose CRD is the caller's.
    pub async fn on(plane: &'static ControlPlane, options: Options) -> Self {
        let client = plane.client().await.unwrap();
        let namespace = fresh_namespace(&client, "suite").await.unwrap();
        let cloud = Simulator::start(&options).unwrap();
        let world = Self { plane, client, namespace, cloud };
        world.key(DEFAULT_SECRET).await;
        world
    }

    /// A world whose operator, with these further flags, has sent the call of `request` and waits for the answer until
    /// the test releases it.
    pub async fn with_a_call_in_flight(flags: &[&str]) -> (Self, String, Operator) {
        let (world, cluster, operator) = Self::with_request(flags, [Script::held()]).await;
        world.cloud.arrived(&cluster, 1).await;
        (world, cluster, operator)
    }

    /// A world with an operator with these further flags and the object `request`, the calls for whose cluster meet
    /// these scripts.
    pub async fn with_request(flags: &[&str], scripts: impl IntoIterator<Item = Script>) -> (Self, String, Operator) {
        let world = Self::new().await;
        let cluster = world.cluster();
        world.cloud.script(&cluster, scripts);
        let operator = world.operator_with(flags).await;
        world.create("request", &cluster).await;
        (world, cluster, operator)
    }

    /// Flags that point an operator at this cloud, without a rate limit. An unanswered call soon times out; but the
    /// time allowed between claim and call is the maximum, so that no call is put off because the machine was busy.
    pub fn flags(&self) -> Vec<OsString> {
        let endpoint = format!("--endpoint=lab={}", self.cloud.url());
        let ca = format!("--ca-bundle={}", self.cloud.ca_file().display());
        let usual =
            ["--region=lab", "--rate-limit=0", "--send-budget=30s", "--request-timeout=10s", "--grace-margin=2s"];
        usual.iter().map(|&flag| flag.to_owned()).chain([endpoint, ca]).map(OsString::from).collect()
    }

    /// An operator, ready.
    pub async fn operator(&self) -> Operator {
        self.operator_with(&[]).await
    }

    /// An operator with further flags; the last of a kind wins.
    pub async fn operator_with(&self, flags: &[&str]) -> Operator {
        self.operator_from(|options| options.arguments.extend(flags.iter().map(OsString::from))).await
    }

    pub async fn operator_from(&self, change: impl FnOnce(&mut OperatorOptions<'_>)) -> Operator {
        let mut options = OperatorOptions::new(binary(), self.plane, &self.namespace);
        // Of a flag that is given twice the last one applies.
        options.arguments = self.flags();
        change(&mut options);
        let operator = Operator::start(options).await.unwrap();
        operator.wait_ready().await.unwrap();
        operator
    }

    /// A new cluster at the cloud, waiting for its redistribution.
    pub fn cluster(&self) -> String {
        let id = random_uuid();
        self.cloud.add_cluster(PROJECT, &id);
        id
    }

    /// The API of the resource in the test's namespace.
    pub fn api(&self) -> Api<ClusterRedistribution> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub async fn create(&self, name: &str, cluster: &str) -> ClusterRedistribution {
        self.create_with(name, cluster, |_| {}).await
    }

    pub async fn create_with(
        &self,
        name: &str,
        cluster: &str,
        change: impl FnOnce(&mut ClusterRedistribution),
    ) -> ClusterRedistribution {
        let mut object = ClusterRedistribution::new(name, spec(cluster));
        change(&mut object);
        self.api().create(&PostParams::default(), &object).await.unwrap()
    }

    /// With these annotations, whose keys are given without the resource's prefix.
    pub async fn create_annotated(
        &self,
        name: &str,
        cluster: &str,
        annotations: &[(&str, &str)],
    ) -> ClusterRedistribution {
        let prefixed = annotations.iter().map(|(key, value)| (format!("{PREFIX}{key}"), (*value).to_owned()));
        let annotations = prefixed.collect();
        self.create_with(name, cluster, |object| object.metadata.annotations = Some(annotations)).await
    }

    /// An object for a new cluster, whose first call meets this script; the cluster.
    pub async fn create_for(&self, name: &str, script: impl Into<Option<Script>>) -> String {
        let cluster = self.cluster();
        self.cloud.script(&cluster, script.into());
        self.create(name, &cluster).await;
        cluster
    }

    /// An object for a new cluster, once it was delivered; the cluster.
    pub async fn delivered(&self, name: &str) -> String {
        let cluster = self.create_for(name, None).await;
        self.settled(name, "Delivered").await;
        cluster
    }

    /// Objects `request-0`, `request-1`, ..., created one after the other, each for a cluster of its own; the clusters.
    pub async fn create_many(&self, objects: usize) -> Vec<String> {
        let mut clusters = Vec::new();
        for number in 0..objects {
            clusters.push(self.create_for(&format!("request-{number}"), None).await);
        }
        clusters
    }

    pub async fn patch(&self, name: &str, patch: Value) -> ClusterRedistribution {
        self.api().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap()
    }

    /// Merges a patch into an object's status, as any account with that right could.
    pub async fn patch_status(&self, name: &str, status: Value) -> ClusterRedistribution {
        self.api().patch_status(name, &PatchParams::default(), &Patch::Merge(json!({"status": status}))).await.unwrap()
    }

    pub async fn annotate(&self, name: &str, key: &str, value: Option<&str>) -> ClusterRedistribution {
        self.patch(name, json!({"metadata": {"annotations": {key: value}}})).await
    }

    /// A Secret with the key that the cloud accepts.
    pub async fn key(&self, name: &str) {
        self.secret(name, &[("accessKey", self.cloud.access_key()), ("secretKey", self.cloud.secret_key())]).await;
    }

    /// A wrong secret key in the default Secret.
    pub async fn wrong_key(&self) {
        let pair = [("accessKey", self.cloud.access_key()), ("secretKey", "wrong-secret")];
        self.secret(DEFAULT_SECRET, &pair).await;
    }

    pub async fn secret(&self, name: &str, pairs: &[(&str, &str)]) {
        self.secret_in(&self.namespace, name, pairs).await;
    }

    /// The same in another namespace.
    pub async fn secret_in(&self, namespace: &str, name: &str, pairs: &[(&str, &str)]) {
        let data: serde_json::Map<_, _> = pairs.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data});
        let api = Api::<Secret>::namespaced(self.client.clone(), namespace);
        let _ = api.delete(name, &DeleteParams::default()).await;
        api.create(&PostParams::default(), &serde_json::from_value(secret).unwrap()).await.unwrap();
    }

    /// Waits until the object's current generation was observed with this reason.
    pub async fn settled(&self, name: &str, reason: &str) -> ClusterRedistribution {
        let api = self.api();
        eventually(PATIENCE, &format!("{name} says {reason}"), async || {
            let object = api.get(name).await.map_err(|error| error.to_string())?;
            if reason_of(&object).as_deref() == Some(reason) { Ok(object) } else { Err(describe(&object)) }
        })
        .await
    }

    /// Waits until all objects of the namespace have one of these reasons at their current generation. However many
    /// they are and however slow the machine is, only [`PATIENCE`] without any progress ends the wait.
    pub async fn all_settled(&self, reasons: &[&str]) -> Vec<ClusterRedistribution> {
        let (api, wanted) = (self.api(), reasons.iter().copied().collect::<HashSet<_>>());
        let (mut settled, what) = (0, format!("one more object says one of {reasons:?}"));
        loop {
            let progress = eventually(PATIENCE, &what, async || {
                let objects = api.list(&ListParams::default()).await.map_err(|error| error.to_string())?.items;
                let is_settled = |object: &&ClusterRedistribution| {
                    reason_of(object).is_some_and(|reason| wanted.contains(reason.as_str()))
                };
                let now = objects.iter().filter(is_settled).count();
                if now > settled || now == objects.len() {
                    return Ok((now, objects));
                }
                let open = objects.iter().find(|object| !is_settled(object)).map(describe).unwrap_or_default();
                Err(format!("{now} of {} do, and not {open}", objects.len()))
            });
            let (now, objects) = progress.await;
            if now == objects.len() {
                return objects;
            }
            settled = now;
        }
    }

    /// The events of the namespace.
    pub async fn events(&self) -> Vec<Event> {
        let events = Api::<Event>::namespaced(self.client.clone(), &self.namespace);
        events.list(&ListParams::default()).await.unwrap().items
    }

    /// Calls that arrived at the cloud for that cluster.
    pub fn calls(&self, cluster: &str) -> usize {
        self.cloud.calls(cluster)
    }
}

/// Waits until so many are counted, or more.
pub async fn reaches(wanted: usize, what: &str, count: impl Fn() -> usize) {
    eventually(PATIENCE, &format!("{wanted} {what}"), async || {
        let count = count();
        if count >= wanted { Ok(()) } else { Err(count) }
    })
    .await;
}

/// Waits until the operator's output contains this.
pub async fn wait_for_output(operator: &Operator, words: &str) {
    eventually(PATIENCE, &format!("the operator prints {words:?}"), async || {
        if operator.output().contains(words) { Ok(()) } else { Err("not yet") }
    })
    .await;
}

/// The value of a series, named with its labels; 0 if there is none.
pub async fn metric(operator: &Operator, series: &str) -> u64 {
    let metrics = operator.metrics().await.unwrap();
    let value = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.map_or(0, |value| value.parse().unwrap())
}

/// Reconciliations of this operator that left an object held.
pub async fn held(operator: &Operator) -> u64 {
    let series = r#"controller_runtime_reconcile_total{controller="clusterredistribution",result="requeue_after"}"#;
    metric(operator, series).await
}

/// How often the operator has reported that an object waits for its slot; counted after the write, and before the
/// object can be called.
pub async fn reported_waits(operator: &Operator) -> u64 {
    metric(operator, r#"dws_redistribution_holds_total{reason="Throttled"}"#).await
}

/// Replaces the endpoint in the flags of an operator.
pub fn set_endpoint(options: &mut OperatorOptions<'_>, url: &str) {
    options.arguments.retain(|flag| !flag.to_string_lossy().starts_with("--endpoint="));
    options.arguments.push(format!("--endpoint=lab={url}").into());
}

/// The operator's binary: built by cargo for this very test run, or the one that `OPERATOR_BINARY` names.
pub fn binary() -> PathBuf {
    let built = || PathBuf::from(env!("CARGO_BIN_EXE_redistribution-operator"));
    std::env::var_os("OPERATOR_BINARY").map_or_else(built, PathBuf::from)
}

/// The spec of the API page's example for another cluster.
pub fn spec(cluster: &str) -> ClusterRedistributionSpec {
    ClusterRedistributionSpec {
        project_id: PROJECT.to_owned(),
        cluster_id: cluster.to_owned(),
        redis_mode: RedisMode::Online,
        parallel_jobs: 3,
        region: None,
        trigger: None,
    }
}

/// The reason of `Ready`, if it is of the current generation.
pub fn reason_of(object: &ClusterRedistribution) -> Option<String> {
    let status = object.status.as_ref()?;
    let generation = object.metadata.generation;
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready")?;
    (status.observed_generation == generation && ready.observed_generation == generation).then(|| ready.reason.clone())
}

/// Value of a condition; `None` if it is absent.
pub fn condition(object: &ClusterRedistribution, type_: &str) -> Option<String> {
    let conditions = &object.status.as_ref()?.conditions;
    conditions.iter().find(|condition| condition.type_ == type_).map(|condition| condition.status.clone())
}

/// Message of `Ready`.
pub fn message(object: &ClusterRedistribution) -> String {
    let conditions = object.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
    conditions
        .into_iter()
        .find(|condition| condition.type_ == "Ready")
        .map(|condition| condition.message)
        .unwrap_or_default()
}

/// The object's state in one line, for messages about the last seen state.
pub fn describe(object: &ClusterRedistribution) -> String {
    let status = object.status.clone().unwrap_or_default();
    let reason =
        status.conditions.iter().find(|condition| condition.type_ == "Ready").map(|condition| condition.reason.clone());
    format!(
        "{} generation {:?}: observed {:?}, reason {reason:?}, status code {:?}, attempt {:?}",
        object.name_any(),
        object.metadata.generation,
        status.observed_generation,
        status.status_code,
        status.attempt.map(|attempt| (attempt.generation, attempt.state)),
    )
}

/// A random UUID.
pub fn random_uuid() -> String {
    let hex = format!("{:032x}", rand::random::<u128>());
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
