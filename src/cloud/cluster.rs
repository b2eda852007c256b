//! PURE: parses the cloud's descriptions of a cluster and of its redistribution. Words are compared whole; an unknown task
//! is shown as it is, and means that another task occupies the cluster.
//!
//! Numbers may be numbers or text, times have no zone and stay text, ids may be numbers of more than 32 bits. A field that
//! cannot be parsed is absent, and never makes the rest unreadable.

use serde_json::Value;

use crate::api::text::truncate;

/// Maximum length of a text that is shown, in characters.
const MAX_TEXT: usize = 64;

/// The task that occupies a cluster: its `task_status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// `WAITING_REDISTRIBUTION`: the only state in which the call is allowed.
    Waiting,
    Redistributing,
    Paused,
    Failed,
    /// Null or empty: no task.
    Idle,
    Other(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterState {
    pub task: Task,
    /// Its `status`, in either of the two documented vocabularies.
    pub status: Option<String>,
    pub sub_status: Vec<String>,
}

/// Parses the body of a cluster's details; `None` if it is not one, or holds neither a status nor a task.
pub fn read_cluster(body: &[u8]) -> Option<ClusterState> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let cluster = body.get("cluster")?.as_object()?;
    let text = |name: &str| cluster.get(name).and_then(Value::as_str).map(word).filter(|word| !word.is_empty());
    let task = match cluster.get("task_status") {
        None | Some(Value::Null) => Task::Idle,
        // Whatever its value, it is not the one word that allows the call.
        Some(Value::String(text)) => Task::read(word(text)),
        Some(_) => Task::Other("(no text)".to_owned()),
    };
    let status = text("status");
    if status.is_none() && !cluster.contains_key("task_status") {
        return None;
    }
    let sub_status = text("sub_status").unwrap_or_default();
    let members = sub_status.split('|').map(|member| member.trim().to_owned()).filter(|member| !member.is_empty());
    Some(ClusterState { task, status, sub_status: members.collect() })
}

impl Task {
    fn read(word: String) -> Self {
        let known = [Self::Waiting, Self::Redistributing, Self::Paused, Self::Failed, Self::Idle];
        known.into_iter().find(|task| task.word() == word).unwrap_or(Self::Other(word))
    }

    /// The cloud's own word; empty for no task.
    pub fn word(&self) -> &str {
        self.words().0
    }

    /// The same, and what it means.
    fn words(&self) -> (&str, &'static str) {
        match self {
            Self::Waiting => ("WAITING_REDISTRIBUTION", "it waits for a redistribution"),
            Self::Redistributing => ("REDISTRIBUTING", "a redistribution is running"),
            Self::Paused => ("REDISTRIBUTION_PAUSED", "a redistribution was started and is paused"),
            Self::Failed => ("REDISTRIBUTE_FAILURE", "a redistribution was started and failed"),
            Self::Idle => ("", "nothing waits for a redistribution: there was no scale-out, or it is over"),
            Self::Other(word) if word == "GROWING" => (word, "it is being scaled out"),
            Self::Other(word) if word == "RESIZE_FAILURE" => (word, "its scale-out failed"),
            Self::Other(word) => (word, "another task occupies it"),
        }
    }
}

impl ClusterState {
    /// It works and is idle: no task, no redistribution in its `sub_status`, and the `status` of a working cluster in
    /// either vocabulary. A cluster without a `status` may be doing anything.
    pub fn is_idle(&self) -> bool {
        let works = self.status.as_deref().is_some_and(|status| matches!(status, "AVAILABLE" | "ACTIVE"));
        self.task == Task::Idle && works && !self.has_failed() && !self.is_redistributing()
    }

    /// Its last redistribution failed. Spelt differently from the word in `task_status`.
    pub fn has_failed(&self) -> bool {
        self.has("REDISTRIBUTION-FAILURE")
    }

    /// A redistribution is under way according to `sub_status`: the oldest documentation of `task_status` has no word for
    /// it.
    pub fn is_redistributing(&self) -> bool {
        self.has("REDISTRIBUTING")
    }

    fn has(&self, wanted: &str) -> bool {
        self.sub_status.iter().any(|member| member == wanted)
    }

    /// Its state, and what that means for a redistribution. Changes only when the state changes.
    pub fn describe(&self) -> String {
        let (word, meaning) = self.task.words();
        let word = if word.is_empty() { "empty" } else { word };
        let field =
            |name: &str, value: &str| if value.is_empty() { String::new() } else { format!(", {name} {value}") };
        let status = field("status", self.status.as_deref().unwrap_or_default());
        let sub_status = field("sub_status", &self.sub_status.join(" | "));
        format!("task_status is {word} ({meaning}){status}{sub_status}")
    }
}

/// The state of a redistribution: its `status`, which is not the `status` of its progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunState {
    /// `PREPARE` or `WAITING`: the documentation does not state whether it has started.
    Preparing,
    Running,
    Paused,
    Failed,
    Finished,
    Other,
}

