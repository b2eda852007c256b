//! How the service describes a cluster to a reader of its detail. It knows the fields, and decides nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{run::Run, task::TaskState};

/// The representation of "no task".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoTask {
    /// `"task_status": null`.
    #[default]
    Null,
    /// `"task_status": ""`.
    Empty,
    /// The field is not there.
    Absent,
}

/// The fields of a cluster that do not follow from its task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    pub name: String,
    /// `AVAILABLE` in one vocabulary, `ACTIVE` in the other; or any other word.
    pub status: String,
    /// Members joined by ` | `; derived from the task if absent.
    pub sub_status: Option<String>,
    /// The representation of "no task".
    pub no_task: NoTask,
    /// Task and percent, as text; derived from the task if absent.
    pub action_progress: Option<BTreeMap<String, String>>,
    pub version: String,
    /// When it was last changed; the last change of its task if absent.
    pub updated: Option<String>,
    /// Progress of a scale-out; derived from the task if absent.
    pub resize_info: Option<Value>,
}

impl Default for Detail {
    fn default() -> Self {
        Self {
            name: "simulated".to_owned(),
            status: "AVAILABLE".to_owned(),
            sub_status: None,
            no_task: NoTask::Null,
            action_progress: None,
            version: "8.2.1.200".to_owned(),
            updated: None,
            resize_info: None,
        }
    }
}

/// The detail of a cluster with this task.
pub fn body(cluster: &str, detail: &Detail, task: &TaskState, run: Option<&Run>, changed: &str) -> Value {
    let percent = |percent: u64| json!({task.word(): format!("{percent}%")});
    let (sub_status, progress) = match task {
        // No word for a pause is known; the rows are still spread over old and new nodes.
        TaskState::Redistributing | TaskState::RedistributionPaused => {
            ("REDISTRIBUTING", json!({"REDISTRIBUTING": format!("{}%", run.map_or(0, Run::percent))}))
        }
        TaskState::RedistributeFailure => ("REDISTRIBUTION-FAILURE", json!({})),
        TaskState::Growing => ("NORMAL", percent(16)),
        TaskState::Other(_) => ("NORMAL", percent(50)),
        TaskState::WaitingRedistribution | TaskState::Idle => ("NORMAL", json!({})),
    };
    // The numbers are text, as in the published example, although they are declared as integers.
    let resize = (*task == TaskState::Growing).then(
        || json!({"target_node_num": "6", "origin_node_num": "3", "resize_status": "GROWING", "start_time": changed}),
    );
    let mut inner = json!({
        "id": cluster, "name": detail.name, "status": detail.status,
        "sub_status": detail.sub_status.as_deref().unwrap_or(sub_status),
        "action_progress": detail.action_progress.as_ref().map_or(progress, |own| json!(own)),
        "version": detail.version, "updated": detail.updated.as_deref().unwrap_or(changed),
        "resize_info": detail.resize_info.clone().or(resize)
    });
    match (task, detail.no_task) {
        (TaskState::Idle, NoTask::Absent) => {}
        (TaskState::Idle, NoTask::Null) => inner["task_status"] = Value::Null,
        (TaskState::Idle, NoTask::Empty) => inner["task_status"] = json!(""),
        (task, _) => inner["task_status"] = json!(task.word()),
    }
    json!({"cluster": inner})
}
