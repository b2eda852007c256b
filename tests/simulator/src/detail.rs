//! How the service describes a cluster to a reader of its detail. It knows the fields, and decides nothing.

use serde_json::{Value, json};

use super::{run::Run, task::TaskState};

/// The detail of a cluster with this task.
pub fn body(cluster: &str, task: &TaskState, run: Option<&Run>, changed: &str) -> Value {
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
    let shown = if *task == TaskState::Idle { Value::Null } else { json!(task.word()) };
    json!({"cluster": {
        "id": cluster, "name": "simulated", "status": "AVAILABLE", "sub_status": sub_status, "task_status": shown,
        "action_progress": progress, "version": "8.2.1.200", "updated": changed, "resize_info": resize
    }})
}