/// A redistribution as the cloud shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Details {
    /// Its id, which distinguishes it from other redistributions.
    pub id: String,
    pub state: RunState,
    pub mode: Option<String>,
    pub parallel_jobs: Option<i64>,
    /// The cloud's text, without a time zone, as is `end_time`.
    pub start_time: Option<String>,
    pub end_time: Option<String>,
    pub percent: Option<i32>,
    pub tables_done: Option<i64>,
    pub tables_left: Option<i64>,
    pub bytes_left: Option<i64>,
    /// Its speed as the cloud's text, such as `21 MB/s`.
    pub rate: Option<String>,
    pub estimated_seconds: Option<i64>,
    pub fail_count: Option<i64>,
    pub paused_by_user: Option<bool>,
    pub retryable: Option<bool>,
}

/// Parses the body of a redistribution's details. `None`: it is not one. `Some(None)`: the cloud shows no redistribution.
#[allow(clippy::option_option, reason = "not readable, none, one")]
pub fn read_details(body: &[u8]) -> Option<Option<Details>> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let info = match body.as_object()?.get("redis_info")? {
        Value::Null => return Some(None),
        Value::Object(info) if info.is_empty() => return Some(None),
        Value::Object(info) => info,
        _ => return None,
    };
    // Without an id it cannot be distinguished from the previous one.
    let Some(id) = info.get("id").and_then(id) else { return Some(None) };
    let conf = |field: &str| info.get("redis_conf").and_then(|conf| conf.get(field));
    let progress = |field: &str| info.get("redis_progress").and_then(|progress| progress.get(field));
    let flag = |value: Option<&Value>| value.and_then(Value::as_bool);
    Some(Some(Details {
        id,
        state: run_state(info.get("status").and_then(Value::as_str).unwrap_or_default()),
        mode: conf("redis_mode").and_then(text).map(|mode| mode.to_ascii_lowercase()),
        parallel_jobs: conf("parallel_jobs").and_then(count),
        start_time: info.get("start_time").and_then(text),
        end_time: info.get("end_time").and_then(text),
        percent: progress("total_progress").and_then(percent),
        tables_done: progress("tables_done").and_then(count),
        tables_left: progress("tables_left").and_then(count),
        bytes_left: progress("byte_left").or_else(|| progress("bytes_left")).and_then(count),
        rate: progress("redis_rate").and_then(text),
        estimated_seconds: progress("estimated_time").and_then(seconds),
        fail_count: progress("fail_count").and_then(count),
        paused_by_user: flag(progress("pause_by_user")),
        retryable: flag(body.get("retry_enable")),
    }))
}

impl Details {
    /// It had not ended when it was read. If the cloud shows only such redistributions, it cannot show an old one.
    pub fn is_under_way(&self) -> bool {
        matches!(self.state, RunState::Preparing | RunState::Running | RunState::Paused)
    }
}

fn run_state(word: &str) -> RunState {
    match word.trim() {
        "PREPARE" | "WAITING" => RunState::Preparing,
        "RUNNING" => RunState::Running,
        "PAUSE" | "PAUSING" => RunState::Paused,
        "FAIL" => RunState::Failed,
        "SUCCESS" => RunState::Finished,
        _ => RunState::Other,
    }
}

/// An id, as text or as a number.
fn id(value: &Value) -> Option<String> {
    match value {
        Value::String(_) => text(value),
        Value::Number(number) => Some(truncate(&number.to_string(), MAX_TEXT)),
        _ => None,
    }
}

fn text(value: &Value) -> Option<String> {
    Some(kept(value.as_str()?, "_- :/.%+")).filter(|kept| !kept.is_empty())
}

fn word(text: &str) -> String {
    kept(text, "_- |")
}

/// Only letters, digits and `others`, since the result is shown in status.
fn kept(text: &str, others: &str) -> String {
    let kept = text.trim().chars().filter(|c| c.is_ascii_alphanumeric() || others.contains(*c));
    truncate(&kept.collect::<String>(), MAX_TEXT)
}

/// A non-negative integer.
fn count(value: &Value) -> Option<i64> {
    let count = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    count.filter(|count| *count >= 0)
}

/// Percent, rounded down to an integer: 100 means that all is done.
fn percent(value: &Value) -> Option<i32> {
    let share = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().trim_end_matches('%').trim_end().parse().ok()?,
        _ => return None,
    };
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    (0.0..=100.0).contains(&share).then_some(share as i32)
}

/// Seconds from `00:12:06`, with or without days before it, or from a number.
fn seconds(value: &Value) -> Option<i64> {
    if let Some(seconds) = count(value) {
        return Some(seconds);
    }
    let parts: Vec<i64> = value.as_str()?.trim().split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [days, hours, minutes, seconds] = match *parts.as_slice() {
        [hours, minutes, seconds] => [0, hours, minutes, seconds],
        [days, hours, minutes, seconds] => [days, hours, minutes, seconds],
        _ => return None,
    };
    let fits = (0..100_000).contains(&days) && (0..100_000).contains(&hours);
    (fits && (0..60).contains(&minutes) && (0..60).contains(&seconds))
        .then_some(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
