use serde_json::json;

use super::*;

fn parsed(info: &Value) -> Details {
    read(json!({"redis_info": info, "retry_enable": true}).to_string().as_bytes()).unwrap().unwrap()
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
        assert_eq!(read(none.as_bytes()), Some(None), "{none}");
    }
    for unreadable in ["", "null", "[]", "{}", r#"{"redis_info": "x"}"#, r#"{"error_code": "DWS.0047"}"#] {
        assert_eq!(read(unreadable.as_bytes()), None, "{unreadable}");
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
