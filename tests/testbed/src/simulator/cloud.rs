//! The state of the simulated cloud, and everything that can be asked of it or told to it from outside. It touches no
//! socket.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, watch};

use super::{
    Options,
    answer::{Answer, Shape},
    gateway::{Gateway, Key},
    ledger::{Entry, Ledger},
    script::{Act, Script},
    signature::Arrived,
};

/// Longest wait for a call to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(120);

/// What a cluster is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TaskState {
    /// Waiting for a redistribution: the only state that accepts one.
    WaitingRedistribution,
    /// Redistributing.
    Redistributing,
    /// Nothing.
    Idle,
}

/// A limit of the gateway for each key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throttle {
    /// Calls within the window.
    pub limit: usize,
    /// The window, in seconds.
    pub seconds: u64,
    /// Whether the refusal says how long to wait in a header.
    pub retry_after: bool,
}

#[derive(Debug)]
struct Cluster {
    project: String,
    state: TaskState,
    executions: usize,
    scripts: VecDeque<Script>,
    released: Arc<Semaphore>,
}

struct State {
    gateway: Gateway,
    clusters: HashMap<String, Cluster>,
    ledger: Ledger,
    connection_faults: VecDeque<Act>,
}

/// See the module.
pub struct Cloud {
    state: Mutex<State>,
    arrivals: watch::Sender<usize>,
    access_key: String,
    secret_key: String,
    accept_any_cluster: bool,
    clock_offset: i64,
    print: bool,
}

impl Cloud {
    pub(super) fn new(options: &Options) -> Self {
        let secret_key = options.secret_key.clone().unwrap_or_else(|| format!("{:032x}", rand::random::<u128>()));
        let keys = HashMap::from([(options.access_key.clone(), Key::new(secret_key.clone(), None))]);
        let gateway = Gateway { keys, throttle: None, lock: options.lock };
        Self {
            state: Mutex::new(State {
                gateway,
                clusters: HashMap::new(),
                ledger: Ledger::default(),
                connection_faults: VecDeque::new(),
            }),
            arrivals: watch::channel(0).0,
            access_key: options.access_key.clone(),
            secret_key,
            accept_any_cluster: options.accept_any_cluster,
            clock_offset: options.clock_offset,
            print: options.print,
        }
    }

    /// Access key id it knows from the start.
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// The secret key to it.
    pub fn secret_key(&self) -> &str {
        &self.secret_key
    }

    /// Knows another key from now on, or the same one with another secret.
    pub fn add_key(&self, access: &str, secret: &str, token: Option<&str>) {
        let key = Key::new(secret.to_owned(), token.map(str::to_owned));
        self.state().gateway.keys.insert(access.to_owned(), key);
    }

    /// True while a key is locked for wrong signatures.
    pub fn is_locked(&self, access: &str) -> bool {
        self.state()
            .gateway
            .keys
            .get(access)
            .is_some_and(|key| key.locked_until.is_some_and(|until| Instant::now() < until))
    }

    /// Limits the calls of each key.
    pub fn throttle(&self, throttle: Option<Throttle>) {
        self.state().gateway.throttle = throttle;
    }

    /// Has this cluster, waiting for a redistribution.
    pub fn add_cluster(&self, project: &str, cluster: &str) {
        self.set_cluster(project, cluster, TaskState::WaitingRedistribution);
    }

    /// Has this cluster in that state.
    pub fn set_cluster(&self, project: &str, cluster: &str, state: TaskState) {
        self.state().cluster(project, cluster).state = state;
    }

    /// What the cluster is doing.
    pub fn task_state(&self, cluster: &str) -> Option<TaskState> {
        self.state().clusters.get(&cluster.to_lowercase()).map(|cluster| cluster.state)
    }

    /// The cluster's next calls meet these, in this order.
    pub fn script(&self, cluster: &str, scripts: impl IntoIterator<Item = Script>) {
        self.state().cluster("", cluster).scripts.extend(scripts);
    }

    /// The next connections meet these before anything is read: `Cut`, `Reset` or `Hang`.
    pub fn script_connections(&self, acts: impl IntoIterator<Item = Act>) {
        self.state().connection_faults.extend(acts);
    }

    /// Lets one call go on that waits to be released, now or when it comes.
    pub fn release(&self, cluster: &str) {
        self.state().cluster("", cluster).released.add_permits(1);
    }

    /// Everything that arrived.
    pub fn entries(&self) -> Vec<Entry> {
        self.state().ledger.entries().to_vec()
    }

    /// What arrived for these clusters.
    pub fn entries_of(&self, clusters: &[&str]) -> Vec<Entry> {
        let state = self.state();
        let of = |entry: &&Entry| clusters.iter().any(|cluster| cluster.eq_ignore_ascii_case(&entry.cluster));
        state.ledger.entries().iter().filter(of).cloned().collect()
    }

    /// Calls that arrived for a cluster, half ones included.
    pub fn calls(&self, cluster: &str) -> usize {
        self.state().ledger.calls(&cluster.to_lowercase())
    }

    /// Calls that arrived for all clusters.
    pub fn total_calls(&self) -> usize {
        self.state().ledger.entries().len()
    }

    /// Redistributions the cluster carried out.
    pub fn executions(&self, cluster: &str) -> usize {
        self.state().clusters.get(&cluster.to_lowercase()).map_or(0, |cluster| cluster.executions)
    }

    /// Most calls at once, for all clusters together and for any one of them.
    pub fn max_in_flight(&self) -> (usize, usize) {
        self.state().ledger.max_in_flight()
    }

