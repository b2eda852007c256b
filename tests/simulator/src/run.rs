//! One redistribution, and how the service describes it to a reader of its details. Every field can be set by itself,
//! consistent or not; it decides nothing about the cluster.

use k8s_openapi::jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

const TABLE_BYTES: u64 = 77_815_808;

/// A redistribution, field by field.
#[allow(clippy::struct_excessive_bools, reason = "the service shows that many flags")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Run {
    /// Names this run; new for each.
    pub id: String,
    /// To the minute, without a zone.
    pub start_time: String,
    /// The same for the end; empty until then.
    pub end_time: String,
    /// `PREPARE`, `RUNNING`, `WAITING`, `PAUSE`, `PAUSING`, `SUCCESS` or `FAIL`.
    pub status: String,
    /// `online` or `offline`.
    pub redis_mode: String,
    pub parallel_jobs: i64,
    pub tables_done: u64,
    pub tables_left: u64,
    /// Bytes moved.
    pub bytes_done: u64,
    /// Bytes to move.
    pub bytes_left: u64,
    /// Text, such as `21 MB/s`.
    pub redis_rate: String,
    /// Text, such as `00:12:06`.
    pub estimated_time: String,
    /// Failures so far.
    pub fail_count: u64,
    /// The status inside `redis_progress`, which differs from the run's.
    pub progress_status: String,
    /// A user paused it, not the service.
    pub pause_by_user: bool,
    pub pause_enable: bool,
    pub recover_enable: bool,
    /// It can be tried again.
    pub retry_enable: bool,
    pub update_enable: bool,
    pub control_enable: bool,
    /// `schedule_mode`.
    pub schedule_mode: bool,
    /// `error_msg`.
    pub error_msg: Option<String>,
}

impl Default for Run {
    /// A hundred tables, none of them moved yet.
    fn default() -> Self {
        let (tables, empty) = (100, String::new);
        let mut run = Self {
            id: empty(),
            start_time: empty(),
            end_time: empty(),
            status: empty(),
            redis_mode: "offline".to_owned(),
            parallel_jobs: 4,
            tables_done: 0,
            tables_left: tables,
            bytes_done: 0,
            bytes_left: tables * TABLE_BYTES,
            redis_rate: "21 MB/s".to_owned(),
            estimated_time: "00:12:06".to_owned(),
            fail_count: 0,
            progress_status: empty(),
            pause_by_user: false,
            pause_enable: false,
            recover_enable: false,
            retry_enable: false,
            update_enable: false,
            control_enable: false,
            schedule_mode: false,
            error_msg: None,
        };
        run.running();
        run
    }
}

impl Run {
    /// The same as a new run, from now on.
    #[must_use]
    pub fn started(mut self, now: Timestamp) -> Self {
        let hex = format!("{:032x}", rand::random::<u128>());
        self.id = format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
        self.start_time = to_the_minute(now);
        self
    }

    pub fn running(&mut self) {
        self.say("RUNNING", "RUNNING");
        (self.pause_enable, self.update_enable, self.control_enable) = (true, true, true);
    }

    /// It is paused, by a user or by the service after a failure.
    pub fn paused(&mut self, by_user: bool) {
        self.say("PAUSE", if by_user { "PAUSE" } else { "FAIL" });
        (self.pause_by_user, self.recover_enable) = (by_user, true);
    }

    /// It failed once more.
    pub fn failed(&mut self) {
        self.say("FAIL", "FAIL");
        self.fail_count += 1;
        self.retry_enable = true;
    }

    pub fn succeeded(&mut self, now: Timestamp) {
        self.say("SUCCESS", "SUCCESS");
        self.move_tables(self.tables_left);
        (self.bytes_done, self.bytes_left) = (self.bytes_done + self.bytes_left, 0);
        (self.redis_rate, self.estimated_time) = ("0 MB/s".to_owned(), "00:00:00".to_owned());
        self.end_time = to_the_minute(now);
    }

    /// Moves this number of the tables left, with their share of the bytes left.
    pub fn move_tables(&mut self, tables: u64) {
        let tables = tables.min(self.tables_left);
        let bytes = self.bytes_left.saturating_mul(tables).checked_div(self.tables_left).unwrap_or(0);
        self.tables_done += tables;
        self.tables_left -= tables;
        self.bytes_done += bytes;
        self.bytes_left -= bytes;
    }

    /// Share of the bytes that is moved, in percent.
    pub fn percent(&self) -> u64 {
        share(self.bytes_done, self.bytes_left)
    }

    fn say(&mut self, status: &str, progress: &str) {
        status.clone_into(&mut self.status);
        progress.clone_into(&mut self.progress_status);
        (self.pause_by_user, self.pause_enable, self.recover_enable) = (false, false, false);
        (self.retry_enable, self.update_enable, self.control_enable) = (false, false, false);
    }
}

/// The details, of no run if there is none to show.
pub fn body(cluster: &str, run: Option<&Run>) -> Value {
    let info = run.map(|run| {
        let redistributing = matches!(run.status.as_str(), "RUNNING" | "PAUSE" | "PAUSING");
        json!({
            "id": run.id, "cluster_id": cluster, "start_time": run.start_time, "end_time": run.end_time, "status": run.status,
            "redis_conf": {
                "redis_mode": run.redis_mode, "schedule_conf": null, "parallel_jobs": run.parallel_jobs,
                "priority_policy": "default", "bucket_split_info": {"current_dn_num": 3, "after_scale_out_dn_num": 6}
            },
            "redis_progress": {
                "bytes_done": run.bytes_done, "byte_left": run.bytes_left,
                "tables_done": run.tables_done, "tables_left": run.tables_left,
                "table_progress": share(run.tables_done, run.tables_left), "total_progress": run.percent(),
                "redis_rate": run.redis_rate, "estimated_time": run.estimated_time, "completed": run.status == "SUCCESS",
                "initialed": run.status != "PREPARE", "fail_count": run.fail_count, "redistributing": redistributing,
                "status": run.progress_status, "pause_by_user": run.pause_by_user
            },
            "redis_table_detail": {"data": [], "total": run.tables_done + run.tables_left}
        })
    });
    let flag = |of: fn(&Run) -> bool| run.is_some_and(of);
    json!({
        "error_msg": run.and_then(|run| run.error_msg.as_deref()), "redis_info": info,
        "schedule_mode": flag(|run| run.schedule_mode), "pause_enable": flag(|run| run.pause_enable),
        "recover_enable": flag(|run| run.recover_enable), "retry_enable": flag(|run| run.retry_enable),
        "update_enable": flag(|run| run.update_enable), "control_enable": flag(|run| run.control_enable)
    })
}

fn share(done: u64, left: u64) -> u64 {
    done.saturating_mul(100).checked_div(done + left).unwrap_or(0)
}

fn to_the_minute(now: Timestamp) -> String {
    now.strftime("%Y-%m-%d %H:%M").to_string()
}
