//! Carries out one plan from an empty namespace to its verdict.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    bench::Bench,
    kubelet::{OperatorState, supervise},
    scenario::{Settled, User},
    verdict,
};
use crate::{
    Failure,
    fault_proxy::{FaultProxy, Plan, Property, Record, record::Violation},
    simulator::{Cloud, Entry},
};

/// An operator without faults watches long before that.
const WATCHES_WITHIN: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub struct Outcome {
    pub plan: Plan,
    pub violations: Vec<Violation>,
    /// Reasons in which the generations ended, in order.
    pub reasons: Vec<String>,
    pub attempts: usize,
    /// Generations whose answer may have come too late for the operator.
    pub late: usize,
    pub strikes: usize,
    pub seconds: f64,
    /// What happened, line by line.
    pub trace: Vec<String>,
    pub log: Vec<String>,
}

impl Outcome {
    /// Generations that ended as unknown.
    pub fn unknown(&self) -> usize {
        self.reasons.iter().filter(|reason| *reason == "OutcomeUnknown").count()
    }

    /// What happened, for a person.
    pub fn story(&self) -> String {
        format!("{}\nends as {:?}", self.trace.join("\n"), self.reasons)
    }

    pub fn count(&self, property: Property) -> usize {
        self.violations.iter().filter(|violation| violation.property == property).count()
    }
}

pub async fn run(bench: &Bench, plan: Plan) -> Outcome {
    let (begin, record) = (Instant::now(), Arc::new(Record::default()));
    let cloud = bench.cloud.knowledge();
    record.ask(move |cluster, generation| !executed(&cloud, cluster, generation).is_empty());
    let settled = match carry_out(bench, &plan, &record).await {
        Ok(settled) => settled,
        Err(error) => {
            record.violated(Property::Broken, error.to_string());
            Vec::new()
        }
    };
    Outcome {
        plan,
        violations: record.violations(),
        reasons: settled.iter().map(|settled| settled.reason().to_owned()).collect(),
        attempts: record.calls().len(),
        late: record.late(),
        strikes: record.strikes(),
        seconds: begin.elapsed().as_secs_f64(),
        trace: record.lines(),
        log: record.logged(),
    }
}

async fn carry_out(bench: &Bench, plan: &Plan, record: &Arc<Record>) -> Result<Vec<Settled>, Failure> {
    let user = User::new(bench, record).await?;
    let stop = CancellationToken::new();
    let _stops = stop.clone().drop_guard();
    let (mut kubelets, mut proxies, mut kept) = (JoinSet::new(), Vec::new(), Vec::new());
    for number in 1..=plan.operators {
        // Only the first operator meets the faults; the others are there to interfere with it.
        let own = if number == 1 { plan.clone() } else { Plan::nothing() };
        let name = number.to_string();
        let (proxy, orders) = FaultProxy::start(&name, &bench.network, &own, Arc::clone(record)).await?;
        let command = bench.command(&user.namespace, &proxy, flags(plan, bench))?;
        let state = Arc::new(OperatorState::default());
        let supervision = supervise(command, orders, Arc::clone(record), Arc::clone(&state), stop.clone());
        // With a single fault the first operator is the leader: the other one takes over when it is stopped.
        let (follows, record, stopped) = (number > 1 && plan.steps.len() == 1, Arc::clone(record), stop.clone());
        kubelets.spawn(async move {
            while follows && record.strikes() == 0 && !stopped.is_cancelled() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            supervision.await
        });
        kept.push(state);
        proxies.push(proxy);
    }
    // So that a run without faults always makes its requests in the same order.
    let end = Instant::now() + WATCHES_WITHIN;
    while Instant::now() < end && !kept.iter().take(1).all(|state| state.watching.load(Ordering::Relaxed)) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let first = proxies.first().ok_or("a plan without an operator")?;
    let mut settled = user.main_path(first).await?;
    let fresh = user.fresh(plan.steps.len() + 2).await?;
    for generation in &settled {
        let executed = executed(&bench.cloud, &generation.cluster, generation.generation);
        verdict::judge(record, plan, generation, &executed);
    }
    for generation in &fresh {
        let executed = executed(&bench.cloud, &generation.cluster, generation.generation);
        verdict::judge(record, plan, generation, &executed);
        verdict::judge_fresh(record, generation);
    }
    if fresh.last().is_none_or(|last| last.disturbed) {
        record.violated(Property::Broken, "faults did not end");
    }
    stop.cancel();
    while let Some(ended) = kubelets.join_next().await {
        ended??;
    }
    let clusters: Vec<_> = settled.iter().chain(&fresh).map(|generation| generation.cluster.as_str()).collect();
    let ledger: Vec<Entry> = bench.cloud.entries_of(&clusters);
    let probe_ended = kept.iter().map(|state| state.probe_ended.load(Ordering::Relaxed)).sum();
    verdict::judge_whole(record, plan, &ledger, probe_ended, bench.observe);
    settled.extend(fresh);
    Ok(settled)
}

/// Calls of this generation that the cloud carried out. The number of jobs is the generation.
fn executed(cloud: &Cloud, cluster: &str, generation: i64) -> Vec<Entry> {
    let of = |entry: &Entry| entry.body.ends_with(&format!("\"parallel_jobs\":{generation}}}"));
    cloud.entries_of(&[cluster]).into_iter().filter(|entry| entry.executed && of(entry)).collect()
}

/// Short times, so that a plan ends soon. The verdict uses them too.
fn flags(plan: &Plan, bench: &Bench) -> Vec<String> {
    let seconds = |flag: &str, time: Duration| format!("{flag}={}s", time.as_secs());
    let mut flags = vec![
        seconds("--send-budget", verdict::SEND_BUDGET),
        seconds("--connect-timeout", verdict::SEND_BUDGET),
        seconds("--request-timeout", verdict::REQUEST_TIMEOUT),
        "--grace-margin=2s".to_owned(),
        "--stale-after=20s".to_owned(),
    ];
    flags.extend(bench.read_flags());
    // Only a new list can bring back an event that the API server has lost.
    if plan.has(|step| step.fault.swallows().is_some()) {
        flags.push("--relist-every=5s".to_owned());
    }
    flags
}
