//! One cluster: its task, the state it shows and its lag. It knows nothing of gateways, keys or wires.

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::{
    address::Read,
    answer::{Answer, Shape},
    detail,
    run::{self, Run},
    script::Queue,
    task::TaskState,
};

/// The answer to a read of the details when no redistribution is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoRun {
    /// 200 with `"redis_info": null`.
    #[default]
    Null,
    /// 404.
    NotFound,
    /// 200 with the last run as it ended; null if there was none.
    LastRun,
}

/// Changes to the ordinary answer to one kind of read.
#[derive(Debug, Default)]
pub struct Overlay {
    /// Is merged into the body, field by field.
    pub amendment: Option<Value>,
    pub scripts: Queue,
}

#[derive(Debug)]
pub struct Cluster {
    pub id: String,
    pub project: String,
    pub any_project: bool,
    pub state: TaskState,
    pub changed: Timestamp,
    pub executions: usize,
    pub calls: Queue,
    pub run: Option<Run>,
    pub last_run: Option<Run>,
    pub no_run: NoRun,
    pub lag: usize,
    pub tables_per_read: u64,
    /// The state shown instead of the actual one, and for how much longer.
    pub behind: Option<(TaskState, usize)>,
    for_detail: Overlay,
    for_details: Overlay,
}

impl Cluster {
    /// One that waits for a redistribution.
    pub fn new(id: &str, lag: usize, tables_per_read: u64, now: Timestamp) -> Self {
        Self {
            id: id.to_owned(),
            project: String::new(),
            any_project: false,
            state: TaskState::WaitingRedistribution,
            changed: now,
            executions: 0,
            calls: Queue::default(),
            run: None,
            last_run: None,
            no_run: NoRun::default(),
            lag,
            tables_per_read,
            behind: None,
            for_detail: Overlay::default(),
            for_details: Overlay::default(),
        }
    }

    pub fn overlay(&mut self, read: Read) -> &mut Overlay {
        match read {
            Read::Cluster => &mut self.for_detail,
            Read::Redistribution => &mut self.for_details,
        }
    }

    /// A call is carried out: a new run begins, and is visible when the lag is over.
    pub fn execute(&mut self, body: &[u8], now: Timestamp) {
        let shown = self.behind.take().map_or_else(|| self.state.clone(), |(shown, _)| shown);
        self.executions += 1;
        self.archive();
        self.set(TaskState::Redistributing, now);
        if let (Some(run), Ok(asked)) = (&mut self.run, serde_json::from_slice::<Value>(body)) {
            if let Some(mode) = asked["redis_mode"].as_str() {
                mode.clone_into(&mut run.redis_mode);
            }
            run.parallel_jobs = asked["parallel_jobs"].as_i64().unwrap_or(run.parallel_jobs);
        }
        self.behind = (self.lag != 0).then_some((shown, self.lag));
    }

    /// Sets its task, and shows it at once.
    pub fn set(&mut self, state: TaskState, now: Timestamp) {
        self.behind = None;
        self.changed = now;
        if state.has_a_run() && self.run.is_none() {
            self.run = Some(Run::default().started(now));
        }
        match (&state, &mut self.run) {
            (TaskState::Redistributing, Some(run)) => run.running(),
            (TaskState::RedistributionPaused, Some(run)) => run.paused(true),
            (TaskState::RedistributeFailure, Some(run)) => run.failed(),
            (TaskState::Idle, Some(run)) => run.succeeded(now),
            _ => {}
        }
        if !state.has_a_run() {
            self.archive();
        }
        self.state = state;
    }

    fn archive(&mut self) {
        self.last_run = self.run.take().or(self.last_run.take());
    }

    /// The ordinary answer to a read, which also counts as one for lag and progress.
    pub fn show(&mut self, read: Read, now: Timestamp) -> Answer {
        let shown = self.behind.as_ref().map_or(&self.state, |(shown, _)| shown).clone();
        let run = self.run.as_ref().filter(|_| shown.has_a_run());
        let body = match read {
            Read::Cluster => {
                Some(detail::body(&self.id, &shown, run, &self.changed.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()))
            }
            Read::Redistribution => match (run, self.no_run) {
                (None, NoRun::NotFound) => None,
                (None, NoRun::LastRun) => Some(run::body(&self.id, self.last_run.as_ref())),
                (run, _) => Some(run::body(&self.id, run)),
            },
        };
        self.step(now);
        let overlay = self.overlay(read);
        let Some(mut body) = body else {
            return Answer::error(Shape::Plain, 404, "DWS.5037", "The redistribution does not exist.");
        };
        if let Some(amendment) = &overlay.amendment {
            merge_into(&mut body, amendment);
        }
        Answer::with_body(200, body.to_string())
    }

    fn step(&mut self, now: Timestamp) {
        if let Some((_, left)) = &mut self.behind {
            *left -= 1;
            if *left == 0 {
                self.behind = None;
            }
        } else if let Some(run) = self.run.as_mut().filter(|_| self.state == TaskState::Redistributing) {
            run.move_tables(self.tables_per_read);
            if self.tables_per_read > 0 && run.tables_left == 0 {
                self.set(TaskState::Idle, now);
            }
        }
    }
}

/// Merges an object into another, field by field; null is a value like any other.
fn merge_into(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (name, value) in over {
                merge_into(under.entry(name).or_insert(Value::Null), value);
            }
        }
        (under, over) => over.clone_into(under),
    }
}
