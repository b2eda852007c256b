//! The kernel's figures of this process, under the names that every Prometheus client uses.

use std::fmt;

use procfs::{
    ProcResult,
    process::{LimitValue, Process},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};

/// Reads `/proc/self` at each scrape; if that fails, these metrics are left out.
#[derive(Debug)]
pub struct ProcessMetrics;

type Figure = (&'static str, &'static str, Option<Unit>, f64);

#[allow(clippy::cast_precision_loss, reason = "a metric is a float, and these are far below 2^52")]
fn read() -> ProcResult<(f64, [Figure; 5])> {
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
        let (cpu_seconds, gauges) = match read() {
            Ok(read) => read,
            Err(error) => {
                tracing::debug!(%error, "/proc/self could not be read");
                return Ok(());
            }
        };
        let (cpu, help) = (ConstCounter::new(cpu_seconds), "CPU time, user and system");
        cpu.encode(encoder.encode_descriptor("process_cpu", help, Some(&Unit::Seconds), cpu.metric_type())?)?;
        for (name, help, unit, value) in gauges {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, unit.as_ref(), gauge.metric_type())?)?;
        }
        Ok(())
    }
}
