use serde_json::json;

use super::{super::detail::NoTask, *};

const CALL: &[u8] = br#"{"redis_mode":"online","parallel_jobs":7}"#;

struct Bench(Cluster);

impl Bench {
    fn new() -> Self {
        Self(Cluster::new("c", Lag::Reads(0), 0, now()))
    }

    fn execute(&mut self) {
        self.0.execute(CALL, now());
    }

    fn page(&mut self, read: Read, page: &Page) -> Value {
        let answer = self.0.show(read, page, now());
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_str(&answer.body).unwrap()
    }

    fn cluster(&mut self) -> Value {
        self.page(Read::Cluster, &first_page())["cluster"].take()
    }

    fn task(&mut self) -> Value {
        self.cluster()["task_status"].take()
    }

    fn details(&mut self) -> Value {
        self.page(Read::Redistribution, &first_page())
    }
}

fn now() -> Timestamp {
    "2026-05-15T14:04:59Z".parse().unwrap()
}

fn first_page() -> Page {
    Page { limit: 10, offset: 0, types: Vec::new() }
}

#[test]
fn a_cluster_shows_each_of_its_states_in_the_terms_of_the_service() {
    let mut bench = Bench::new();
    for (state, sub_status, progress) in [
        ("WAITING_REDISTRIBUTION", "NORMAL", json!({})),
        ("REDISTRIBUTING", "REDISTRIBUTING", json!({"REDISTRIBUTING": "0%"})),
        ("REDISTRIBUTION_PAUSED", "REDISTRIBUTING", json!({"REDISTRIBUTING": "0%"})),
        ("REDISTRIBUTE_FAILURE", "REDISTRIBUTION-FAILURE", json!({})),
        ("GROWING", "NORMAL", json!({"GROWING": "16%"})),
        ("SNAPSHOTTING", "NORMAL", json!({"SNAPSHOTTING": "50%"})),
    ] {
        bench.0.set(state.into(), now());
        let cluster = bench.cluster();
        assert_eq!(cluster["task_status"], state);
        assert_eq!((&cluster["sub_status"], &cluster["action_progress"]), (&json!(sub_status), &progress), "{state}");
        assert_eq!(cluster["resize_info"].is_object(), state == "GROWING");
    }
    assert_eq!(bench.cluster()["updated"], "2026-05-15T14:04:59Z");
}

#[test]
fn no_task_is_null_empty_or_absent_in_both_vocabularies() {
    let mut bench = Bench::new();
    bench.0.set(TaskState::Idle, now());
    assert_eq!(bench.cluster().get("task_status"), Some(&Value::Null));
    bench.0.detail.no_task = NoTask::Empty;
    assert_eq!(bench.task(), "");
    bench.0.detail.no_task = NoTask::Absent;
    assert_eq!(bench.cluster().get("task_status"), None);
    assert_eq!(bench.cluster()["status"], "AVAILABLE");
    bench.0.detail = Detail {
        status: "ACTIVE".into(),
        sub_status: Some("READONLY | UNBALANCED".into()),
        updated: Some("yesterday".into()),
        ..Detail::default()
    };
    let cluster = bench.cluster();
    assert_eq!([&cluster["status"], &cluster["sub_status"]], ["ACTIVE", "READONLY | UNBALANCED"]);
    assert_eq!(cluster["updated"], "yesterday");
}

#[test]
fn reads_can_lag_by_a_count_and_calls_never_lag() {
    let mut bench = Bench::new();
    bench.0.lag = Lag::Reads(3);
    bench.execute();
    assert_eq!(bench.0.state, TaskState::Redistributing);
    assert_eq!(bench.task(), "WAITING_REDISTRIBUTION");
    assert_eq!(bench.details()["redis_info"], Value::Null, "either kind of read lags");
    assert_eq!(bench.task(), "WAITING_REDISTRIBUTION");
    assert_eq!(bench.task(), "REDISTRIBUTING");
    bench.0.lag = Lag::Never;
    bench.0.set(TaskState::Idle, now());
    bench.execute();
    for _ in 0..10 {
        assert_eq!(bench.task(), Value::Null);
    }
    bench.0.set(TaskState::Redistributing, now());
    assert_eq!(bench.task(), "REDISTRIBUTING", "what is set is shown at once");
}

#[test]
fn each_execution_is_a_run_of_its_own_with_what_its_call_asked_for() {
    let mut bench = Bench::new();
    bench.execute();
    let first = bench.details()["redis_info"].take();
    assert_eq!(first["redis_conf"]["redis_mode"], "online");
    assert_eq!(first["redis_conf"]["parallel_jobs"], 7);
    assert_eq!(first["start_time"], "2026-05-15 14:04", "no zone");
    bench.0.set(TaskState::RedistributionPaused, now());
    bench.0.set(TaskState::Redistributing, now());
    assert_eq!(bench.details()["redis_info"]["id"], first["id"], "it goes on");
    bench.0.set(TaskState::WaitingRedistribution, now());
    bench.execute();
    assert_ne!(bench.details()["redis_info"]["id"], first["id"]);
    assert_eq!(bench.0.executions, 2);
}

