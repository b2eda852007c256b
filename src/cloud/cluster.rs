//! PURE: what the cloud tells of a cluster. Values are open: one that is not known here is shown as it is, and means that
//! something else holds the cluster. It must not match on parts of a word: WAITING_REDISTRIBUTION holds an ING too.

use serde_json::Value;

use crate::api::text::truncate;

/// Longest word that is shown, in characters.
const MAX_WORD: usize = 64;

/// What is being done to a cluster: its `task_status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// `WAITING_REDISTRIBUTION`: the only state in which the call is allowed.
    Waiting,
    /// `REDISTRIBUTING`.
    Redistributing,
    /// `REDISTRIBUTION_PAUSED`.
    Paused,
    /// `REDISTRIBUTE_FAILURE`.
    Failed,
    /// Null or empty: nothing.
    Idle,
    /// Any other word.
    Other(String),
}

/// A cluster as the cloud shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterState {
    /// What is being done to it.
    pub task: Task,
    /// Its `status`, of either vocabulary.
    pub status: Option<String>,
    /// Members of its `sub_status`.
    pub sub_status: Vec<String>,
}

/// Reads the body of a cluster's detail; `None` if it is not one, or says neither how the cluster is nor what is done to it.
pub fn read(body: &[u8]) -> Option<ClusterState> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let cluster = body.get("cluster")?.as_object()?;
    let text = |name: &str| cluster.get(name).and_then(Value::as_str).map(word).filter(|word| !word.is_empty());
    let task = match cluster.get("task_status") {
        None | Some(Value::Null) => Task::Idle,
        // Whatever it is, it is not the one word that allows the call.
        Some(Value::String(text)) => task(&word(text)),
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

fn task(word: &str) -> Task {
    match word {
        "WAITING_REDISTRIBUTION" => Task::Waiting,
        "REDISTRIBUTING" => Task::Redistributing,
        "REDISTRIBUTION_PAUSED" => Task::Paused,
        "REDISTRIBUTE_FAILURE" => Task::Failed,
        "" => Task::Idle,
        other => Task::Other(other.to_owned()),
    }
}

/// Only what such words are made of: this ends in status, for people.
fn word(text: &str) -> String {
    let kept = text.trim().chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' ' | '|'));
    truncate(&kept.collect::<String>(), MAX_WORD)
}

impl Task {
    /// The cloud's own word; empty for nothing.
    pub fn word(&self) -> &str {
        match self {
            Self::Waiting => "WAITING_REDISTRIBUTION",
            Self::Redistributing => "REDISTRIBUTING",
            Self::Paused => "REDISTRIBUTION_PAUSED",
            Self::Failed => "REDISTRIBUTE_FAILURE",
            Self::Idle => "",
            Self::Other(word) => word,
        }
    }
}

impl ClusterState {
    /// It works, and nothing is being done to it: no task, no redistribution among its `sub_status`, and of the two
    /// vocabularies the word for a cluster that works. A cluster that does not say how it is may be doing anything.
    pub fn is_idle(&self) -> bool {
        let works = self.status.as_deref().is_some_and(|status| matches!(status, "AVAILABLE" | "ACTIVE"));
        self.task == Task::Idle && works && !self.has_failed() && !self.is_redistributing()
    }

    /// Its last redistribution failed. Spelt otherwise than in `task_status`.
    pub fn has_failed(&self) -> bool {
        self.has("REDISTRIBUTION-FAILURE")
    }

    /// A redistribution is under way by its `sub_status`: the oldest description of `task_status` knows no word for it.
    pub fn is_redistributing(&self) -> bool {
        self.has("REDISTRIBUTING")
    }

    fn has(&self, wanted: &str) -> bool {
        self.sub_status.iter().any(|member| member == wanted)
    }

