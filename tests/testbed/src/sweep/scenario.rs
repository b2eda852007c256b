//! The user's actions in every plan, and their visible results: an object is created suspended, released, edited, and
//! after all faults a fresh one is created. The number of jobs is the generation, so that the cloud's calls can be
//! distinguished.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::bench::Bench;
use crate::{
    Failure,
    fault_proxy::{FaultProxy, Property, Record, judge::ready_reason},
    fresh_namespace,
};

pub const PROJECT: &str = "89cd04f168b84af6be287f71730fdb4b";
const SECRET: &str = "dws-redistribution-credentials";
/// Longest wait for one step: several timeouts of an operator, one after the other, and a grace.
const SETTLES_WITHIN: Duration = Duration::from_secs(100);
const CHECK_EVERY: Duration = Duration::from_millis(50);
/// Name of the object that meets the faults.
pub const REQUEST: &str = "request";

#[derive(Clone, Debug)]
pub struct Settled {
    pub name: String,
    pub generation: i64,
    pub cluster: String,
    /// The final status; absent if it never was settled.
    pub status: Option<Value>,
    /// Whether a fault struck while it was waited for.
    pub disturbed: bool,
}

impl Settled {
    /// Reason of `Ready`.
    pub fn reason(&self) -> &str {
        self.status.as_ref().and_then(ready_reason).unwrap_or("never settled")
    }
}

/// A namespace, its key and its record.
pub struct User<'a> {
    bench: &'a Bench,
    record: &'a Record,
    pub namespace: String,
    api: Api<DynamicObject>,
}

impl<'a> User<'a> {
    /// A fresh namespace with a key that the cloud knows and that must not be seen anywhere.
    pub async fn new(bench: &'a Bench, record: &'a Record) -> Result<Self, Failure> {
        let namespace = fresh_namespace(&bench.client, "plan").await?;
        let api = bench.objects(&namespace);
        let user = Self { bench, record, namespace, api };
        user.give_key().await?;
        Ok(user)
    }

