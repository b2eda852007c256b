//! What went through the proxies of one plan, and whether what an operator wrote was true at the moment it was taken. All
//! proxies of a plan share one record. It must not change what passes.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use serde_json::Value;
use tokio::sync::watch;

/// A request to the cloud, of which at least the head arrived.
#[derive(Clone, Debug)]
pub struct Call {
    /// DWS cluster, in lower case.
    pub cluster: String,
    /// Which generation it was for: in a plan, the number of jobs is the generation. Absent until the body was read.
    pub generation: Option<i64>,
    /// Status of the answer, once its whole head is about to be written.
    pub said: Option<u16>,
    /// Answered, or its sender has gone.
    pub over: bool,
}

/// A law that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub law: Law,
    /// How.
    pub what: String,
}

/// The laws of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Law {
    /// At most one call for each object and generation.
    Duplicate,
    /// Calls of two generations of one object are never under way at once.
    Overlap,
    /// Status says what is not so.
    FalseStatement,
    /// A key or secret where none belongs.
    Leak,
    /// An object is not settled in time, or differently than without faults.
    Unsettled,
    /// More status writes than there is reason for.
    TooManyWrites,
    /// The operator is dead, deaf, or was ended by its liveness probe without reason.
    Deaf,
    /// The plan could not be carried out.
    Broken,
}

impl fmt::Display for Violation {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(text, "{:?}: {}", self.law, self.what)
    }
}

#[derive(Debug, Default)]
struct State {
    trace: Vec<String>,
    log: Vec<String>,
    calls: Vec<Call>,
    claims: HashSet<String>,
    clusters: HashMap<String, String>,
    canaries: Vec<String>,
    violations: Vec<Violation>,
    applied_writes: HashMap<String, usize>,
    struck: usize,
}

/// See the module.
#[derive(Debug)]
pub struct Record {
    begin: Instant,
    state: Mutex<State>,
    not_sent: watch::Sender<usize>,
}

impl Default for Record {
    fn default() -> Self {
        Self { begin: Instant::now(), state: Mutex::default(), not_sent: watch::channel(0).0 }
    }
}

impl Record {
    /// The object of this name is for this cluster.
    pub fn expect(&self, name: &str, cluster: &str) {
        self.state().clusters.insert(name.to_owned(), cluster.to_lowercase());
    }

    /// This must appear in nothing that an operator writes.
    pub fn canary(&self, text: &str) {
        self.state().canaries.push(text.to_owned());
    }

    /// A line of the trace.
    pub fn trace(&self, line: impl fmt::Display) {
        let line = format!("{:>6} ms  {line}", self.begin.elapsed().as_millis());
        self.state().trace.push(line);
    }

    /// What happened, line by line.
    pub fn lines(&self) -> Vec<String> {
        self.state().trace.clone()
    }

    /// A line of an operator's log, told apart from the trace.
    pub fn log(&self, pid: u32, line: &str) {
        self.state().log.push(format!("{pid}  {line}"));
    }

    /// What the operators have logged, each once it had ended.
    pub fn logged(&self) -> Vec<String> {
        self.state().log.clone()
    }

    /// A fault has struck.
    pub fn struck(&self) {
        self.state().struck += 1;
    }

    /// How many have.
    pub fn strikes(&self) -> usize {
        self.state().struck
    }

    /// A law was broken.
    pub fn violated(&self, law: Law, what: impl Into<String>) {
        let what = what.into();
        self.trace(format_args!("VIOLATION {law:?}: {what}"));
        self.state().violations.push(Violation { law, what });
    }

    /// All that were.
    pub fn violations(&self) -> Vec<Violation> {
        self.state().violations.clone()
    }

    /// All calls.
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// Status writes that the API server took for the object of this name.
    pub fn applied_writes(&self, name: &str) -> usize {
        self.state().applied_writes.get(name).copied().unwrap_or_default()
    }