    /// What it is at, and what that means for a redistribution. Holds nothing that moves while nothing changes.
    pub fn in_words(&self) -> String {
        let meaning = match &self.task {
            Task::Waiting => "it waits for a redistribution",
            Task::Redistributing => "a redistribution is running",
            Task::Paused => "a redistribution was started and is paused",
            Task::Failed => "a redistribution was started and failed",
            Task::Idle => "nothing waits for a redistribution: there was no scale-out, or it is over",
            Task::Other(word) if word == "GROWING" => "it is being scaled out",
            Task::Other(word) if word == "RESIZE_FAILURE" => "its scale-out failed",
            Task::Other(_) => "another task holds it",
        };
        let word = Some(self.task.word()).filter(|word| !word.is_empty()).unwrap_or("empty");
        let of = |name: &str, value: &str| if value.is_empty() { String::new() } else { format!(", {name} {value}") };
        let status = of("status", self.status.as_deref().unwrap_or_default());
        let sub_status = of("sub_status", &self.sub_status.join(" | "));
        format!("task_status is {word} ({meaning}){status}{sub_status}")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn state(cluster: &str) -> ClusterState {
        read(format!(r#"{{"cluster": {cluster}}}"#).as_bytes()).unwrap()
    }

    #[test]
    fn only_the_exact_word_means_that_it_waits() {
        for (text, task) in [
            (r#""WAITING_REDISTRIBUTION""#, Task::Waiting),
            (r#""REDISTRIBUTING""#, Task::Redistributing),
            (r#""REDISTRIBUTION_PAUSED""#, Task::Paused),
            (r#""REDISTRIBUTE_FAILURE""#, Task::Failed),
            (r#""""#, Task::Idle),
            ("null", Task::Idle),
            (r#""GROWING""#, Task::Other("GROWING".to_owned())),
            (r#""waiting_redistribution""#, Task::Other("waiting_redistribution".to_owned())),
            (r#""WAITING_REDISTRIBUTION_X""#, Task::Other("WAITING_REDISTRIBUTION_X".to_owned())),
            (r#"["WAITING_REDISTRIBUTION"]"#, Task::Other("(no text)".to_owned())),
        ] {
            assert_eq!(state(&format!(r#"{{"task_status": {text}}}"#)).task, task, "{text}");
        }
        assert_eq!(state(r#"{"status": "AVAILABLE"}"#).task, Task::Idle);
    }

    #[test]
    fn idle_is_only_a_cluster_whose_status_says_that_it_works() {
        for working in
            [r#"{"status": "AVAILABLE"}"#, r#"{"status": "ACTIVE", "task_status": null, "sub_status": "NORMAL"}"#]
        {
            assert!(state(working).is_idle(), "{working}");
        }
        for other in [
            r#"{"task_status": null}"#,
            r#"{"task_status": "", "sub_status": "NORMAL"}"#,
            r#"{"task_status": null, "status": ""}"#,
            r#"{"task_status": null, "status": 1}"#,
            r#"{"status": "FROZEN"}"#,
            r#"{"status": "available"}"#,
            r#"{"status": "AVAILABLE", "task_status": "GROWING"}"#,
            r#"{"status": "AVAILABLE", "task_status": ["x"]}"#,
            r#"{"status": "AVAILABLE", "sub_status": "REDISTRIBUTING"}"#,
        ] {
            assert!(!state(other).is_idle(), "{other}");
        }
    }

    #[test]
    fn both_vocabularies_and_the_members_of_sub_status_are_read() {
        for status in ["AVAILABLE", "ACTIVE"] {
            let seen = state(&format!(r#"{{"status": "{status}", "sub_status": "UNBALANCED | REDISTRIBUTING"}}"#));
            assert_eq!(seen.status.as_deref(), Some(status));
            assert_eq!(seen.sub_status, ["UNBALANCED", "REDISTRIBUTING"]);
        }
    }

    #[test]
    fn what_is_no_cluster_is_not_taken_for_an_idle_one() {
        for body in
            ["", "null", "[]", "{}", r#"{"cluster": null}"#, r#"{"cluster": "x"}"#, r#"{"error_code": "DWS.0047"}"#]
        {
            assert_eq!(read(body.as_bytes()), None, "{body}");
        }
        for silent in
            ["{}", r#"{"id": "x"}"#, r#"{"status": ""}"#, r#"{"status": null}"#, r#"{"sub_status": "NORMAL"}"#]
        {
            assert_eq!(read(format!(r#"{{"cluster": {silent}}}"#).as_bytes()), None, "{silent}");
        }
    }

    #[test]
    fn words_of_the_cloud_are_bounded_and_hold_nothing_but_words() {
        let long = "X".repeat(1000);
        let seen = state(&format!(r#"{{"task_status": "<b>{long}\n", "status": "a\"b"}}"#));
        assert_eq!(seen.task, Task::Other(format!("b{}", "X".repeat(63))));
        assert_eq!(seen.status.as_deref(), Some("ab"));
    }
}
