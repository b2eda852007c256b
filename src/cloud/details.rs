//! PURE: what the cloud tells of a redistribution. Numbers come as numbers or as text, times have no zone and stay text,
//! ids may be numbers of more than 32 bits; a field that cannot be read is absent, and never makes the rest unreadable.

use serde_json::Value;

use crate::api::text::truncate;

/// Longest text that is taken over, in characters.
const MAX_TEXT: usize = 64;

/// What a redistribution is at: its `status`, which is another word than the `status` of its progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunState {
    /// `PREPARE` or `WAITING`: whether it was started is not documented.
    Preparing,
    /// `RUNNING`.
    Running,
    /// `PAUSE` or `PAUSING`.
    Paused,
    /// `FAIL`.
    Failed,
    /// `SUCCESS`.
    Finished,
    /// Any other word, or none.
    Other,
}

/// A redistribution as the cloud shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Details {
    /// Tells this redistribution from others.
    pub id: String,
    /// What it is at.
    pub state: RunState,
    /// `redis_mode` it runs with, in lower case.
    pub mode: Option<String>,
    /// `parallel_jobs` it runs with.
    pub parallel_jobs: Option<i64>,
    /// Without a zone.
    pub start_time: Option<String>,
    /// Without a zone.
    pub end_time: Option<String>,
    /// 0 to 100.
    pub percent: Option<i32>,
    /// Tables.
    pub tables_done: Option<i64>,
    /// Tables.
    pub tables_left: Option<i64>,
    /// Bytes.
    pub bytes_left: Option<i64>,
    /// Such as `21 MB/s`.
    pub rate: Option<String>,
    /// Seconds.
    pub estimated_seconds: Option<i64>,
    /// Failures so far.
    pub fail_count: Option<i64>,
    /// A user paused it, not the service.
    pub paused_by_user: Option<bool>,
    /// It can be tried again.
    pub retryable: Option<bool>,
}

/// Reads the body of a redistribution's details. `None`: it is none. `Some(None)`: there is no redistribution to show.
#[allow(clippy::option_option, reason = "not readable, none, one")]
pub fn read(body: &[u8]) -> Option<Option<Details>> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let info = match body.as_object()?.get("redis_info")? {
        Value::Null => return Some(None),
        Value::Object(info) if info.is_empty() => return Some(None),
        Value::Object(info) => info,
        _ => return None,
    };
    // Without a name of its own it cannot be told from the one before.
    let Some(id) = info.get("id").and_then(name) else { return Some(None) };
    let conf = |field: &str| info.get("redis_conf").and_then(|conf| conf.get(field));
    let progress = |field: &str| info.get("redis_progress").and_then(|progress| progress.get(field));
    let flag = |value: Option<&Value>| value.and_then(Value::as_bool);
    Some(Some(Details {
        id,
        state: state(info.get("status").and_then(Value::as_str).unwrap_or_default()),
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
    /// It was not over when it was shown: a list that holds only such ones cannot show an old one.
    pub fn is_under_way(&self) -> bool {
        matches!(self.state, RunState::Preparing | RunState::Running | RunState::Paused)
    }
}

fn state(word: &str) -> RunState {
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
fn name(value: &Value) -> Option<String> {
    match value {
        Value::String(_) => text(value),
        Value::Number(number) => Some(truncate(&number.to_string(), MAX_TEXT)),
        _ => None,
    }
}

/// Only what such texts are made of: this ends in status, for people.
fn text(value: &Value) -> Option<String> {
    let kept = value.as_str()?.trim().chars();
    let kept = kept.filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' ' | ':' | '/' | '.' | '%' | '+'));
    Some(truncate(&kept.collect::<String>(), MAX_TEXT)).filter(|kept| !kept.is_empty())
}

/// A whole number that is not negative.
fn count(value: &Value) -> Option<i64> {
    let count = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    count.filter(|count| *count >= 0)
}

/// Whole percent, rounded down: 100 means all of it.
fn percent(value: &Value) -> Option<i32> {
    let share = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().trim_end_matches('%').trim_end().parse().ok()?,
        _ => return None,
    };
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    (0.0..=100.0).contains(&share).then_some(share as i32)
}

/// `00:12:06`, or with days before it.
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
