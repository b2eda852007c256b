//! Faults that never end: the operator continues, and sends and logs little during the fault. One object's answer
//! arrives while the fault lasts, and another object waits; afterwards both must be as if nothing had happened.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    bench::Bench,
    scenario::{PROJECT, User, random_uuid},
};
use crate::{
    Failure, Operator, apply_crd,
    eventually::try_eventually,
    fault_proxy::{FaultProxy, Plan, Record, judge::ready_reason},
    simulator::Script,
};

/// Requests of a short fault are counted only after this time, since the pauses grow within it; those of a minute and
/// more from the beginning of the fault.
const GROWING: Duration = Duration::from_secs(15);
/// Longest wait for a step, and for the state from before once the fault is over.
const WITHIN: Duration = Duration::from_secs(240);
const CRD: &str = "clusterredistributions.dws.huaweicloud.com";
const SUSPEND: &str = "dws.huaweicloud.com/suspend";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endless {
    /// The CRD, and with it every object.
    NoCrd,
    NoRight,
    NoServer,
    /// The subresource `status`.
    NoStatus,
}

impl Endless {
    pub const ALL: [Self; 4] = [Self::NoCrd, Self::NoRight, Self::NoServer, Self::NoStatus];
}

impl fmt::Display for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCrd => "the CRD is gone",
            Self::NoRight => "the rights are gone",
            Self::NoServer => "the API server is gone",
            Self::NoStatus => "the subresource status is gone",
        })
    }
}

#[derive(Clone, Debug)]
pub struct Figures {
    pub fault: Endless,
    pub seconds: f64,
    /// Requests to the API server, and connections that it did not accept.
    pub requests: usize,
    /// Lines of the log, by their message.
    pub lines: BTreeMap<String, usize>,
}

impl Figures {
    /// At most one request a second, and one line of the log a minute: of each message, and from two minutes on of all.
    pub fn is_within(&self) -> bool {
        let minutes = (self.seconds / 60.0).ceil();
        let most = |lines: usize| f64::from(u32::try_from(lines).unwrap_or(u32::MAX)) <= minutes;
        let requests = f64::from(u32::try_from(self.requests).unwrap_or(u32::MAX));
        let all = self.lines.values().sum();
        requests <= self.seconds && self.lines.values().all(|lines| most(*lines)) && (minutes < 2.0 || most(all))
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: usize = self.lines.values().sum();
        write!(f, "{}: {} requests and {lines} lines in {:.0} s", self.fault, self.requests, self.seconds)?;
        self.lines.iter().try_for_each(|(message, count)| write!(f, "\n  {count} x {message}"))
    }
}

/// Keeps a fault up for that long, ends it, and waits for the state from before.
pub async fn run(bench: &Bench, fault: Endless, lasts: Duration) -> Result<Figures, Failure> {
    let record = Arc::new(Record::default());
    let user = User::new(bench, &record).await?;
    let objects = Objects { bench, namespace: &user.namespace };
    let (proxy, _orders) = FaultProxy::start("1", &bench.network, &Plan::nothing(), Arc::clone(&record)).await?;
    let flags = ["--request-timeout=300s", "--send-budget=30s", "--grace-margin=2s"].map(str::to_owned);
    let mut command = bench.command(&user.namespace, &proxy, flags)?;
    "info".clone_into(&mut command.log_level);
    let operator = Operator::run(command)?;
    operator.wait_ready().await?;

    let called = objects.create("called", &[], true).await?;
    bench.cloud.arrived(&called, 1).await;
    objects.create("waits", &[(SUSPEND, "true")], false).await?;
    objects.wait_for_reason("waits", "Suspended").await?;

    begin(bench, fault, &proxy, &objects.api()).await?;
    let said = operator.output().len();
    bench.cloud.release(&called);
    if fault == Endless::NoStatus {
        objects.resume("waits").await?;
    }
    // The counts are taken over this time; it is not a wait for an event.
    if lasts < Duration::from_secs(60) {
        sleep(GROWING).await;
    }
    let (start, before) = (Instant::now(), proxy.requests());
    sleep(lasts).await;
    let figures = Figures {
        fault,
        seconds: start.elapsed().as_secs_f64(),
        requests: proxy.requests() - before,
        lines: lines(operator.output().get(said..).unwrap_or_default()),
    };

    end(bench, fault, &proxy).await?;
    if fault == Endless::NoCrd {
        objects.create("waits", &[], false).await?;
    } else {
        objects.wait_for_reason("called", "Delivered").await?;
        objects.resume("waits").await?;
    }
    objects.wait_for_reason("waits", "Delivered").await?;
    operator.kill().await?;
    Ok(figures)
}

