//! Operators without election, each killed again and again, while every object is edited without pause. Each kill
//! strikes 1 to 50 ms after an edit, when a claim, a call or a record is likely to be under way. The project id shows
//! the generation of a call, so that the cloud's ledger can be checked against the guarantee.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::TryStreamExt;
use kube::{
    Api,
    api::{DynamicObject, ListParams, Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt, watcher},
};
use rand::seq::IndexedRandom;
use serde_json::json;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    bench::Bench,
    report::Report,
    scenario::{is_closed, random_uuid},
    verdict::CONFIRMED,
};
use crate::{
    Failure, Operator,
    fault_proxy::judge::ready_reason,
    fresh_namespace,
    operator::OperatorCommand,
    simulator::{Entry, Read, Script},
};

const SECRET: &str = "dws-redistribution-credentials";
/// Edits whose outcome is awaited at once. More would only make each attempt slower on a small machine.
const UNDER_WAY: usize = 2;
/// Anything that takes longer waits for a grace to pass, not for an outcome.
const SOON: Duration = Duration::from_millis(500);
/// Longest wait for anything: a few graces and a restart.
const PATIENCE: Duration = Duration::from_secs(120);
/// One edit in this many does not wait until the object's last request is closed.
const IMPATIENT: u32 = 50;

#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Spec generations, all objects together.
    pub generations: i64,
    pub objects: usize,
    pub operators: usize,
    /// One edit in this many is followed by a kill. Each kill costs about a seventh of an unknown outcome here, so the
    /// share of unknown outcomes depends on this.
    pub kill_every: u32,
}

/// Results of the watch: for each object its newest version, for each of its generations its final state.
#[derive(Default)]
struct Seen {
    newest: BTreeMap<String, DynamicObject>,
    states: HashMap<(String, i64), (String, Option<u64>)>,
    confirmed: HashSet<(String, i64)>,
}

struct Storm<'a> {
    bench: &'a Bench,
    api: Api<DynamicObject>,
    namespace: String,
    clusters: BTreeMap<String, String>,
    seen: Arc<Mutex<Seen>>,
    /// Requests a kill. A caller waits while one kill is under way and another is due, so that none of them is left
    /// out, however long an operator takes to start.
    strike: mpsc::Sender<()>,
}

pub async fn run(bench: &Bench, size: Size) -> Result<Report, Failure> {
    let begin = Instant::now();
    let (strike, strikes) = mpsc::channel(1);
    let storm = Storm::new(bench, size, strike).await?;
    let stop = CancellationToken::new();
    let _stops = stop.clone().drop_guard();
    tokio::spawn(stop.clone().run_until_cancelled_owned(follow(storm.api.clone(), Arc::clone(&storm.seen))));
    let mut operators = Vec::new();
    for _ in 0..size.operators {
        let command = storm.command()?;
        operators.push(start(&command).await?);
    }
    let per_object = size.generations / i64::try_from(size.objects.max(1))?;
    let over = CancellationToken::new();
    let (kills, edited) = tokio::join!(kill(&mut operators, strikes, &over), async {
        let edited = storm.edit(per_object, size.kill_every).await;
        over.cancel();
        edited
    });
    edited?;
    storm.all_closed().await?;
    let mut report = storm.report(kills?);
    report.seconds = begin.elapsed().as_secs_f64();
    Ok(report)
}