    /// One more, which now is what everybody reads: is it true? (What the API server refuses may be outdated; that is
    /// what it refuses it for.) A claim that was taken after a call for its generation had arrived is the beginning of a
    /// second one.
    pub(crate) fn applied(&self, path: &str, body: &[u8]) {
        let object: Value = serde_json::from_slice(body).unwrap_or_default();
        let (attempt, name) = (&object["status"]["attempt"], object_name(path));
        let generation = attempt["generation"].as_i64().unwrap_or_default();
        if let Some(state) = attempt["state"].as_str() {
            self.judge(&name, attempt, state, generation);
        }
        self.judge_conditions(&name, &object["status"]);
        let called = self.calls_of(&name, generation).is_some_and(|calls| !calls.is_empty());
        let mut state = self.state();
        *state.applied_writes.entry(name.clone()).or_default() += 1;
        let is_new =
            attempt["state"] == "Claimed" && state.claims.insert(attempt["id"].as_str().unwrap_or_default().to_owned());
        drop(state);
        if is_new && called {
            self.violated(Law::FalseStatement, format!("{name}, generation {generation}: claimed again after a call"));
        }
    }

    /// Counts the statuses that say `NotSent`.
    pub(super) fn not_sent(&self) -> watch::Receiver<usize> {
        self.not_sent.subscribe()
    }

    /// A call has begun to arrive. Returns its place.
    pub(super) fn arrive(&self, cluster: &str) -> usize {
        let (mut state, cluster) = (self.state(), cluster.to_lowercase());
        let overlaps = state.calls.iter().any(|call| call.cluster == cluster && !call.over);
        state.calls.push(Call { cluster: cluster.clone(), generation: None, said: None, over: false });
        let place = state.calls.len() - 1;
        drop(state);
        if overlaps {
            self.violated(Law::Overlap, format!("a call for {cluster} begins while another one is under way"));
        }
        place
    }

    /// It is answered, or its sender has gone.
    pub(super) fn over(&self, call: usize) {
        self.state().calls[call].over = true;
    }

    /// Its body has been read: now it is known which generation it was for, and whether it was the first.
    pub(super) fn read(&self, call: usize, generation: Option<i64>) {
        let mut state = self.state();
        let Some(generation) = generation else { return };
        let cluster = state.calls[call].cluster.clone();
        state.calls[call].generation = Some(generation);
        let same = state.calls.iter().filter(|call| call.cluster == cluster && call.generation == Some(generation));
        let count = same.count();
        drop(state);
        if count > 1 {
            self.violated(Law::Duplicate, format!("call {count} for cluster {cluster}, generation {generation}"));
        }
    }

    /// The whole head of its answer is about to be written.
    pub(super) fn says(&self, call: usize, status: u16) {
        self.state().calls[call].said = Some(status);
    }

    /// Looks for canaries in something that an operator sends to `place`.
    pub(crate) fn look_for_leaks(&self, place: &str, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let found = self.state().canaries.iter().any(|canary| text.contains(canary));
        if found {
            self.violated(Law::Leak, format!("a secret goes to {place}"));
        }
    }

    /// An operator is about to write this status. Returns it in a few words.
    pub(super) fn status(&self, path: &str, body: &[u8]) -> String {
        let object: Value = serde_json::from_slice(body).unwrap_or_default();
        let (status, name) = (&object["status"], object_name(path));
        let attempt = &status["attempt"];
        let reason = ready_reason(status);
        let (state, generation) = (attempt["state"].as_str(), attempt["generation"].as_i64());
        if state == Some("NotSent") {
            self.not_sent.send_modify(|count| *count += 1);
        }
        format!(
            "{name}: {} (observed {}, attempt {} {})",
            reason.unwrap_or("-"),
            status["observedGeneration"],
            state.unwrap_or("none"),
            generation.unwrap_or_default()
        )
    }

    fn judge(&self, name: &str, attempt: &Value, state: &str, generation: i64) {
        let Some(calls) = self.calls_of(name, generation) else { return };
        let say = |what: String| self.violated(Law::FalseStatement, format!("{name}, generation {generation}: {what}"));
        match state {
            "NotSent" if !calls.is_empty() => say("says NotSent after a call arrived".to_owned()),
            "Answered" => {
                let code = attempt["statusCode"].as_u64();
                if !calls.iter().any(|call| call.said.map(u64::from) == code && code.is_some()) {
                    say(format!("says Answered with {code:?}, but {calls:?}"));
                }
            }
            _ => {}
        }
    }

