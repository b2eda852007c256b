//! The time window of a measurement: its length, the candidate's CPU use in it, and whether other processes used the
//! machine during it. It must not judge the measurement.

use std::time::{Duration, Instant};

use crate::{
    Failure,
    process::{as_float, cpu, machine_ticks, ticks},
    stage::Stage,
};

/// Share of the machine's CPU that other processes may use without spoiling a round.
pub const FOREIGN_LIMIT: f64 = 0.03;

/// CPU, in ticks of 10 ms, that is charged to no process: ticks are rounded for each process, and helpers that start a
/// candidate have ended when ticks are counted. It matters only in windows of less than a second.
const NOBODYS: u64 = 5;

pub struct Window {
    begin: Instant,
    candidate: Option<u32>,
    candidate_before: Duration,
    plane: Vec<u32>,
    plane_before: u64,
    ours: Vec<u32>,
    ours_before: u64,
    machine_before: u64,
}

#[derive(Clone, Copy, Debug)]
pub struct Measured {
    pub elapsed: Duration,
    /// The candidate's CPU use; none for the limit, which has no process of its own.
    pub cpu: Duration,
    /// CPU use of etcd and the API server.
    pub plane: Duration,
    /// Share of the machine's CPU that other processes used.
    pub foreign: f64,
}

impl Window {
    /// Begins now. A candidate that is about to start has used no CPU yet.
    pub fn open(stage: &Stage) -> Result<Self, Failure> {
        let plane = stage.plane.pids();
        let plane_before = sum(&plane)?;
        let ours: Vec<_> = plane.iter().copied().chain([std::process::id()]).collect();
        let ours_before = sum(&ours)?;
        Ok(Self {
            begin: Instant::now(),
            candidate: None,
            candidate_before: Duration::ZERO,
            plane,
            plane_before,
            ours,
            ours_before,
            machine_before: machine_ticks()?,
        })
    }

    #[must_use]
    pub fn with_new(mut self, pid: Option<u32>) -> Self {
        self.candidate = pid;
        self.ours.extend(pid);
        self
    }

    /// The candidate was running before.
    pub fn with_running(mut self, pid: Option<u32>) -> Result<Self, Failure> {
        if let Some(pid) = pid {
            self.candidate_before = cpu(pid)?;
            self.ours_before += ticks(pid)?;
        }
        Ok(self.with_new(pid))
    }

    /// When it began.
    pub fn begin(&self) -> Instant {
        self.begin
    }

    /// Measurements so far.
    pub fn measured(&self) -> Result<Measured, Failure> {
        let elapsed = self.begin.elapsed();
        let cpu = self.candidate.map(cpu).transpose()?.unwrap_or_default().saturating_sub(self.candidate_before);
        let per_second = as_float(procfs::ticks_per_second());
        let plane = Duration::from_secs_f64(as_float(sum(&self.plane)? - self.plane_before) / per_second);
        let machine = machine_ticks()? - self.machine_before;
        let ours = sum(&self.ours)? - self.ours_before;
        let cores = std::thread::available_parallelism().map_or(1.0, |cores| as_float(cores.get() as u64));
        let available = elapsed.as_secs_f64() * per_second * cores;
        Ok(Measured { elapsed, cpu, plane, foreign: as_float(machine.saturating_sub(ours + NOBODYS)) / available })
    }
}

fn sum(pids: &[u32]) -> Result<u64, Failure> {
    pids.iter().map(|pid| ticks(*pid)).sum()
}