async fn start(command: &OperatorCommand) -> Result<Operator, Failure> {
    let operator = Operator::run(command.clone())?;
    let end = Instant::now() + PATIENCE;
    while !operator.is_watching() {
        if Instant::now() > end {
            return Err(format!("the operator does not watch: {}", operator.output()).into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(operator)
}

/// Kills one operator after the other, at random, and restarts it at once.
async fn kill(
    operators: &mut [Operator],
    mut strikes: mpsc::Receiver<()>,
    over: &CancellationToken,
) -> Result<usize, Failure> {
    let mut kills = 0;
    loop {
        tokio::select! { () = over.cancelled() => return Ok(kills), _ = strikes.recv() => {} }
        // The randomness is the point: no moment of an attempt is safe from it.
        tokio::time::sleep(Duration::from_micros(rand::random_range(1_000..50_000))).await;
        let which = rand::random_range(0..operators.len());
        let Some(operator) = operators.get_mut(which) else { return Ok(kills) };
        operator.kill().await?;
        kills += 1;
        *operator = start(&operator.command().clone()).await?;
    }
}

async fn follow(api: Api<DynamicObject>, seen: Arc<Mutex<Seen>>) {
    let versions = watcher(api, watcher::Config::default()).default_backoff().applied_objects();
    let taken = versions.try_for_each(|object| {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let name = object.metadata.name.clone().unwrap_or_default();
        let attempt = &object.data["status"]["attempt"];
        if let (Some(generation), Some(state)) = (attempt["generation"].as_i64(), attempt["state"].as_str()) {
            let state = (state.to_owned(), attempt["statusCode"].as_u64());
            seen.states.insert((name.clone(), generation), state);
            if ready_reason(&object.data["status"]) == Some(CONFIRMED) {
                seen.confirmed.insert((name.clone(), generation));
            }
        }
        seen.newest.insert(name, object);
        futures::future::ready(Ok(()))
    });
    drop(taken.await);
}

impl<'a> Storm<'a> {
    async fn new(bench: &'a Bench, size: Size, strike: mpsc::Sender<()>) -> Result<Self, Failure> {
        let namespace = fresh_namespace(&bench.client, "storm").await?;
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}, "stringData": {"accessKey": bench.cloud.access_key(), "secretKey": bench.cloud.secret_key()}});
        let secrets = Api::<k8s_openapi::api::core::v1::Secret>::namespaced(bench.client.clone(), &namespace);
        secrets.patch(SECRET, &PatchParams::apply("storm"), &Patch::Apply(secret)).await?;
        let api = bench.objects(&namespace);
        let mut clusters = BTreeMap::new();
        for number in 0..size.objects {
            let (name, cluster) = (format!("request-{number}"), random_uuid());
            let calls = usize::try_from(size.generations)?;
            // As far as a reader can see, it always waits for the next one.
            let waits = json!({"cluster": {"task_status": "WAITING_REDISTRIBUTION"}});
            bench.cloud.any_project(&cluster);
            bench.cloud.amend(&cluster, Read::Cluster, Some(waits));
            bench.cloud.script(&cluster, (0..=calls / size.objects * 2).map(|_| Script::status(200)));
            let object = json!({
                "apiVersion": "dws.huaweicloud.com/v1alpha1",
                "kind": "ClusterRedistribution",
                "metadata": {"name": name},
                "spec": {"projectID": project(1), "clusterID": cluster, "redisMode": "online", "parallelJobs": 1},
            });
            api.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
            clusters.insert(name, cluster);
        }
        Ok(Self { bench, api, namespace, clusters, seen: Arc::default(), strike })
    }

    fn command(&self) -> Result<OperatorCommand, Failure> {
        let flags = ["--send-budget=1s", "--request-timeout=2s", "--grace-margin=2s"];
        let flags = flags.map(str::to_owned).into_iter().chain(self.bench.read_flags());
        let mut command = self.bench.direct(&self.namespace, flags)?;
        "warn,redistribution_operator=info".clone_into(&mut command.log_level);
        Ok(command)
    }

    /// Edits every object from generation to generation, in random order.
    async fn edit(&self, last: i64, kill_every: u32) -> Result<(), Failure> {
        let mut open: Vec<_> = self.clusters.keys().map(|name| (name.clone(), 1)).collect();
        let (mut progress, mut edits) = (Instant::now(), HashMap::<String, Instant>::new());
        while !open.is_empty() {
            let (ready, pending): (Vec<_>, Vec<_>) =
                open.iter().cloned().partition(|(name, generation)| self.is_closed(name, *generation));
            let impatient = rand::random_ratio(1, IMPATIENT);
            let from = if impatient { &pending } else { &ready };
            let recent = |name: &String| edits.get(name).is_some_and(|edit| edit.elapsed() < SOON);
            let under_way = pending.iter().filter(|(name, _)| recent(name)).count();
            let chosen = from.choose(&mut rand::rng()).cloned().filter(|_| impatient || under_way < UNDER_WAY);
            let Some((name, generation)) = chosen else {
                if progress.elapsed() > PATIENCE {
                    return Err(format!("nothing was closed for {PATIENCE:?}: {pending:?}").into());
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            };
            progress = Instant::now();
            open.retain(|(other, _)| *other != name);
            if generation < last {
                let patch = json!({"spec": {"projectID": project(generation + 1)}});
                self.api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await?;
                edits.insert(name.clone(), Instant::now());
                if rand::random_ratio(1, kill_every.max(1)) {
                    // The receiver is gone if a kill failed, which is reported there.
                    let _ = self.strike.send(()).await;
                }
                open.push((name, generation + 1));
            } else if !self.is_closed(&name, generation) {
                open.push((name, generation));
            }
        }
        Ok(())
    }

    fn is_closed(&self, name: &str, generation: i64) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.newest.get(name).is_some_and(|object| {
            let status = &object.data["status"];
            object.metadata.generation == Some(generation)
                && status["observedGeneration"].as_i64() == Some(generation)
                && is_closed(status)
        })
    }

    async fn all_closed(&self) -> Result<(), Failure> {
        let end = Instant::now() + PATIENCE;
        loop {
            let objects = self.api.list(&ListParams::default()).await?.items;
            let open = objects.iter().filter(|object| {
                let status = &object.data["status"];
                status["observedGeneration"].as_i64() != object.metadata.generation || !is_closed(status)
            });
            match open.count() {
                0 => return Ok(()),
                count if Instant::now() > end => return Err(format!("{count} objects are not closed").into()),
                _ => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }

    fn report(&self, kills: usize) -> Report {
        let clusters: Vec<_> = self.clusters.values().map(String::as_str).collect();
        let ledger = self.bench.cloud.entries_of(&clusters);
        let mut calls = HashMap::<(String, String), usize>::new();
        for Entry { cluster, project, .. } in &ledger {
            *calls.entry((cluster.clone(), project.clone())).or_default() += 1;
        }
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut unknown, mut false_statements, mut open) = (0, 0, HashSet::new());
        for ((name, generation), (state, code)) in &seen.states {
            let cluster = self.clusters.get(name).cloned().unwrap_or_default();
            let called = calls.contains_key(&(cluster, project(*generation)));
            match state.as_str() {
                "Unknown" => unknown += 1,
                "Answered" => false_statements += usize::from(!called || *code != Some(200)),
                "NotSent" => false_statements += usize::from(called),
                other => drop(open.insert((name, generation, other))),
            }
        }
        for (name, generation) in &seen.confirmed {
            let cluster = self.clusters.get(name).cloned().unwrap_or_default();
            false_statements += usize::from(!calls.contains_key(&(cluster, project(*generation))));
        }
        for stuck in &open {
            eprintln!("not closed: {stuck:?}");
        }
        Report {
            plans: seen.states.len(),
            duplicates: ledger.len() - calls.len(),
            false_statements,
            unknown,
            calls: ledger.len(),
            settled: seen.states.len() - open.len(),
            unsettled: open.len(),
            overlaps: usize::from(self.bench.cloud.max_in_flight().1 > 1),
            kills: Some(kills),
            ..Report::default()
        }
    }
}

/// Generation, as a project id.
fn project(generation: i64) -> String {
    format!("{generation:032x}")
}