    /// `Delivered` may be True only after a 2xx, and False after a call only if that was refused.
    fn judge_conditions(&self, name: &str, status: &Value) {
        for condition in status["conditions"].as_array().into_iter().flatten() {
            if condition["type"] != "Delivered" {
                continue;
            }
            let generation = condition["observedGeneration"].as_i64().unwrap_or_default();
            let Some(calls) = self.calls_of(name, generation) else { return };
            let said: Vec<_> = calls.into_iter().map(|call| call.said).collect();
            let is_true = match condition["status"].as_str() {
                Some("True") => said.iter().any(|said| said.is_some_and(|code| (200..300).contains(&code))),
                Some("False") => said.iter().all(|said| said.is_some_and(|code| (300..500).contains(&code))),
                _ => true,
            };
            if !is_true {
                let what = format!(
                    "{name}, generation {generation}: Delivered {} ({}), but the cloud said {said:?}",
                    condition["status"], condition["reason"]
                );
                self.violated(Law::FalseStatement, what);
            }
        }
    }

    /// Calls for this object's generation; none for an object of which the record was told nothing.
    fn calls_of(&self, name: &str, generation: i64) -> Option<Vec<Call>> {
        let state = self.state();
        let cluster = state.clusters.get(name)?;
        let of = |call: &&Call| call.cluster == *cluster && call.generation.is_none_or(|of| of == generation);
        Some(state.calls.iter().filter(of).cloned().collect())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reason of `Ready`.
pub fn ready_reason(status: &Value) -> Option<&str> {
    let conditions = status["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == "Ready")?["reason"].as_str()
}

/// The object's name in the path of its status.
fn object_name(path: &str) -> String {
    path.trim_end_matches("/status").rsplit('/').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PATH: &str = "/apis/g/v1/namespaces/n/things/wish/status";

    fn written(record: &Record, attempt: &Value, delivered: &str) -> Vec<Law> {
        let conditions = json!([{"type": "Delivered", "status": delivered, "observedGeneration": 1}]);
        let object = json!({"status": {"attempt": attempt, "conditions": conditions}});
        record.applied(PATH, object.to_string().as_bytes());
        record.violations().into_iter().map(|violation| violation.law).collect()
    }

    fn called(said: Option<u16>) -> Record {
        let record = Record::default();
        record.expect("wish", "CLUSTER");
        let call = record.arrive("cluster");
        record.read(call, Some(1));
        if let Some(code) = said {
            record.says(call, code);
        }
        record.over(call);
        record
    }

    fn attempt(state: &str) -> Value {
        json!({"id": "a", "generation": 1, "state": state, "statusCode": 200})
    }

    #[test]
    fn what_is_so_may_be_said() {
        assert_eq!(written(&called(Some(200)), &attempt("Answered"), "True"), []);
        assert_eq!(written(&called(None), &attempt("Unknown"), "Unknown"), []);
        let refused = json!({"id": "a", "generation": 1, "state": "Answered", "statusCode": 403});
        assert_eq!(written(&called(Some(403)), &refused, "False"), []);
    }

    #[test]
    fn what_is_not_so_is_found_out() {
        assert_eq!(written(&called(None), &attempt("NotSent"), "Unknown"), [Law::FalseStatement]);
        assert_eq!(written(&called(Some(500)), &attempt("Answered"), "Unknown"), [Law::FalseStatement]);
        assert_eq!(written(&called(None), &attempt("Unknown"), "True"), [Law::FalseStatement]);
        assert_eq!(written(&called(Some(200)), &attempt("Unknown"), "False"), [Law::FalseStatement]);
        assert_eq!(written(&called(None), &attempt("Claimed"), "Unknown"), [Law::FalseStatement]);
    }

    #[test]
    fn a_second_call_and_one_that_overlaps_are_counted() {
        let record = called(Some(200));
        let second = record.arrive("cluster");
        record.read(second, Some(1));
        let third = record.arrive("cluster");
        record.read(third, Some(2));
        let laws: Vec<_> = record.violations().into_iter().map(|violation| violation.law).collect();
        assert_eq!(laws, [Law::Duplicate, Law::Overlap]);
    }

    #[test]
    fn a_canary_is_found_wherever_it_is() {
        let record = Record::default();
        record.canary("secret-1");
        record.look_for_leaks("somewhere", b"nothing");
        assert_eq!(record.violations(), []);
        record.look_for_leaks("somewhere", b"a secret-1 in the middle");
        assert_eq!(record.violations()[0].law, Law::Leak);
    }
}