    /// Makes a new key known to the cloud and puts it into the Secret.
    async fn give_key(&self) -> Result<(), Failure> {
        let access = format!("CANARY{:032X}", rand::random::<u128>());
        let secret = format!("canary{:032x}", rand::random::<u128>());
        self.record.canary(&access);
        self.record.canary(&secret);
        self.bench.cloud.add_key(&access, &secret, None);
        let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}, "stringData": {"accessKey": access, "secretKey": secret}});
        let api = Api::<Secret>::namespaced(self.bench.client.clone(), &self.namespace);
        api.patch(SECRET, &PatchParams::apply("user").force(), &Patch::Apply(object)).await?;
        Ok(())
    }

    async fn create(&self, name: &str, annotations: &[(&str, &str)]) -> Result<(String, DynamicObject), Failure> {
        let cluster = random_uuid();
        self.bench.cloud.add_cluster(PROJECT, &cluster);
        self.record.expect(name, &cluster);
        let annotations: BTreeMap<_, _> = annotations.iter().copied().collect();
        let object = json!({
            "apiVersion": "dws.huaweicloud.com/v1alpha1",
            "kind": "ClusterRedistribution",
            "metadata": {"name": name, "annotations": annotations},
            "spec": {"projectID": PROJECT, "clusterID": cluster, "redisMode": "online", "parallelJobs": 1},
        });
        let made = self.api.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
        self.record.trace(format_args!("user created {name}"));
        Ok((cluster, made))
    }

    /// The main path: held, released, edited.
    pub async fn main_path(&self, proxy: &FaultProxy) -> Result<Vec<Settled>, Failure> {
        let (cluster, made) = self.create(REQUEST, &[("dws.huaweicloud.com/suspend", "true")]).await?;
        proxy.remember_list(list_of(&made)?);
        let held = |status: &Value| ready_reason(status) == Some("Suspended");
        if self.until(REQUEST, 1, held).await?.is_none() {
            self.record.violated(Property::Unsettled, "the suspended object never had that reason");
        }
        self.patch(REQUEST, json!({"metadata": {"annotations": {"dws.huaweicloud.com/suspend": null}}})).await?;
        let first = self.settled(REQUEST, &cluster, 1).await?;
        self.scale_out(&cluster);
        self.patch(REQUEST, json!({"spec": {"parallelJobs": 2}})).await?;
        let second = self.settled(REQUEST, &cluster, 2).await?;
        Ok(vec![first, second])
    }

    /// Fresh objects until one met no fault: the operator is alive and reacts. Every fault strikes once, so this ends.
    pub async fn fresh(&self, most: usize) -> Result<Vec<Settled>, Failure> {
        let mut all = Vec::new();
        for number in 1..=most {
            let name = format!("fresh-{number}");
            let (cluster, _) = self.create(&name, &[]).await?;
            let settled = self.settled(&name, &cluster, 1).await?;
            let disturbed = settled.disturbed;
            all.push(settled);
            if !disturbed {
                break;
            }
        }
        Ok(all)
    }

    /// If operators check first, a cluster must wait again for each call, or none would be made.
    fn scale_out(&self, cluster: &str) {
        if self.bench.check {
            self.bench.cloud.waiting(cluster);
        }
    }

    async fn patch(&self, name: &str, patch: Value) -> Result<(), Failure> {
        self.record.trace(format_args!("user patches {name}: {patch}"));
        self.api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    /// Waits until a generation is closed, and fixes the key if it waits for that.
    pub async fn settled(&self, name: &str, cluster: &str, generation: i64) -> Result<Settled, Failure> {
        let before = self.record.strikes();
        let rejected = |status: &Value| ready_reason(status) == Some("CredentialsRejected");
        // Also after a call that was forwarded late.
        let closed = |status: &Value| {
            if ready_reason(status) == Some("ClusterNotWaiting") {
                self.scale_out(cluster);
            }
            is_closed(status) && !(self.bench.observe && is_being_observed(status))
        };
        let mut status = self.until(name, generation, |status| closed(status) || rejected(status)).await?;
        if status.as_ref().is_some_and(rejected) {
            self.record.trace("user stores another key");
            self.give_key().await?;
            status = self.until(name, generation, closed).await?;
        }
        if status.is_none() {
            self.record
                .violated(Property::Unsettled, format!("{name}, generation {generation}, is not settled in time"));
        }
        let disturbed = self.record.strikes() != before;
        let settled = Settled { name: name.to_owned(), generation, cluster: cluster.to_owned(), status, disturbed };
        self.record.trace(format_args!("user sees {name}, generation {generation}: {}", settled.reason()));
        Ok(settled)
    }

    /// The status, once it is of this generation and as expected.
    async fn until(&self, name: &str, generation: i64, is: impl Fn(&Value) -> bool) -> Result<Option<Value>, Failure> {
        let end = Instant::now() + SETTLES_WITHIN;
        loop {
            let status = self.api.get(name).await?.data["status"].take();
            let speaks_of_it = ready_generation(&status) == Some(generation)
                && status["observedGeneration"].as_i64() == Some(generation);
            if speaks_of_it && is(&status) {
                return Ok(Some(status));
            }
            if Instant::now() > end {
                self.record.trace(format_args!("user gives up: {status}"));
                return Ok(None);
            }
            tokio::time::sleep(CHECK_EVERY).await;
        }
    }

    /// The object as it is now.
    pub async fn status(&self, name: &str) -> Result<Value, Failure> {
        Ok(self.api.get(name).await?.data["status"].take())
    }
}

/// Delivered, or stalled: nothing more happens to this generation.
pub fn is_closed(status: &Value) -> bool {
    let is = |kind: &str| {
        let mut conditions = status["conditions"].as_array().into_iter().flatten();
        conditions.any(|condition| condition["type"] == kind && condition["status"] == "True")
    };
    is("Ready") || is("Stalled")
}

/// Its outcome is unknown, and observation still checks whether it began.
fn is_being_observed(status: &Value) -> bool {
    let mut conditions = status["conditions"].as_array().into_iter().flatten();
    let is_told =
        conditions.any(|condition| condition["type"] == "Redistributed" && condition["reason"] == "Unconfirmed");
    let is_open = matches!(ready_reason(status), Some("OutcomeUnknown" | "ServerError"));
    is_open && !is_told && status["attempt"]["baseline"].is_object()
}

fn ready_generation(status: &Value) -> Option<i64> {
    let conditions = status["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == "Ready")?["observedGeneration"].as_i64()
}

/// The list as it was when this object had just been made.
fn list_of(object: &DynamicObject) -> Result<String, Failure> {
    let list = json!({
        "apiVersion": "dws.huaweicloud.com/v1alpha1",
        "kind": "ClusterRedistributionList",
        "metadata": {"resourceVersion": object.metadata.resource_version},
        "items": [serde_json::to_value(object)?],
    });
    Ok(list.to_string())
}

/// A random UUID.
pub fn random_uuid() -> String {
    let hex = format!("{:032x}", rand::random::<u128>());
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
