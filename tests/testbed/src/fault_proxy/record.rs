//! The traffic of the proxies of one plan, which all share one record. It must not change the traffic, and judges only
//! by counts.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::watch;

/// A request to the cloud, of which at least the head arrived.
#[derive(Clone, Debug)]
pub struct Call {
    /// DWS cluster, in lower case.
    pub cluster: String,
    /// The generation it was for: in a plan, the number of jobs is the generation. Absent until the body was read.
    pub generation: Option<i64>,
    /// Status of the answer, once its whole head is about to be written.
    pub said: Option<u16>,
    /// Answered, or its sender has gone.
    pub over: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub property: Property,
    pub what: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Property {
    /// At most one call for each object and generation.
    Duplicate,
    /// Calls of two generations of one object are never under way at once.
    Overlap,
    /// A status is false.
    FalseStatement,
    /// A key or secret in a wrong place.
    Leak,
    /// An object is not settled in time, or differently than without faults.
    Unsettled,
    /// More status writes than there are reasons for.
    TooManyWrites,
    /// The operator is dead, deaf, or was ended by its liveness probe without reason.
    Deaf,
    /// The plan could not be carried out.
    Broken,
}

impl fmt::Display for Violation {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(text, "{:?}: {}", self.property, self.what)
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) trace: Vec<String>,
    pub(super) log: Vec<String>,
    pub(super) calls: Vec<Call>,
    pub(super) claims: HashSet<String>,
    /// By an attempt's id and state: its object's name, and when the first write with that state came.
    pub(super) firsts: HashMap<(String, String), (String, Instant)>,
    pub(super) clusters: HashMap<String, String>,
    pub(super) canaries: Vec<String>,
    pub(super) violations: Vec<Violation>,
    pub(super) applied_writes: HashMap<String, usize>,
    pub(super) struck: usize,
    pub(super) late: usize,
}

type Knows = dyn Fn(&str, i64) -> bool + Send + Sync;

/// Checks which generations of which clusters were carried out.
pub(super) struct Oracle(pub(super) Box<Knows>);

impl fmt::Debug for Oracle {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.write_str("Oracle")
    }
}

#[derive(Debug)]
pub struct Record {
    begin: Instant,
    pub(super) oracle: OnceLock<Oracle>,
    state: Mutex<State>,
    pub(super) not_sent: watch::Sender<usize>,
}

impl Default for Record {
    fn default() -> Self {
        Self { begin: Instant::now(), oracle: OnceLock::new(), state: Mutex::default(), not_sent: watch::channel(0).0 }
    }
}

impl Record {
    /// The object of this name is for this cluster.
    pub fn expect(&self, name: &str, cluster: &str) {
        self.state().clusters.insert(name.to_owned(), cluster.to_lowercase());
    }

    /// Sets the check of what the cloud has carried out, by cluster and generation.
    pub fn ask(&self, oracle: impl Fn(&str, i64) -> bool + Send + Sync + 'static) {
        let _ = self.oracle.set(Oracle(Box::new(oracle)));
    }

    /// An answer existed, and the operator may have seen it too late.
    pub fn was_late(&self) {
        self.state().late += 1;
    }

    pub fn late(&self) -> usize {
        self.state().late
    }

    /// This must appear in nothing that an operator writes.
    pub fn canary(&self, text: &str) {
        self.state().canaries.push(text.to_owned());
    }

    pub fn trace(&self, line: impl fmt::Display) {
        let line = format!("{:>6} ms  {line}", self.begin.elapsed().as_millis());
        self.state().trace.push(line);
    }

    /// What happened, line by line.
    pub fn lines(&self) -> Vec<String> {
        self.state().trace.clone()
    }

    /// A line of an operator's log, separate from the trace.
    pub fn log(&self, pid: u32, line: &str) {
        self.state().log.push(format!("{pid}  {line}"));
    }

    /// The logs of the operators, each once it had ended.
    pub fn logged(&self) -> Vec<String> {
        self.state().log.clone()
    }

    pub fn struck(&self) {
        self.state().struck += 1;
    }

    pub fn strikes(&self) -> usize {
        self.state().struck
    }

    pub fn violated(&self, property: Property, what: impl Into<String>) {
        let what = what.into();
        self.trace(format_args!("VIOLATION {property:?}: {what}"));
        self.state().violations.push(Violation { property, what });
    }

    pub fn violations(&self) -> Vec<Violation> {
        self.state().violations.clone()
    }

    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// Status writes that the API server accepted for the object of this name.
    pub fn applied_writes(&self, name: &str) -> usize {
        self.state().applied_writes.get(name).copied().unwrap_or_default()
    }

    /// An operator writes that the attempt is in this state.
    pub(super) fn comes(&self, name: &str, id: &str, state: &str) {
        self.came(name, id, state, Instant::now());
    }

    /// It came at this instant, unless it had come before.
    pub(crate) fn came(&self, name: &str, id: &str, state: &str, at: Instant) {
        let first = || (name.to_owned(), at);
        self.state().firsts.entry((id.to_owned(), state.to_owned())).or_insert_with(first);
    }

    /// How long after its claim an attempt was first recorded in this state.
    pub fn after_its_claim(&self, id: &str, said: &str) -> Option<Duration> {
        let state = self.state();
        let came = |state_of: &str| state.firsts.get(&(id.to_owned(), state_of.to_owned())).map(|&(_, at)| at);
        Some(came(said)?.saturating_duration_since(came("Claimed")?))
    }

    /// Claims for the object of this name that were recorded as unused this long after they came, or later.
    pub fn unused_after(&self, name: &str, least: Duration) -> usize {
        let unused = |((id, said), (of, _)): (&(String, String), &(String, Instant))| {
            (of == name && said == "NotSent").then(|| id.clone())
        };
        let ids: Vec<_> = self.state().firsts.iter().filter_map(unused).collect();
        ids.iter().filter(|id| self.after_its_claim(id, "NotSent").is_some_and(|after| after >= least)).count()
    }

    /// Counts the statuses with `NotSent`.
    pub(super) fn not_sent(&self) -> watch::Receiver<usize> {
        self.not_sent.subscribe()
    }

    /// A call has begun to arrive. Returns its place.
    pub(crate) fn arrive(&self, cluster: &str) -> usize {
        let (mut state, cluster) = (self.state(), cluster.to_lowercase());
        let overlaps = state.calls.iter().any(|call| call.cluster == cluster && !call.over);
        state.calls.push(Call { cluster: cluster.clone(), generation: None, said: None, over: false });
        let place = state.calls.len() - 1;
        drop(state);
        if overlaps {
            self.violated(Property::Overlap, format!("a call for {cluster} begins while another one is under way"));
        }
        place
    }

    /// It is answered, or its sender has gone.
    pub(super) fn over(&self, call: usize) {
        self.state().calls[call].over = true;
    }

    /// Its body has been read: now its generation is known, and whether it was the first call for it.
    pub(crate) fn read(&self, call: usize, generation: Option<i64>) {
        let mut state = self.state();
        let Some(generation) = generation else { return };
        let cluster = state.calls[call].cluster.clone();
        state.calls[call].generation = Some(generation);
        let same = state.calls.iter().filter(|call| call.cluster == cluster && call.generation == Some(generation));
        let count = same.count();
        drop(state);
        if count > 1 {
            self.violated(Property::Duplicate, format!("call {count} for cluster {cluster}, generation {generation}"));
        }
    }

    /// The whole head of its answer is about to be written.
    pub(crate) fn answer_begins(&self, call: usize, status: u16) {
        self.state().calls[call].said = Some(status);
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