#[test]
fn reads_move_the_tables_and_with_the_last_of_them_the_run_is_done() {
    let mut bench = Bench::new();
    bench.0.tables_per_read = 40;
    bench.0.next_run.bytes_left = 1000;
    bench.execute();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let progress = bench.details()["redis_info"]["redis_progress"].take();
        seen.push(
            ["tables_done", "tables_left", "bytes_done", "byte_left"].map(|field| progress[field].as_i64().unwrap()),
        );
    }
    assert_eq!(seen, [[0, 100, 0, 1000], [40, 60, 400, 600], [80, 20, 800, 200]]);
    assert_eq!(bench.task(), Value::Null);
    let run = bench.0.last_run.clone().unwrap();
    assert_eq!((run.status.as_str(), run.tables_left, run.bytes_left), ("SUCCESS", 0, 0));
    assert_eq!(run.end_time, "2026-05-15 14:04");
}

#[test]
fn without_a_run_details_are_null_or_a_404_or_the_last_run() {
    let mut bench = Bench::new();
    bench.0.no_run = NoRun::LastRun;
    assert_eq!(bench.details()["redis_info"], Value::Null, "there was none");
    bench.execute();
    bench.0.set(TaskState::Idle, now());
    let last = bench.details();
    assert_eq!(
        [&last["redis_info"]["status"], &last["redis_info"]["redis_progress"]["status"]],
        ["SUCCESS", "SUCCESS"]
    );
    assert_eq!(last["redis_info"]["redis_progress"]["total_progress"], 100);
    bench.0.no_run = NoRun::Null;
    assert_eq!(bench.details()["redis_info"], Value::Null);
    bench.0.no_run = NoRun::NotFound;
    assert_eq!(bench.0.show(Read::Redistribution, &first_page(), now()).status, 404);
    bench.0.set(TaskState::WaitingRedistribution, now());
    bench.execute();
    assert_eq!(bench.details()["redis_info"]["status"], "RUNNING");
}

#[test]
fn flags_show_possible_actions_and_a_service_pause_matches_the_example() {
    let mut bench = Bench::new();
    bench.execute();
    let flags = |details: &Value| {
        ["pause_enable", "recover_enable", "retry_enable"].map(|flag| details[flag].as_bool().unwrap())
    };
    assert_eq!(flags(&bench.details()), [true, false, false]);
    bench.0.set(TaskState::RedistributionPaused, now());
    assert_eq!(bench.details()["redis_info"]["redis_progress"]["pause_by_user"], true);
    bench.0.run.as_mut().unwrap().paused(false);
    let paused = bench.details();
    assert_eq!(flags(&paused), [false, true, false]);
    let (info, progress) = (&paused["redis_info"], &paused["redis_info"]["redis_progress"]);
    assert_eq!([&info["status"], &progress["status"]], ["PAUSE", "FAIL"]);
    assert_eq!(progress["pause_by_user"], false);
    bench.0.set(TaskState::RedistributeFailure, now());
    let failed = bench.details();
    assert_eq!(flags(&failed), [false, false, true]);
    assert_eq!(failed["redis_info"]["redis_progress"]["fail_count"], 1);
}

#[test]
fn tables_come_in_pages_and_by_status_with_ids_of_64_bits() {
    let mut bench = Bench::new();
    bench.execute();
    bench.0.run.as_mut().unwrap().move_tables(95);
    let page = |limit, offset, types: &[&str]| Page {
        limit,
        offset,
        types: types.iter().map(|&word| word.to_owned()).collect(),
    };
    let mut tables = |asked: Page| bench.page(Read::Redistribution, &asked)["redis_info"]["redis_table_detail"].take();
    let first = tables(page(10, 0, &[]));
    assert_eq!((first["data"].as_array().unwrap().len(), &first["total"]), (10, &json!(100)));
    assert!(first["data"][0]["id"].as_i64().unwrap() > i64::from(i32::MAX));
    let moving = tables(page(10, 0, &["i"]));
    assert_eq!((moving["data"].as_array().unwrap().len(), &moving["data"][0]["status"]), (5, &json!("i")));
    assert_eq!(tables(page(60, 1, &["y"]))["data"].as_array().unwrap().len(), 35);
}

#[test]
fn a_body_can_be_amended_field_by_field_and_replaced_whole() {
    let mut bench = Bench::new();
    bench.0.overlay(Read::Cluster).amendment = Some(json!({"cluster": {"version": null, "new": {"field": 1}}}));
    let cluster = bench.cluster();
    assert_eq!((&cluster["version"], &cluster["new"]), (&Value::Null, &json!({"field": 1})));
    assert_eq!(cluster["id"], "c");
    assert_eq!(bench.details()["redis_info"], Value::Null, "the other read is as it was");
    bench.0.overlay(Read::Cluster).body = Some(json!([]));
    assert_eq!(bench.page(Read::Cluster, &first_page()), json!([]));
}
