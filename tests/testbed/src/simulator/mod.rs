//! A simulated GaussDB(DWS) cloud for one call: its gateway, which checks signatures, and behind it clusters that accept
//! a redistribution only while they wait for one. It speaks https with an authority of its own, keeps a ledger of every
//! request that arrived, and can be told to fail in every way a wire can. It must share no code with the operator: what
//! it finds right must be right by the cloud's documents, not by the operator's reading of them.
//!
//! Assumed about the cloud, without a source that says so for this very call:
//!
//! - A call for a cluster that is not waiting for a redistribution is answered 403 `DWS.7023`; this is documented for
//!   other calls on busy clusters.
//! - A call for an unknown cluster is answered 401 `DWS.0047`; this is reported for the cluster's detail.
//! - The gateway checks the address before the signature, the signature before its limits, and these before the body.
//! - Only wrong signatures of known keys count towards the lock, and a correct one resets the count.
//! - A redistribution starts with the answer; the cluster leaves its state at once.
//! - Ids are compared without regard to case.

mod admin;
mod answer;
pub(crate) mod certificate;
mod cloud;
mod connection;
mod gateway;
mod ledger;
mod script;
pub mod signature;
pub(crate) mod wire;

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use tokio::{net::TcpListener, sync::oneshot};

pub use answer::{Answer, Shape};
pub use cloud::{Cloud, TaskState, Throttle};
pub use ledger::{Entry, Ledger};
pub use script::{Act, Script, Wait};

/// How a simulator starts.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address of the cloud; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Address of the admin pages; port 0 takes a free one.
    pub admin: SocketAddr,
    /// Names and addresses its certificate is for, besides those of loopback.
    pub names: Vec<String>,
    /// Its first access key.
    pub access_key: String,
    /// The secret key to it; random if absent.
    pub secret_key: Option<String>,
    /// Makes clusters at their first call, waiting for a redistribution.
    pub accept_any_cluster: bool,
    /// How far its clock is ahead of this machine's, in seconds.
    pub clock_offset: i64,
    /// How long five wrong signatures lock a key.
    pub lock: Duration,
    /// What the listener does.
    pub mode: Mode,
    /// Prints each call in one line.
    pub print: bool,
}

impl Default for Options {
    fn default() -> Self {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            listen: loopback,
            admin: loopback,
            names: Vec::new(),
            access_key: "SIMULATORACCESSKEY01".to_owned(),
            secret_key: None,
            accept_any_cluster: false,
            clock_offset: 0,
            lock: Duration::from_secs(300),
            mode: Mode::Cloud,
            print: false,
        }
    }
}

/// What the listener does with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// What the cloud does.
    Cloud,
    /// Speaks something that is not TLS.
    NotTls,
    /// Accepts, and never says a word.
    StalledTls,
}

/// The simulator could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// An address is taken, or is none of this machine.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// No certificate.
    #[error("the certificate of the simulator: {0}")]
    Certificate(String),
    /// A file or thread.
    #[error("the simulator: {0}")]
    Io(#[from] io::Error),
}

/// A running simulator; ends when dropped.
pub struct Simulator {
    cloud: Arc<Cloud>,
    address: SocketAddr,
    admin: SocketAddr,
    ca_pem: String,
    ca_file: tempfile::NamedTempFile,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Simulator {
    /// Starts it on a thread and a runtime of its own, so that any test may use it. Blocks until it listens.
    pub fn start(options: &Options) -> Result<Self, SimulatorError> {
        let certificate = certificate::make(&options.names).map_err(SimulatorError::Certificate)?;
        let ca_file = tempfile::Builder::new().prefix("simulator-ca-").suffix(".pem").tempfile()?;
        std::fs::write(ca_file.path(), &certificate.ca_pem)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let bind = |address: SocketAddr| {
            let failed = move |source| SimulatorError::Listen { address, source };
            let listener = runtime.block_on(TcpListener::bind(address)).map_err(failed)?;
            let address = listener.local_addr().map_err(failed)?;
            Ok::<_, SimulatorError>((listener, address))
        };
        // A runtime cannot be driven from inside another one's thread.
        let bound = std::thread::scope(|scope| {
            let binding = scope.spawn(|| Ok::<_, SimulatorError>((bind(options.listen)?, bind(options.admin)?)));
            binding.join().unwrap_or_else(|_| Err(io::Error::other("its thread ended early").into()))
        });
        let ((listener, address), (admin_listener, admin)) = bound?;
        let cloud = Arc::new(Cloud::new(options));
        let mode = options.mode;
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = Arc::clone(&cloud);
        let thread = std::thread::Builder::new().name("simulator".to_owned()).spawn(move || {
            runtime.block_on(async move {
                tokio::spawn(admin::serve(admin_listener, Arc::clone(&serving)));
                tokio::spawn(connection::serve(listener, certificate.server, mode, serving));
                // An error means that the owner is gone.
                let _ = stopped.await;
            });
            runtime.shutdown_background();
        })?;
        Ok(Self { cloud, address, admin, ca_pem: certificate.ca_pem, ca_file, stop: Some(stop), thread: Some(thread) })
    }

    /// One that behaves like this towards connections.
    pub fn start_mode(mode: Mode) -> Result<Self, SimulatorError> {
        Self::start(&Options { mode, ..Options::default() })
    }

    /// `https://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:<port>` of the admin pages.
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.admin)
    }

    /// Certificate of its authority, as PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The same in a file, for `--ca-bundle`.
    pub fn ca_file(&self) -> &Path {
        self.ca_file.path()
    }

    /// The same file, kept where the caller wants it.
    pub fn write_ca(&self, file: &Path) -> io::Result<PathBuf> {
        std::fs::write(file, &self.ca_pem)?;
        file.canonicalize()
    }
}

/// Everything that can be asked of it or told to it while it runs.
impl std::ops::Deref for Simulator {
    type Target = Cloud;

    fn deref(&self) -> &Cloud {
        &self.cloud
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
