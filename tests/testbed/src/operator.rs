//! The built operator as a process of its own, under its own ServiceAccount with the rights of `deploy/install.yaml`.
//! It uses only an administrator's knowledge of the operator: flags, the two log lines that report its progress, and
//! the addresses of probes and metrics.

mod build;
mod command;
mod output;

use std::{
    ffi::OsString,
    fs,
    net::SocketAddr,
    process::{ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

pub use build::{build, build_package};
pub use command::{OperatorCommand, OperatorOptions};
use output::Output;
use tokio::time::{Instant, sleep};

use crate::{
    access::Grant,
    eventually::try_eventually,
    failure::{During, Failure},
    supervisor::{Supervisor, is_running},
};

/// Longer than any grace an operator may take for calls in flight.
const ENDS_WITHIN: Duration = Duration::from_secs(600);
const READY_WITHIN: Duration = Duration::from_secs(600);
/// The environment variables that the operator inherits; its own variables (`DWS_OPERATOR_*`) are never among them.
const INHERITED: [&str; 4] = ["HOME", "RUST_BACKTRACE", "SSL_CERT_FILE", "SSL_CERT_DIR"];

enum State {
    Running(Supervisor, JoinHandle<()>),
    Ended(ExitStatus),
}

/// A running operator. Dropping it kills it (SIGKILL), and so does the end of this process, whatever ends it.
pub struct Operator {
    command: OperatorCommand,
    pid: u32,
    output: Output,
    state: Mutex<Option<State>>,
}

impl Operator {
    /// Gives the ServiceAccount its rights and starts the operator under it. Does not wait until it is ready.
    pub async fn start(options: OperatorOptions<'_>) -> Result<Self, Failure> {
        let OperatorOptions { control_plane, namespace, service_account, secrets, watch, .. } = &options;
        let grant = Grant { namespace, name: service_account, watch, secrets: *secrets };
        grant.apply(&control_plane.client().await?).await?;
        let through = options.through.as_ref().map(|(url, ca_pem)| (url.as_str(), ca_pem.as_str()));
        let kubeconfig = control_plane.service_account_kubeconfig(namespace, service_account, through).await?;
        Self::run(OperatorCommand {
            kubeconfig,
            binary: options.binary,
            watch: options.watch,
            log_level: options.log_level,
            arguments: options.arguments,
            environment: options.environment,
        })
    }

    /// Starts the operator by its command line, for a cluster that is not the testbed's, or again.
    pub fn run(command: OperatorCommand) -> Result<Self, Failure> {
        let inherited = INHERITED.iter().filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)));
        let environment: Vec<_> = inherited.chain(command.environment.iter().cloned()).collect();
        let mut supervisor =
            Supervisor::start(&environment, Stdio::piped()).during("starting /bin/sh as a supervisor")?;
        let pid = supervisor.spawn(&command.binary, &command.line(), None).during("starting the operator")?;
        let output = Output::default();
        let errors = supervisor.take_errors().ok_or("the operator's output has no pipe")?;
        let reader = std::thread::spawn({
            let output = output.clone();
            move || output.follow(errors)
        });
        Ok(Self { command, pid, output, state: Mutex::new(Some(State::Running(supervisor, reader))) })
    }

    /// Its command line, with which another one with the same rights can be started.
    pub fn command(&self) -> &OperatorCommand {
        &self.command
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its output so far, standard output and error together; complete after its end was waited for.
    pub fn output(&self) -> String {
        self.output.text()
    }

    /// Address of its probes and metrics, once it has logged it.
    pub fn address(&self) -> Option<SocketAddr> {
        self.output.address()
    }

    /// Whether it has logged that its first list is complete.
    pub fn is_watching(&self) -> bool {
        self.output.is_watching()
    }

    /// Waits until `/readyz` succeeds.
    pub async fn wait_ready(&self) -> Result<(), Failure> {
        let ready = try_eventually(READY_WITHIN, "the operator is ready", async || {
            if !is_running(self.pid) {
                return Ok(false);
            }
            match self.get("/readyz").await {
                Ok((200, _)) => Ok(true),
                Ok((code, body)) => Err(format!("/readyz says {code}: {body}")),
                Err(error) => Err(error.to_string()),
            }
        });
        match ready.await {
            Ok(true) => Ok(()),
            Ok(false) => {
                let status = self.exited().await?;
                Err(self.failed(format_args!("the operator ended ({status}) before it was ready")))
            }
            Err(overdue) => Err(self.failed(overdue)),
        }
    }

    /// Status code and body of one of its own addresses.
    pub async fn get(&self, path: &str) -> Result<(u16, String), Failure> {
        let address = self.address().ok_or("the operator has not said where it listens")?;
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
        let answer = client.get(format!("http://{address}{path}")).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    pub async fn metrics(&self) -> Result<String, Failure> {
        Ok(self.get("/metrics").await?.1)
    }

    /// Sends SIGTERM and waits for its end.
    pub async fn terminate(&self) -> Result<ExitStatus, Failure> {
        self.signal("TERM")?;
        self.exited().await
    }

    /// Sends SIGKILL and waits for its end.
    pub async fn kill(&self) -> Result<ExitStatus, Failure> {
        self.signal("KILL")?;
        self.exited().await
    }

    /// The same for one that may have ended by itself.
    pub async fn kill_if_running(&self) -> Result<ExitStatus, Failure> {
        if is_running(self.pid) {
            // It may end at this very moment.
            drop(self.signal("KILL"));
        }
        self.exited().await
    }

    /// Stops it at any point of its work (SIGSTOP).
    pub fn pause(&self) -> Result<(), Failure> {
        self.signal("STOP")
    }

    /// Resumes it after [`Self::pause`].
    pub fn resume(&self) -> Result<(), Failure> {
        self.signal("CONT")
    }

    /// Sends a signal by its name without `SIG`.
    pub fn signal(&self, name: &str) -> Result<(), Failure> {
        match self.state().as_mut() {
            Some(State::Running(supervisor, _)) => Ok(supervisor.signal(self.pid, name)?),
            _ => Err("no signal can be sent to an operator that has ended".into()),
        }
    }

    /// Waits for its end.
    pub async fn exited(&self) -> Result<ExitStatus, Failure> {
        // Not `try_eventually`: its future could not be sent to another thread.
        let end = Instant::now() + ENDS_WITHIN;
        while is_running(self.pid) {
            if Instant::now() > end {
                return Err(self.failed(format_args!("the operator has not ended within {ENDS_WITHIN:?}")));
            }
            sleep(Duration::from_millis(5)).await;
        }
        let mut state = self.state();
        let status = match state.take() {
            Some(State::Running(mut supervisor, reader)) => {
                let status = supervisor.ended(self.pid);
                // With the shell the last writer of the pipe is gone: the output read so far is complete.
                drop(supervisor);
                drop(reader.join());
                status.during("asking how the operator ended")?
            }
            Some(State::Ended(status)) => status,
            None => return Err("asking how the operator ended failed before".into()),
        };
        *state = Some(State::Ended(status));
        Ok(status)
    }

    /// Its resident memory in bytes; none once it has ended.
    pub fn rss_bytes(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
    }

    fn failed(&self, why: impl std::fmt::Display) -> Failure {
        format!("{why}; the operator's last lines:\n{}", self.output.tail()).into()
    }

    fn state(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
