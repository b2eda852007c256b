//! The machine that a result belongs to. It shows nothing that identifies the particular machine.

use std::fs;

use procfs::Current;
use serde::{Deserialize, Serialize};

use crate::process::as_float;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub memory_gib: f64,
    pub kernel: String,
    pub kubernetes: String,
    pub rust: String,
    pub go: String,
    pub python: String,
}

impl Machine {
    pub fn here() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let memory = procfs::Meminfo::current().map_or(0, |memory| memory.mem_total);
        let module = include_str!("../../tests/testbed/go/kubernetes/go.mod");
        let kubernetes = module.lines().find_map(|line| line.strip_prefix("require k8s.io/kubernetes "));
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            processor: model.map_or("unknown", |(_, name)| name.trim()).to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: as_float(memory) / (1024.0 * 1024.0 * 1024.0),
            // Without the suffix that a builder has added to the version.
            kernel: kernel.split(['-', '+', '\n']).next().unwrap_or_default().to_owned(),
            kubernetes: kubernetes.unwrap_or("unknown").to_owned(),
            rust: output_of("rustc", "--version"),
            go: output_of("go", "version"),
            python: output_of("python3", "--version"),
        }
    }

    pub fn line(&self) -> String {
        let Self { processor, cores, memory_gib, kernel, kubernetes, rust, go, python } = self;
        format!(
            "{processor}, {cores} cores, {memory_gib:.0} GiB, Linux {kernel}; Kubernetes {kubernetes}, {rust}, {go}, {python}"
        )
    }
}

fn output_of(program: &str, argument: &str) -> String {
    let output = std::process::Command::new(program).arg(argument).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.ok().filter(|text| !text.is_empty()).unwrap_or_else(|| format!("no {program}"))
}
