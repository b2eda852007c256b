//! The built operator as a process of its own, under its own ServiceAccount with the rights of `deploy/rbac.yaml`. It
//! knows of the operator only what an administrator knows: flags, the two log lines that tell how far it is, and the
//! addresses of probes and metrics.

mod output;

use std::{
    ffi::OsString,
    fs, io,
    net::SocketAddr,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use output::Output;

use crate::{
    access::{AccessError, Grant},
    control_plane::{ControlPlane, ControlPlaneError},
    eventually::try_eventually,
    supervisor::{Supervisor, is_running},
};

/// Longer than any grace an operator may take for calls in flight.
const ENDS_WITHIN: Duration = Duration::from_secs(180);
const READY_WITHIN: Duration = Duration::from_secs(60);
/// What the operator inherits of the environment; its own variables (`DWS_OPERATOR_*`) are never among them.
const INHERITED: [&str; 4] = ["HOME", "RUST_BACKTRACE", "SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Which operator, and with what.
#[derive(Clone, Debug)]
pub struct OperatorOptions<'a> {
    /// The program.
    pub binary: PathBuf,
    /// Where it works.
    pub control_plane: &'a ControlPlane,
    /// The namespace of its ServiceAccount and Lease.
    pub namespace: String,
    /// The ServiceAccount, made if need be; two operators that shall differ in rights need two.
    pub service_account: String,
    /// Namespaces it watches and has rights in; none means all.
    pub watch: Vec<String>,
    /// Whether it may read Secrets there.
    pub secrets: bool,
    /// `--log-level`.
    pub log_level: String,
    /// Further arguments, after all others.
    pub arguments: Vec<OsString>,
    /// Further environment variables.
    pub environment: Vec<(OsString, OsString)>,
}

impl<'a> OperatorOptions<'a> {
    /// An operator that lives in this namespace, watches it alone, may read Secrets and logs at `debug`.
    pub fn new(binary: impl Into<PathBuf>, control_plane: &'a ControlPlane, namespace: &str) -> Self {
        Self {
            binary: binary.into(),
            control_plane,
            namespace: namespace.to_owned(),
            service_account: "redistribution-operator".to_owned(),
            watch: vec![namespace.to_owned()],
            secrets: true,
            log_level: "debug".to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }
}

/// The command line of an operator, ready to run, once or again.
#[derive(Clone, Debug)]
pub struct OperatorCommand {
    /// The program.
    pub binary: PathBuf,
    /// Whom it is for the API server.
    pub kubeconfig: PathBuf,
    /// Namespaces it watches; none means all.
    pub watch: Vec<String>,
    /// `--log-level`.
    pub log_level: String,
    /// Further arguments, after all others.
    pub arguments: Vec<OsString>,
    /// Further environment variables.
    pub environment: Vec<(OsString, OsString)>,
}

/// Why an operator does not run, or does not do what it was told. Ends with the last lines of its output.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// It could not be given its rights.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// It could not be given its kubeconfig.
    #[error(transparent)]
    ControlPlane(#[from] ControlPlaneError),
    /// Something of the system failed.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// It ended by itself.
    #[error("the operator ended ({status}) before it was ready; its last lines:\n{tail}")]
    Ended {
        /// How.
        status: ExitStatus,
        /// The last lines of its output.
        tail: String,
    },
    /// It did not do it in time.
    #[error("{overdue}; the operator's last lines:\n{tail}")]
    Overdue {
        /// What was expected.
        overdue: crate::eventually::Overdue,
        /// The last lines of its output.
        tail: String,
    },
    /// Its probes and metrics were not answered.
    #[error("asking the operator: {0}")]
    Http(#[from] reqwest::Error),
}

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
    /// Gives the ServiceAccount its rights and starts the operator as it. Does not wait until it is ready.
    pub async fn start(options: OperatorOptions<'_>) -> Result<Self, OperatorError> {
        let OperatorOptions { control_plane, namespace, service_account, secrets, watch, .. } = &options;
        let grant = Grant { namespace, name: service_account, watch, secrets: *secrets };
        grant.apply(&control_plane.client().await?).await?;
        let kubeconfig = control_plane.service_account_kubeconfig(namespace, service_account).await?;
        Self::run(OperatorCommand {
            kubeconfig,
            binary: options.binary,
            watch: options.watch,
            log_level: options.log_level,
            arguments: options.arguments,
            environment: options.environment,
        })
    }

    /// Starts the operator by its command line, for a cluster that is not the testbed's, or once more.
    pub fn run(command: OperatorCommand) -> Result<Self, OperatorError> {
        let io = |what| move |source| OperatorError::Io { what, source };
        let inherited = INHERITED.iter().filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)));
        let environment: Vec<_> = inherited.chain(command.environment.iter().cloned()).collect();
        let mut supervisor =
            Supervisor::start(&environment, Stdio::piped()).map_err(io("starting /bin/sh as a supervisor"))?;
        let pid = supervisor.spawn(&command.binary, &command.line(), None).map_err(io("starting the operator"))?;
        let output = Output::default();
        let errors = supervisor.take_errors().ok_or_else(|| io::Error::other("no pipe"));
        let errors = errors.map_err(io("reading the operator's output"))?;
        let reader = std::thread::spawn({
            let output = output.clone();
            move || output.follow(errors)
        });
        Ok(Self { command, pid, output, state: Mutex::new(Some(State::Running(supervisor, reader))) })
    }

    /// Its command line: what starts another one with the same rights.
    pub fn command(&self) -> &OperatorCommand {
        &self.command
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// All it has printed so far, standard output and error in one; complete once its end was waited for.
    pub fn output(&self) -> String {
        self.output.text()
    }

    /// Where its probes and metrics are, once it has said so.
    pub fn address(&self) -> Option<SocketAddr> {
        self.output.address()
    }

    /// Whether it has said that its first list is complete.
    pub fn is_watching(&self) -> bool {
        self.output.is_watching()
    }

    /// Waits until `/readyz` says so.
    pub async fn wait_ready(&self) -> Result<(), OperatorError> {
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
            Ok(false) => Err(OperatorError::Ended { status: self.exited().await?, tail: self.output.tail() }),
            Err(overdue) => Err(OperatorError::Overdue { overdue, tail: self.output.tail() }),
        }
    }

    /// Status code and body of one of its own addresses.
    pub async fn get(&self, path: &str) -> Result<(u16, String), OperatorError> {
        let missing = || OperatorError::Io {
            what: "asking the operator",
            source: io::Error::other("it has not said where it listens"),
        };
        let address = self.address().ok_or_else(missing)?;
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
        let answer = client.get(format!("http://{address}{path}")).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Its metrics.
    pub async fn metrics(&self) -> Result<String, OperatorError> {
        Ok(self.get("/metrics").await?.1)
    }

    /// Sends SIGTERM and waits for its end.
    pub async fn terminate(&self) -> Result<ExitStatus, OperatorError> {
        self.signal("TERM")?;
        self.exited().await
    }

    /// Sends SIGKILL and waits for its end.
    pub async fn kill(&self) -> Result<ExitStatus, OperatorError> {
        self.signal("KILL")?;
        self.exited().await
    }

    /// Stops it in the middle of whatever it does (SIGSTOP).
    pub fn pause(&self) -> Result<(), OperatorError> {
        self.signal("STOP")
    }

    /// Lets it go on after [`Self::pause`].
    pub fn resume(&self) -> Result<(), OperatorError> {
        self.signal("CONT")
    }

    /// Sends a signal by its name without `SIG`.
    pub fn signal(&self, name: &str) -> Result<(), OperatorError> {
        let io = |source| OperatorError::Io { what: "sending a signal to the operator", source };
        match self.state().as_mut() {
            Some(State::Running(supervisor, _)) => supervisor.signal(self.pid, name).map_err(io),
            _ => Err(io(io::Error::other("it has ended"))),
        }
    }

    /// Waits for its end.
    pub async fn exited(&self) -> Result<ExitStatus, OperatorError> {
        let ended = try_eventually(ENDS_WITHIN, "the operator ends", async || {
            if is_running(self.pid) { Err("it runs") } else { Ok(()) }
        });
        ended.await.map_err(|overdue| OperatorError::Overdue { overdue, tail: self.output.tail() })?;
        let mut state = self.state();
        let status = match state.take() {
            Some(State::Running(mut supervisor, reader)) => {
                let status = supervisor.ended(self.pid);
                // With the shell the last writer of the pipe is gone: what was read then is all there will ever be.
                drop(supervisor);
                drop(reader.join());
                status.map_err(|source| OperatorError::Io { what: "asking how the operator ended", source })?
            }
            Some(State::Ended(status)) => status,
            None => {
                return Err(OperatorError::Io {
                    what: "asking how the operator ended",
                    source: io::Error::other("that failed before"),
                });
            }
        };
        *state = Some(State::Ended(status));
        Ok(status)
    }

    /// Memory that it occupies, in bytes; none once it has ended.
    pub fn rss_bytes(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
    }

    fn state(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OperatorCommand {
    fn line(&self) -> Vec<OsString> {
        let mut line: Vec<OsString> = vec!["run".into(), "--kubeconfig".into(), self.kubeconfig.clone().into()];
        line.extend(["--listen", "127.0.0.1:0", "--log-format", "json", "--log-level"].map(OsString::from));
        line.push((&self.log_level).into());
        line.extend(self.watch.iter().flat_map(|namespace| [OsString::from("--namespace"), namespace.into()]));
        line.extend(self.arguments.iter().cloned());
        line
    }
}
