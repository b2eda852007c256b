//! The metrics, named as in controller-runtime and Prometheus clients where those have them; `docs/metrics.md` lists
//! all. Labels come from closed sets: no ids and no messages; names of objects only for the few that need a person.

pub mod objects;

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use procfs::{
    ProcResult,
    process::{LimitValue, Process},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text::encode},
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::Histogram,
        info::Info,
    },
    registry::{Metric, Registry, Unit},
};

use tracing_appender::non_blocking::ErrorCounter;

use self::objects::Objects;
use crate::api::Reason;

/// The controller's name in the metrics that every controller exports.
const CONTROLLER: &str = "clusterredistribution";
/// Seconds of a reconciliation; calls and polls have tasks of their own.
const RECONCILE_BUCKETS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];
/// Seconds of a request to the cloud.
const REQUEST_BUCKETS: [f64; 12] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];
const CLUSTER_RESULTS: [&str; 5] = ["waiting", "not_waiting", "refused", "unreachable", "unreadable"];
const DETAILS_RESULTS: [&str; 5] = ["seen", "none", "refused", "unreachable", "unreadable"];
const RECONCILE_RESULTS: [&str; 3] = ["success", "requeue_after", "error"];

type Series<M, const LABELS: usize, Value = &'static str> = Family<[(&'static str, Value); LABELS], M>;

#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    api_requests: Series<Counter, 3, String>,
    leading: Series<Gauge, 1, String>,
    pub reconciles: Series<Counter, 1>,
    pub reconcile_errors: Counter,
    pub reconcile_seconds: Histogram,
    pub active_workers: Gauge,
    pub max_workers: Gauge,
    requests: Series<Counter, 2, String>,
    request_seconds: Histogram,
    pub requests_in_flight: Gauge,
    cluster_reads: Series<Counter, 1>,
    observations: Series<Counter, 1>,
    holds: Series<Counter, 1>,
    hidden: Gauge,
    watch_errors: Counter,
    pub watch_silent_seconds: Gauge<f64, AtomicU64>,
    pub events_dropped: Counter,
    objects: Arc<Objects>,
}

fn add<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