async fn begin(bench: &Bench, fault: Endless, proxy: &FaultProxy, objects: &Api<DynamicObject>) -> Result<(), Failure> {
    let crds = Api::<CustomResourceDefinition>::all(bench.client.clone());
    match fault {
        Endless::NoCrd => {
            crds.delete(CRD, &DeleteParams::default()).await?;
            let gone = async || match crds.get_opt(CRD).await {
                Ok(None) => Ok(()),
                other => Err(format!("{:?}", other.map(|crd| crd.and_then(|crd| crd.status)))),
            };
            try_eventually(WITHIN, "the CRD is gone", gone).await?;
        }
        Endless::NoRight => {
            bench.grant().revoke(&bench.client).await?;
            // The open watch would otherwise continue.
            proxy.outage().set(true);
            proxy.outage().set(false);
        }
        Endless::NoServer => proxy.outage().set(true),
        Endless::NoStatus => {
            let mut crd = crds.get(CRD).await?;
            for version in &mut crd.spec.versions {
                version.subresources = None;
            }
            crds.replace(CRD, &PostParams::default(), &crd).await?;
            let gone = async || match objects.get_status("called").await {
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
                other => Err(format!("{:?}", other.map(|_| "it is not gone yet"))),
            };
            try_eventually(WITHIN, "the subresource is gone", gone).await?;
        }
    }
    Ok(())
}

async fn end(bench: &Bench, fault: Endless, proxy: &FaultProxy) -> Result<(), Failure> {
    match fault {
        Endless::NoCrd | Endless::NoStatus => drop(apply_crd(&bench.client, &bench.crd).await?),
        Endless::NoRight => bench.grant().apply(&bench.client).await?,
        Endless::NoServer => proxy.outage().set(false),
    }
    Ok(())
}

fn lines(output: &str) -> BTreeMap<String, usize> {
    let mut lines = BTreeMap::new();
    for line in output.lines() {
        let message = serde_json::from_str::<Value>(line).ok();
        let message = message.and_then(|line| Some(line["fields"]["message"].as_str()?.to_owned()));
        *lines.entry(message.unwrap_or_else(|| line.to_owned())).or_default() += 1;
    }
    lines
}

struct Objects<'a> {
    bench: &'a Bench,
    namespace: &'a str,
}

impl Objects<'_> {
    /// Returns its cluster, which answers only once it is released if it is held.
    async fn create(&self, name: &str, annotations: &[(&str, &str)], is_held: bool) -> Result<String, Failure> {
        let cluster = random_uuid();
        self.bench.cloud.add_cluster(PROJECT, &cluster);
        self.bench.cloud.script(&cluster, is_held.then(Script::held));
        let annotations: BTreeMap<_, _> = annotations.iter().copied().collect();
        let object = json!({
            "apiVersion": "dws.huaweicloud.com/v1alpha1",
            "kind": "ClusterRedistribution",
            "metadata": {"name": name, "annotations": annotations},
            "spec": {"projectID": PROJECT, "clusterID": cluster, "redisMode": "online", "parallelJobs": 1},
        });
        self.api().create(&PostParams::default(), &serde_json::from_value(object)?).await?;
        Ok(cluster)
    }

    async fn resume(&self, name: &str) -> Result<(), Failure> {
        let patch = json!({"metadata": {"annotations": {SUSPEND: null}}});
        self.api().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    async fn wait_for_reason(&self, name: &str, reason: &str) -> Result<(), Failure> {
        let api = self.api();
        let said = async || {
            let object = api.get(name).await.map_err(|error| error.to_string())?;
            let said = ready_reason(&object.data["status"]).unwrap_or_default();
            if said == reason { Ok(()) } else { Err(format!("its reason is {said:?}")) }
        };
        Ok(try_eventually(WITHIN, &format!("{name} has the reason {reason}"), said).await?)
    }

    fn api(&self) -> Api<DynamicObject> {
        self.bench.objects(self.namespace)
    }
}
