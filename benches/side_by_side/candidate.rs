//! The candidates, and how each of them is started as a process of its own. It must not favour any of them.

use std::{ffi::OsString, path::PathBuf, process::Stdio, time::Duration};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use testbed::{
    Operator,
    operator::OperatorCommand,
    supervisor::{Supervisor, is_running},
    try_eventually,
};

use crate::{
    Failure,
    limit::Limit,
    programs::Programs,
    stage::{Place, Stage},
};

/// Time for a candidate to end after SIGTERM.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// A candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Candidate {
    /// The bare chain of requests, in the runner.
    Limit,
    /// The operator.
    Operator,
    /// controller-runtime at its defaults.
    Go,
    /// The same with more workers.
    GoWorkers,
    /// kopf.
    Kopf,
    /// The textbook reconcile of kube-rs.
    Textbook,
}

/// All peers, in the order of the tables.
pub const PEERS: [Candidate; 4] = [Candidate::Go, Candidate::GoWorkers, Candidate::Kopf, Candidate::Textbook];

impl Candidate {
    /// Its name in the tables.
    pub fn title(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Operator => "operator",
            Self::Go => "controller-runtime, defaults",
            Self::GoWorkers => "controller-runtime, workers",
            Self::Kopf => "kopf",
            Self::Textbook => "kube-rs, textbook",
        }
    }

    /// Whether the operator must be better than it.
    pub fn is_peer(self) -> bool {
        PEERS.contains(&self)
    }
}

/// Settings of a candidate that a scenario changes from their defaults.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Calls in flight of the limit, of the operator and of controller-runtime with workers.
    pub in_flight: u16,
    /// Rate limit of the operator and of controller-runtime; none if 0.
    pub calls_per_second: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self { in_flight: 8, calls_per_second: 0 }
    }
}

/// A running candidate; dropping it ends it.
pub enum Running {
    Limit(Limit),
    Operator(Box<Operator>),
    Peer { supervisor: Supervisor, pid: u32, log: PathBuf },
}

impl Running {
    /// Starts it. Does not wait until it is ready.
    pub async fn start(
        candidate: Candidate,
        programs: &Programs,
        stage: &Stage,
        place: &Place,
        settings: &Settings,
    ) -> Result<Self, Failure> {
        let flag = |name: &str, value: u16| OsString::from(format!("--{name}={value}"));
        let workers = flag("workers", if candidate == Candidate::GoWorkers { settings.in_flight } else { 0 });
        let rate = flag("calls-per-second", settings.calls_per_second);
        match candidate {
            Candidate::Limit => Ok(Self::Limit(Limit::start(stage, place, settings.in_flight).await?)),
            Candidate::Operator => {
                // One namespace has a quarter of the places and one more.
                let places = settings.in_flight.saturating_mul(4).min(100);
                let own = [flag("rate-limit", settings.calls_per_second), flag("concurrency", places)];
                Self::operator(programs, stage, place, own)
            }
            Candidate::Go | Candidate::GoWorkers => Self::peer(&programs.go, &[workers, rate], stage, place),
            Candidate::Textbook => Self::peer(&programs.textbook, &[], stage, place),
            Candidate::Kopf => {
                let file = programs.kopf_handler.clone().into_os_string();
                let namespace = OsString::from(&place.namespace);
                let arguments = ["run".into(), "--standalone".into(), "--namespace".into(), namespace, file];
                Self::peer(&programs.kopf, &arguments, stage, place)
            }
        }
    }

    /// With everything on that an installation has: the Lease, metrics, and logs at their default level.
    fn operator(programs: &Programs, stage: &Stage, place: &Place, own: [OsString; 2]) -> Result<Self, Failure> {
        let endpoint = format!("--endpoint=lab={}", stage.cloud.url());
        let ca = format!("--ca-bundle={}", stage.cloud.ca_file().display());
        let mut arguments = vec!["--region=lab".into(), "--leader-election".into(), endpoint.into(), ca.into()];
        arguments.extend(own);
        let command = OperatorCommand {
            binary: programs.operator.clone(),
            kubeconfig: place.kubeconfig.clone(),
            watch: vec![place.namespace.clone()],
            log_level: "info".to_owned(),
            arguments,
            environment: Vec::new(),
        };
        Ok(Self::Operator(Box::new(Operator::run(command)?)))
    }

    fn peer(program: &std::path::Path, arguments: &[OsString], stage: &Stage, place: &Place) -> Result<Self, Failure> {
        let environment: Vec<(OsString, OsString)> = vec![
            ("KUBECONFIG".into(), place.kubeconfig.clone().into()),
            ("WATCH_NAMESPACE".into(), place.namespace.clone().into()),
            // Python would write its cache beside the handler.
            ("PYTHONDONTWRITEBYTECODE".into(), "1".into()),
            ("DWS_URL".into(), stage.cloud.url().into()),
            ("DWS_CA".into(), stage.cloud.ca_file().into()),
            ("DWS_TOKEN".into(), stage.token.clone().into()),
        ];
        let mut supervisor = Supervisor::start(&environment, Stdio::inherit())?;
        let log = supervisor.directory().join("log");
        let pid = supervisor.spawn(program, arguments, Some(&log))?;
        Ok(Self::Peer { supervisor, pid, log })
    }

    /// Its process; the limit has no process of its own.
    pub fn pid(&self) -> Option<u32> {
        match self {
            Self::Limit(_) => None,
            Self::Operator(operator) => Some(operator.pid()),
            Self::Peer { pid, .. } => Some(*pid),
        }
    }

    /// Diagnostics for a failure: whether it runs, and its last output.
    pub fn last_output(&self) -> String {
        let text = match self {
            Self::Limit(limit) => return limit.last_output(),
            Self::Operator(operator) => operator.output(),
            Self::Peer { log, .. } => std::fs::read_to_string(log).unwrap_or_default(),
        };
        let lines: Vec<_> = text.lines().rev().take(5).collect();
        let state = if self.pid().is_some_and(is_running) { "it runs" } else { "it has ended" };
        format!("{state}; its last lines:\n{}", lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
    }

    /// Ends it as a rollout does (SIGTERM), so that it can give its Lease back, and returns after it has ended.
    pub async fn terminate(mut self) -> Result<(), Failure> {
        match &mut self {
            Self::Limit(_) => {}
            Self::Operator(operator) => drop(operator.terminate().await?),
            Self::Peer { supervisor, pid, .. } => {
                supervisor.signal(*pid, "TERM")?;
                let pid = *pid;
                try_eventually(ENDS_WITHIN, "it ends", async || if is_running(pid) { Err("it runs") } else { Ok(()) })
                    .await?;
            }
        }
        self.kill().await
    }

    /// Kills it (SIGKILL) and returns after it has ended.
    pub async fn kill(self) -> Result<(), Failure> {
        match self {
            Self::Limit(_) => {}
            Self::Operator(operator) => drop(operator.kill_if_running().await?),
            // Closing the pipe of its supervisor is a SIGKILL to the one process in it.
            Self::Peer { supervisor, .. } => tokio::task::spawn_blocking(|| drop(supervisor)).await?,
        }
        Ok(())
    }
}