/// Series that start at zero, so that a rate over them has a first value.
fn from_zero(results: &[&'static str]) -> Series<Counter, 1> {
    let series = Series::<Counter, 1>::default();
    for result in results {
        series.get_or_create(&[("result", *result)]).inc_by(0);
    }
    series
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Metrics {
    /// `dropped`: counts lines of the log.
    pub fn new(dropped: Option<ErrorCounter>) -> Self {
        let mut all = Registry::default();
        let objects = Arc::<Objects>::default();
        all.register_collector(Box::new(Arc::clone(&objects)));
        all.register_collector(Box::new(ProcessMetrics));
        all.register_collector(Box::new(DroppedLines(dropped)));
        let help = "Requests to the API server by status code and method";
        let api_requests = add(&mut all, "rest_client_requests", help, Family::default());
        let help = "1 while this process leads";
        let leading = add(&mut all, "leader_election_master_status", help, Family::default());

        let own = all.sub_registry_with_label((Cow::Borrowed("controller"), Cow::Borrowed(CONTROLLER)));
        let (help, results) = ("Reconciliations by result", from_zero(&RECONCILE_RESULTS));
        let reconciles = add(own, "controller_runtime_reconcile", help, results);
        let help = "Reconciliations that failed and are retried";
        let reconcile_errors = add(own, "controller_runtime_reconcile_errors", help, Counter::default());
        let help = "Time of a reconciliation; calls and polls have tasks of their own";
        let seconds = Histogram::new(RECONCILE_BUCKETS);
        let reconcile_seconds = add(own, "controller_runtime_reconcile_time_seconds", help, seconds);
        let help = "Reconciliations in progress";
        let active_workers = add(own, "controller_runtime_active_workers", help, Gauge::default());
        let help = "Maximum number of concurrent reconciliations";
        let max_workers = add(own, "controller_runtime_max_concurrent_reconciles", help, Gauge::default());

        let dws = all.sub_registry_with_prefix("dws_redistribution");
        dws.register("build", "Version of this binary", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let help = "Attempts to call the cloud, by outcome";
        let requests = add(dws, "requests", help, Family::default());
        let (help, seconds) = ("Time from sending a request to its outcome", Histogram::new(REQUEST_BUCKETS));
        let request_seconds = add(dws, "request_duration_seconds", help, seconds);
        let requests_in_flight = add(dws, "requests_in_flight", "Calls in flight", Gauge::default());
        let cluster_reads = add(dws, "reads", "Reads of a cluster, by result", from_zero(&CLUSTER_RESULTS));
        let help = "Reads of a redistribution, by result";
        let observations = add(dws, "observations", help, from_zero(&DETAILS_RESULTS));
        let help = "Number of times an object began to be held, by reason";
        let holds = add(dws, "holds", help, Family::default());
        let help = "Objects whose status lacks something that was written: an older CRD hides it, or it was lost";
        let hidden = add(dws, "hidden_objects", help, Gauge::default());
        let help = "Errors of the watch on the API server";
        let watch_errors = add(dws, "watch_errors", help, Counter::default());
        let help = "How long the watch has been silent while the API server answered; at --stale-after the process is not alive";
        let watch_silent_seconds = add(dws, "watch_silent_seconds", help, Gauge::default());
        let help = "Kubernetes Events that were dropped because there were too many at once";
        let events_dropped = add(dws, "events_dropped", help, Counter::default());
        Self {
            registry: Arc::new(all),
            api_requests,
            leading,
            reconciles,
            reconcile_errors,
            reconcile_seconds,
            active_workers,
            max_workers,
            requests,
            request_seconds,
            requests_in_flight,
            cluster_reads,
            observations,
            holds,
            hidden,
            watch_errors,
            watch_silent_seconds,
            events_dropped,
            objects,
        }
    }

    pub fn request(&self, outcome: &'static str, status_code: Option<u16>, took: Duration) {
        let code = status_code.map(|code| code.to_string()).unwrap_or_default();
        self.requests.get_or_create(&[("outcome", outcome.to_owned()), ("code", code)]).inc();
        self.request_seconds.observe(took.as_secs_f64());
    }

    pub fn cluster_read(&self, result: &'static str) {
        self.cluster_reads.get_or_create(&[("result", result)]).inc();
    }

    pub fn observation(&self, result: &'static str) {
        self.observations.get_or_create(&[("result", result)]).inc();
    }

    /// Client-go's label names and values.
    pub fn api_request(&self, code: &str, method: &str, host: &str) {
        let labels = [("code", code.to_owned()), ("method", method.to_owned()), ("host", host.to_owned())];
        self.api_requests.get_or_create(&labels).inc();
    }

    pub fn hold(&self, reason: Reason) {
        self.holds.get_or_create(&[("reason", reason.as_str())]).inc();
    }

    pub fn hidden(&self, objects: usize) {
        self.hidden.set(i64::try_from(objects).unwrap_or(i64::MAX));
    }

    pub fn watch_error(&self) {
        self.watch_errors.inc();
    }

    pub fn leading(&self, lease: &str, leads: bool) {
        self.leading.get_or_create(&[("name", lease.to_owned())]).set(i64::from(leads));
        self.objects.export(leads);
    }

    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// The response of `/metrics`, in the OpenMetrics text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail; if it did, half a text would be better than none.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[derive(Debug)]
struct DroppedLines(Option<ErrorCounter>);

impl Collector for DroppedLines {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let dropped = self.0.as_ref().map_or(0, ErrorCounter::dropped_lines);
        let (counter, help) = (
            ConstCounter::new(u64::try_from(dropped).unwrap_or(u64::MAX)),
            "Lines of the log that were dropped because nobody read the earlier ones",
        );
        let name = "dws_redistribution_log_lines_dropped";
        counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)
    }
}

/// The kernel's figures of this process, under the names that every Prometheus client uses. Reads `/proc/self` at each
/// scrape; if that fails, these metrics are left out.
#[derive(Debug)]
struct ProcessMetrics;

type Figure = (&'static str, &'static str, Option<Unit>, f64);

#[allow(clippy::cast_precision_loss, reason = "a metric is a float, and these are far below 2^52")]
fn read_process() -> ProcResult<(f64, [Figure; 5])> {
    let process = Process::myself()?;
    let stat = process.stat()?;
    let ticks = procfs::ticks_per_second() as f64;
    let max_fds = match process.limits()?.max_open_files.soft_limit {
        LimitValue::Value(limit) => limit as f64,
        LimitValue::Unlimited => f64::INFINITY,
    };
    let resident = (stat.rss * procfs::page_size()) as f64;
    let since = procfs::boot_time_secs()? as f64 + stat.starttime as f64 / ticks;
    let gauges = [
        ("process_resident_memory", "Memory in RAM", Some(Unit::Bytes), resident),
        ("process_virtual_memory", "Address space", Some(Unit::Bytes), stat.vsize as f64),
        ("process_open_fds", "Open file descriptors", None, process.fd_count()? as f64),
        ("process_max_fds", "Maximum number of open file descriptors", None, max_fds),
        ("process_start_time", "Start time, since 1970", Some(Unit::Seconds), since),
    ];
    Ok(((stat.utime + stat.stime) as f64 / ticks, gauges))
}

impl Collector for ProcessMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let Ok((cpu_seconds, gauges)) = read_process() else { return Ok(()) };
        let (cpu, help) = (ConstCounter::new(cpu_seconds), "CPU time, user and system");
        cpu.encode(encoder.encode_descriptor("process_cpu", help, Some(&Unit::Seconds), cpu.metric_type())?)?;
        for (name, help, unit, value) in gauges {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, unit.as_ref(), gauge.metric_type())?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;
