//! PURE: parses the cloud's description of a cluster. Unknown values are shown as they are, and mean that another task
//! occupies the cluster. Words are compared whole.

use serde_json::Value;

use crate::api::text::truncate;

/// Maximum length of a word that is shown, in characters.
const MAX_WORD: usize = 64;

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
pub fn read(body: &[u8]) -> Option<ClusterState> {
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

/// Keeps only the characters of such words, since the result is shown in status.
fn word(text: &str) -> String {
    let kept = text.trim().chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' ' | '|'));
    truncate(&kept.collect::<String>(), MAX_WORD)
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn state(cluster: &str) -> ClusterState {
        read(format!(r#"{{"cluster": {cluster}}}"#).as_bytes()).unwrap()
    }

    #[test]
    fn a_cluster_waits_only_by_the_exact_word() {
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
    fn a_cluster_is_idle_only_with_the_status_of_a_working_one() {
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
    fn a_cluster_is_read_in_both_vocabularies_with_its_sub_status() {
        for status in ["AVAILABLE", "ACTIVE"] {
            let seen = state(&format!(r#"{{"status": "{status}", "sub_status": "UNBALANCED | REDISTRIBUTING"}}"#));
            assert_eq!(seen.status.as_deref(), Some(status));
            assert_eq!(seen.sub_status, ["UNBALANCED", "REDISTRIBUTING"]);
        }
    }

    #[test]
    fn a_body_without_a_cluster_is_not_read_as_an_idle_one() {
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
    fn words_of_the_cloud_are_truncated_and_stripped_of_other_characters() {
        let long = "X".repeat(1000);
        let seen = state(&format!(r#"{{"task_status": "<b>{long}\n", "status": "a\"b"}}"#));
        assert_eq!(seen.task, Task::Other(format!("b{}", "X".repeat(63))));
        assert_eq!(seen.status.as_deref(), Some("ab"));
    }
}
