//! The operator under attack, as a process with the chart's limits. It attacks nothing.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::unix::pipe,
    time::timeout,
};

use super::{stage::Stage, tenant::Tenant};
use crate::{Failure, Operator, eventually::try_eventually, hostile::tenant::STEP};

const MEMORY_LIMIT: u64 = 128 << 20;
/// A pipe holds 64 KiB; a line that does not fit any more waits.
const PIPE_IS_FULL: u64 = 60_000;

/// What differs from one attack to the other.
#[derive(Clone, Debug, Default)]
pub struct Setting {
    /// Further flags.
    pub flags: Vec<String>,
    pub open_files: Option<u32>,
    /// Nobody reads its output, which is at level trace, once it watches.
    pub unread_output: bool,
}

impl Setting {
    pub fn flags<const N: usize>(flags: [&str; N]) -> Self {
        Self { flags: flags.map(str::to_owned).to_vec(), ..Self::default() }
    }
}

/// Killed when dropped.
pub struct Victim {
    operator: Operator,
    pub address: SocketAddr,
    unread: Option<BufReader<pipe::Receiver>>,
}

impl Victim {
    /// Starts it for these tenants and waits until it watches their objects.
    pub async fn start(stage: &Stage, tenants: &[&Tenant], setting: Setting) -> Result<Self, Failure> {
        let mut command = stage.bench.direct("", setting.flags)?;
        command.watch = tenants.iter().map(|tenant| tenant.namespace.clone()).collect();
        (if setting.unread_output { "trace" } else { "info" }).clone_into(&mut command.log_level);
        let directory = stage.bench.plane.directory();
        let pipe = directory.join(format!("{:016x}.pipe", rand::random::<u64>()));
        if setting.unread_output && !Command::new("mkfifo").arg(&pipe).status()?.success() {
            return Err("mkfifo failed".into());
        }
        let mut script = vec!["#!/bin/sh".to_owned()];
        script.extend(setting.open_files.map(|files| format!("ulimit -n {files}")));
        script.extend(stage.limit.as_ref().map(|limit| format!("echo $$ >'{}/cgroup.procs'", limit.0.display())));
        let output = if setting.unread_output { format!(">'{}' 2>&1", pipe.display()) } else { String::new() };
        script.push(format!("exec '{}' \"$@\" {output}\n", command.binary.display()));
        command.binary = directory.join(format!("{:016x}.sh", rand::random::<u64>()));
        fs::write(&command.binary, script.join("\n"))?;
        fs::set_permissions(&command.binary, fs::Permissions::from_mode(0o700))?;

        let operator = Operator::run(command)?;
        if setting.unread_output {
            // Also a writer of its own: opening it waits for no one.
            let mut lines = BufReader::new(pipe::OpenOptions::new().read_write(true).open_receiver(&pipe)?);
            let address = timeout(STEP, until_it_watches(&mut lines)).await??;
            return Ok(Self { operator, address, unread: Some(lines) });
        }
        operator.wait_ready().await?;
        let address = operator.address().ok_or("the operator has not said where it listens")?;
        Ok(Self { operator, address, unread: None })
    }

    /// Its peak memory in MiB; none once it has ended.
    pub fn peak(&self) -> Option<f64> {
        peak(&fs::read_to_string(format!("/proc/{}/status", self.operator.pid())).ok()?)
    }

    pub async fn metrics(&self) -> Result<String, Failure> {
        self.operator.metrics().await
    }

    pub async fn kill(&self) -> Result<(), Failure> {
        self.operator.kill_if_running().await.map(drop)
    }

    /// Waits until its metrics say that so many objects have this reason.
    pub async fn until_objects(&self, reason: &str, count: usize) -> Result<(), Failure> {
        let line = format!("dws_redistribution_objects{{reason=\"{reason}\"}} {count}");
        let said = try_eventually(STEP, &line, async || match self.metrics().await {
            Ok(metrics) if metrics.lines().any(|other| other == line) => Ok(true),
            // A process that was killed for its memory says nothing any more.
            _ if self.peak().is_none() => Ok(false),
            Ok(metrics) => Err(metrics.lines().filter(|line| line.contains("objects{")).collect::<Vec<_>>().join("; ")),
            Err(error) => Err(error.to_string()),
        });
        said.await?;
        Ok(())
    }

    /// Waits until the pipe of its output is full.
    pub async fn until_its_pipe_is_full(&self) -> Result<(), Failure> {
        let pipe = self.unread.as_ref().ok_or("its output is read")?.get_ref();
        let full = try_eventually(STEP, "the pipe is full", async || match rustix::io::ioctl_fionread(pipe) {
            Ok(PIPE_IS_FULL..) => Ok(()),
            other => Err(format!("{other:?} bytes")),
        });
        Ok(full.await?)
    }
}

/// Reads an operator's log until it watches. Returns where it listens.
async fn until_it_watches(log: &mut BufReader<pipe::Receiver>) -> Result<SocketAddr, Failure> {
    let (mut address, mut line) = (None, String::new());
    while log.read_line(&mut line).await? > 0 {
        let read: Value = serde_json::from_str(&line).unwrap_or_default();
        match read["fields"]["message"].as_str() {
            Some("listening") => address = read["fields"]["address"].as_str().and_then(|text| text.parse().ok()),
            Some("watching") => break,
            _ => {}
        }
        line.clear();
    }
    Ok(address.ok_or("it watches before it listens")?)
}

fn peak(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<f64>().ok()? / 1024.0)
}

/// A cgroup with the chart's memory limit, which ends a process that goes beyond it. Removed when dropped.
pub struct MemoryLimit(PathBuf);

impl MemoryLimit {
    /// None without the rights to make one, or without cgroup v2.
    pub fn new() -> Option<Self> {
        let root = Path::new("/sys/fs/cgroup");
        let controllers = fs::read_to_string(root.join("cgroup.subtree_control")).ok()?;
        if !controllers.split_whitespace().any(|name| name == "memory") {
            return None;
        }
        let limit = Self(root.join(format!("hostile-{}", std::process::id())));
        fs::create_dir(&limit.0).ok()?;
        fs::write(limit.0.join("memory.max"), MEMORY_LIMIT.to_string()).ok()?;
        Some(limit)
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_from_the_status_of_a_process_that_runs() {
        assert_eq!(peak("Name:\tx\nVmHWM:\t   65536 kB\nVmRSS:\t 1 kB\n"), Some(64.0));
        assert_eq!(peak("Name:\tx\nState:\tZ (zombie)\n"), None);
    }
}