    /// Connections that brought no request.
    pub fn idle_connections(&self) -> usize {
        self.state().ledger.idle_connections
    }

    /// Waits until so many calls have arrived for a cluster.
    ///
    /// # Panics
    ///
    /// If they do not arrive.
    pub async fn arrived(&self, cluster: &str, calls: usize) {
        let mut arrivals = self.arrivals.subscribe();
        let enough = async { while self.calls(cluster) < calls && arrivals.changed().await.is_ok() {} };
        assert!(
            tokio::time::timeout(ARRIVES_WITHIN, enough).await.is_ok(),
            "{} of {calls} calls arrived for {cluster}",
            self.calls(cluster)
        );
    }

    /// The clusters and what they are doing, as JSON.
    pub fn clusters(&self) -> serde_json::Value {
        let state = self.state();
        let shown = state.clusters.iter().map(|(id, cluster)| {
            serde_json::json!({"project": cluster.project, "cluster": id, "task_status": cluster.state, "executions": cluster.executions, "scripts": cluster.scripts.len()})
        });
        shown.collect()
    }

    /// The simulated clock.
    pub(super) fn time(&self) -> Timestamp {
        Timestamp::now().checked_add(SignedDuration::from_secs(self.clock_offset)).unwrap_or_else(|_| Timestamp::now())
    }

    pub(super) fn next_connection_fault(&self) -> Option<Act> {
        self.state().connection_faults.pop_front()
    }

    pub(super) fn idle_connection(&self) {
        self.state().ledger.idle_connections += 1;
    }

    pub(super) fn arrive(&self, entry: Entry) -> usize {
        let number = self.state().ledger.arrive(entry);
        self.arrivals.send_replace(number);
        number
    }

    pub(super) fn update(&self, number: usize, change: impl FnOnce(&mut Entry)) {
        self.state().ledger.update(number, change);
    }

    pub(super) fn finish(&self, number: usize, outcome: &str) {
        let mut state = self.state();
        state.ledger.finish(number, outcome);
        if self.print
            && let Some(entry) = state.ledger.entries().get(number - 1)
        {
            println!(
                "call {number}: {} {} with key {}: {outcome}{}",
                entry.method,
                entry.target,
                entry.access_key,
                if entry.executed { ", carried out" } else { "" }
            );
        }
    }

    pub(super) fn judge(&self, arrived: &Arrived<'_>) -> Result<(), Answer> {
        let time = self.time();
        self.state().gateway.judge(arrived, time, Instant::now())
    }

    /// What the cluster's next call meets, if that was scripted, and what lets it go on.
    pub(super) fn next_script(&self, cluster: &str) -> Option<(Script, Arc<Semaphore>)> {
        let mut state = self.state();
        let cluster = state.clusters.get_mut(cluster)?;
        let script = cluster.scripts.pop_front()?;
        Some((script, Arc::clone(&cluster.released)))
    }

    /// The cluster carries a redistribution out.
    pub(super) fn execute(&self, project: &str, cluster: &str, number: usize) {
        let mut state = self.state();
        let cluster = state.cluster(project, cluster);
        cluster.state = TaskState::Redistributing;
        cluster.executions += 1;
        state.ledger.update(number, |entry| entry.executed = true);
    }

    /// The ordinary answer of the service to a call that the gateway let through.
    pub(super) fn serve(&self, project: &str, cluster: &str, body: &[u8], number: usize) -> Answer {
        if let Some(refusal) = refuse_body(body) {
            return refusal;
        }
        let known = {
            let mut state = self.state();
            if self.accept_any_cluster && !state.clusters.contains_key(cluster) {
                state.cluster(project, cluster);
            }
            state
                .clusters
                .get(cluster)
                .filter(|known| known.project.eq_ignore_ascii_case(project))
                .map(|known| known.state)
        };
        match known {
            None => Answer::error(Shape::A, 401, "DWS.0047", "The cluster does not exist."),
            Some(TaskState::WaitingRedistribution) => {
                self.execute(project, cluster, number);
                Answer::empty(200)
            }
            Some(_) => Answer::error(Shape::C, 403, "DWS.7023", "Cluster status is not allowed to operation."),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn cluster(&mut self, project: &str, cluster: &str) -> &mut Cluster {
        let entry = self.clusters.entry(cluster.to_lowercase()).or_insert_with(|| Cluster {
            project: project.to_owned(),
            state: TaskState::WaitingRedistribution,
            executions: 0,
            scripts: VecDeque::new(),
            released: Arc::new(Semaphore::new(0)),
        });
        if !project.is_empty() {
            project.clone_into(&mut entry.project);
        }
        entry
    }
}

/// What is wrong with a body, in the service's words.
fn refuse_body(body: &[u8]) -> Option<Answer> {
    let wrong = |code: &str, text: &str| Some(Answer::error(Shape::A, 400, code, text));
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(body) else {
        return wrong("DWS.5065", "The request body is not valid.");
    };
    match value["redis_mode"].as_str() {
        Some("online" | "offline") => {}
        Some(_) => return wrong("DWS.5038", "The value of redis_mode is out of range."),
        None => return wrong("DWS.5037", "The parameter redis_mode does not exist."),
    }
    match value["parallel_jobs"].as_i64() {
        Some(1..=200) => None,
        Some(_) => wrong("DWS.5060", "The integer parallel_jobs is out of range."),
        None => wrong("DWS.5037", "The parameter parallel_jobs does not exist."),
    }
}
