//! The kernel's figures of this process, under the names that every Prometheus client uses.

use std::fmt;

use procfs::process::{LimitValue, Process};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};

/// Reads `/proc/self` at each scrape; if that fails, these metrics are left out.
#[derive(Debug)]
pub struct ProcessMetrics;

struct Read {
    cpu_seconds: f64,
    resident_bytes: f64,
    virtual_bytes: f64,
    open_fds: f64,
    max_fds: f64,
    start_seconds: f64,
}

#[allow(clippy::cast_precision_loss, reason = "a metric is a float, and these are far below 2^52")]
fn read() -> Result<Read, procfs::ProcError> {
    let process = Process::myself()?;
    let stat = process.stat()?;
    let ticks = procfs::ticks_per_second() as f64;
    let max_fds = match process.limits()?.max_open_files.soft_limit {
        LimitValue::Value(limit) => limit as f64,
        LimitValue::Unlimited => f64::INFINITY,
    };
    Ok(Read {
        cpu_seconds: (stat.utime + stat.stime) as f64 / ticks,
        resident_bytes: (stat.rss * procfs::page_size()) as f64,
        virtual_bytes: stat.vsize as f64,
        open_fds: process.fd_count()? as f64,
        max_fds,
        start_seconds: procfs::boot_time_secs()? as f64 + stat.starttime as f64 / ticks,
    })
}

impl Collector for ProcessMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let read = match read() {
            Ok(read) => read,
            Err(error) => {
                tracing::debug!(%error, "/proc/self could not be read");
                return Ok(());
            }
        };
        let cpu = ConstCounter::new(read.cpu_seconds);
        let help = "CPU time, user and system";
        cpu.encode(encoder.encode_descriptor("process_cpu", help, Some(&Unit::Seconds), cpu.metric_type())?)?;
        let gauges = [
            ("process_resident_memory", "Memory in RAM", Some(Unit::Bytes), read.resident_bytes),
            ("process_virtual_memory", "Address space", Some(Unit::Bytes), read.virtual_bytes),
            ("process_open_fds", "Open file descriptors", None, read.open_fds),
            ("process_max_fds", "Maximum number of open file descriptors", None, read.max_fds),
            ("process_start_time", "Start time, since 1970", Some(Unit::Seconds), read.start_seconds),
        ];
        for (name, help, unit, value) in gauges {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, unit.as_ref(), gauge.metric_type())?)?;
        }
        Ok(())
    }
}
