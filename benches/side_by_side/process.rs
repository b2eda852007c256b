//! The costs of a process, from /proc: CPU and memory. It signals nothing.

use std::time::{Duration, Instant};

use procfs::{CurrentSI, process::Process};
use tokio::time::sleep;

use crate::Failure;

/// CPU that the process has used so far, in all its threads together.
pub fn cpu(pid: u32) -> Result<Duration, Failure> {
    let stat = process(pid)?.stat()?;
    let ticks = stat.utime + stat.stime;
    Ok(Duration::from_secs_f64(as_float(ticks) / as_float(procfs::ticks_per_second())))
}

/// Its memory now and its highest memory so far, in MiB.
pub fn memory(pid: u32) -> Result<(f64, f64), Failure> {
    let status = process(pid)?.status()?;
    let mib = |kib: Option<u64>| as_float(kib.unwrap_or_default()) / 1024.0;
    Ok((mib(status.vmrss), mib(status.vmhwm)))
}

/// Waits until the process has used next to no CPU for this long: until then its start is not over. A process that
/// never rests is measured as it is after `at_most`.
pub async fn rests(pid: u32, for_so_long: Duration, at_most: Duration) -> Result<(), Failure> {
    let begin = Instant::now();
    let (mut since, mut used) = (begin, cpu(pid)?);
    while since.elapsed() < for_so_long && begin.elapsed() < at_most {
        sleep(Duration::from_millis(100)).await;
        let now = cpu(pid)?;
        // A few ticks are timers and the renewal of a lease; kopf takes about 1 % of a core for its own.
        if now.saturating_sub(used) > Duration::from_millis(30) + since.elapsed() / 50 {
            (since, used) = (Instant::now(), now);
        }
    }
    Ok(())
}

fn process(pid: u32) -> Result<Process, Failure> {
    Ok(Process::new(i32::try_from(pid)?)?)
}

/// CPU that processes on the whole machine have used so far, and CPU that the host took from the machine, in ticks.
pub fn machine_ticks() -> Result<u64, Failure> {
    let total = procfs::KernelStats::current()?.total;
    // Interrupts are charged to no process, and our own traffic causes them.
    Ok(total.user + total.nice + total.system + total.steal.unwrap_or_default())
}

/// The same for one process.
pub fn ticks(pid: u32) -> Result<u64, Failure> {
    let stat = process(pid)?.stat()?;
    Ok(stat.utime + stat.stime)
}

/// Counts here are far below 2^52.
#[allow(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub fn as_float(count: u64) -> f64 {
    count as f64
}
