use serde_json::json;

use super::*;

fn parsed(info: &Value) -> Details {
    read_details(json!({"redis_info": info, "retry_enable": true}).to_string().as_bytes()).unwrap().unwrap()
}

#[test]
fn read_returns_every_field_of_the_published_example() {
    let details = parsed(&json!({
        "id": "b9e6b1c4", "start_time": "2025-05-15 14:04", "end_time": "", "status": "PAUSE",
        "redis_conf": {"redis_mode": "OFFLINE", "parallel_jobs": 100},
        "redis_progress": {
            "byte_left": 5_000_000_000_i64, "tables_done": 1, "tables_left": 2, "total_progress": 33,
            "redis_rate": "21 MB/s", "estimated_time": "00:12:06", "fail_count": 1, "status": "FAIL", "pause_by_user": false
        }
    }));
    let expected = Details {
        id: "b9e6b1c4".to_owned(),
        state: RunState::Paused,
        mode: Some("offline".to_owned()),
        parallel_jobs: Some(100),
        start_time: Some("2025-05-15 14:04".to_owned()),
        end_time: None,
        percent: Some(33),
        tables_done: Some(1),
        tables_left: Some(2),
        bytes_left: Some(5_000_000_000),
        rate: Some("21 MB/s".to_owned()),
        estimated_seconds: Some(726),
        fail_count: Some(1),
        paused_by_user: Some(false),
        retryable: Some(true),
    };
    assert_eq!(details, expected);
}

#[test]
fn read_maps_only_exact_words_to_a_state() {
    for (word, state) in [
        ("PREPARE", RunState::Preparing),
        ("RUNNING", RunState::Running),
        ("WAITING", RunState::Preparing),
        ("PAUSE", RunState::Paused),
        ("PAUSING", RunState::Paused),
        ("FAIL", RunState::Failed),
        ("SUCCESS", RunState::Finished),
        ("success", RunState::Other),
        ("SUCCESSFUL", RunState::Other),
        ("", RunState::Other),
    ] {
        assert_eq!(parsed(&json!({"id": "x", "status": word})).state, state, "{word}");
    }
}

#[test]
fn read_takes_numbers_from_numbers_and_text_only() {
    let progress = |value: Value| parsed(&json!({"id": 1, "redis_progress": {"total_progress": value}})).percent;
    for (value, percent) in [
        (json!(0), Some(0)),
        (json!(99.9), Some(99)),
        (json!("45%"), Some(45)),
        (json!(" 45 % "), Some(45)),
        (json!(100), Some(100)),
        (json!(101), None),
        (json!(-1), None),
        (json!("NaN"), None),
        (json!("many"), None),
        (json!([45]), None),
        (Value::Null, None),
    ] {
        assert_eq!(progress(value.clone()), percent, "{value}");
    }
    let left = |value: Value| parsed(&json!({"id": 1, "redis_progress": {"tables_left": value}})).tables_left;
    assert_eq!(left(json!("2147492808")), Some(2_147_492_808));
    assert_eq!((left(json!(-1)), left(json!(1.5)), left(json!("x"))), (None, None, None));
    let time = |value: Value| parsed(&json!({"id": 1, "redis_progress": {"estimated_time": value}})).estimated_seconds;
    for (value, seconds) in [
        (json!("00:00:00"), Some(0)),
        (json!("120:00:01"), Some(432_001)),
        (json!("1:00:00:00"), Some(86_400)),
        (json!(60), Some(60)),
        (json!("00:61:00"), None),
        (json!("9999999999999999999:00:00"), None),
        (json!("soon"), None),
    ] {
        assert_eq!(time(value.clone()), seconds, "{value}");
    }
}

#[test]
fn read_takes_an_id_larger_than_32_bits() {
    assert_eq!(parsed(&json!({"id": 2_147_492_808_u64})).id, "2147492808");
}

#[test]
fn read_distinguishes_no_redistribution_from_an_unreadable_body() {
    for none in [r#"{"redis_info": null}"#, r#"{"redis_info": {}}"#, r#"{"redis_info": {"status": "RUNNING"}}"#] {
        assert_eq!(read_details(none.as_bytes()), Some(None), "{none}");
    }
    for unreadable in ["", "null", "[]", "{}", r#"{"redis_info": "x"}"#, r#"{"error_code": "DWS.0047"}"#] {
        assert_eq!(read_details(unreadable.as_bytes()), None, "{unreadable}");
    }
}

#[test]
fn read_truncates_texts_and_removes_markup() {
    let long = "9".repeat(1000);
    let details = parsed(
        &json!({"id": long, "start_time": "<b>2026-11-25 08:00</b>\n", "redis_progress": {"redis_rate": "\u{1F600}"}}),
    );
    assert_eq!(details.id.len(), 64);
    assert_eq!((details.start_time.as_deref(), details.rate), (Some("b2026-11-25 08:00/b"), None));
}

fn state(cluster: &str) -> ClusterState {
    read_cluster(format!(r#"{{"cluster": {cluster}}}"#).as_bytes()).unwrap()
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
    for body in ["", "null", "[]", "{}", r#"{"cluster": null}"#, r#"{"cluster": "x"}"#, r#"{"error_code": "DWS.0047"}"#]
    {
        assert_eq!(read_cluster(body.as_bytes()), None, "{body}");
    }
    for silent in ["{}", r#"{"id": "x"}"#, r#"{"status": ""}"#, r#"{"status": null}"#, r#"{"sub_status": "NORMAL"}"#] {
        assert_eq!(read_cluster(format!(r#"{{"cluster": {silent}}}"#).as_bytes()), None, "{silent}");
    }
}

#[test]
fn words_of_the_cloud_are_truncated_and_stripped_of_other_characters() {
    let long = "X".repeat(1000);
    let seen = state(&format!(r#"{{"task_status": "<b>{long}\n", "status": "a\"b"}}"#));
    assert_eq!(seen.task, Task::Other(format!("b{}", "X".repeat(63))));
    assert_eq!(seen.status.as_deref(), Some("ab"));
}
