//! A simulated GaussDB(DWS) cloud for one call and the two reads that belong to it: its gateway, which checks
//! signatures and tokens, its IAM, which gives tokens for passwords, and behind them clusters that accept a
//! redistribution only while they wait for one and show its progress. It uses https with an authority of its own, keeps
//! a ledger of every request that arrived, and can be made to fail in every way a wire can. It must share no code with
//! the operator: a request that it accepts must be correct by the cloud's documents, not by the operator's reading of
//! them.
//!
//! Assumptions about the cloud, without a source that confirms them for this very call:
//!
//! - A call for a cluster that is not waiting for a redistribution is answered 403 `DWS.7023`; this is documented for
//!   other calls on busy clusters.
//! - A call for an unknown cluster is answered 401 `DWS.0047`, and so is a read of the details; this is reported for the
//!   cluster's detail.
//! - The gateway checks the address before the signature, the signature before its limits, and these before the body.
//! - Only wrong signatures of known keys count towards the lock, and a correct one resets the count.
//! - A redistribution starts with the answer; the cluster leaves its state at once. With a lag, reads are late, calls
//!   are not.
//! - Ids are compared without regard to case.
//!
//! About reads:
//!
//! - Only calls are limited. A missing right is refused after the signature was checked.
//! - A redistribution that is under way in none of the four states for it is no redistribution: the answer for its
//!   details can be chosen, and the code of the 404 among these is invented.
//! - While a redistribution is paused, `sub_status` is that of a running one.
//! - `start_time` is UTC, which its form does not show. Percentages begin at 0, though the documents begin at 1.
//! - A run that failed or paused keeps its id when it continues; an execution always has a new one.
//! - `redis_progress.status` is `RUNNING`, `PAUSE` or `SUCCESS` where nothing failed; only its `FAIL` was ever published.
//!
//! About tokens:
//!
//! - One that is unknown is answered 401 `APIGW.0301`; one that is of another project, or of none, 403 `APIGW.0306`. If
//!   a signature is sent too, the token is not checked.
//! - A revoked token ends at once; the newest documents allow it up to half an hour more.
//! - Only wrong passwords of known users count towards the lock, and a correct one resets the count. While it lasts,
//!   every login is answered 401, with a message of ours.
//! - A login for a project that is named but unknown is answered 401.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    missing_docs,
    reason = "support of tests: a panic here fails a test, which is what it is for"
)]

mod address;
mod admin;
mod answer;
pub mod certificate;
mod cloud;
mod cluster;
mod connection;
mod detail;
mod ending;
mod gateway;
mod iam;
mod ledger;
mod options;
mod reply;
mod run;
mod script;
pub mod signature;
mod task;
pub mod wire;

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
};

use tempfile::NamedTempFile;
use tokio::{net::TcpListener, sync::oneshot};

pub use address::{Kind, Read};
pub use answer::{Answer, Shape};
pub use cloud::Cloud;
pub use cluster::NoRun;
pub use ending::asked_to_end;
pub use gateway::{Denial, Throttle};
pub use ledger::Entry;
pub use options::{Mode, Options};
pub use run::Run;
pub use script::{Act, Script, Wait};
pub use task::TaskState;

use address::ListenerRole;

/// Why the simulator could not be started.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A running simulator; ends when dropped.
pub struct Simulator {
    cloud: Arc<Cloud>,
    address: SocketAddr,
    iam: SocketAddr,
    admin: SocketAddr,
    ca_pem: String,
    ca_file: Option<NamedTempFile>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Simulator {
    /// Starts it on a thread and a runtime of its own, so that any test may use it. Blocks until it listens.
    pub fn start(options: &Options) -> Result<Self, Failure> {
        let certificate = certificate::make(&options.names)?;
        let ca_file = options.ca_file.then(NamedTempFile::new).transpose()?;
        if let Some(file) = &ca_file {
            std::fs::write(file.path(), &certificate.ca_pem)?;
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let bind = |address: SocketAddr| {
            let bound = runtime.block_on(TcpListener::bind(address));
            let listener = bound.map_err(|error| format!("cannot listen on {address}: {error}"))?;
            let address = listener.local_addr()?;
            Ok::<_, Failure>((listener, address))
        };
        // A runtime cannot be driven from inside another one's thread.
        let bound = std::thread::scope(|scope| {
            let binding = scope.spawn(|| {
                let iam = options.iam.map(bind).transpose()?;
                Ok::<_, Failure>((bind(options.listen)?, bind(options.admin)?, iam))
            });
            binding.join().unwrap_or_else(|_| Err("the simulator's thread ended early".into()))
        });
        let ((listener, address), (admin_listener, admin), iam) = bound?;
        let (iam_listener, iam) = iam.map_or((None, address), |(listener, address)| (Some(listener), address));
        let role = if iam_listener.is_some() { ListenerRole::Cloud } else { ListenerRole::Both };
        let cloud = Arc::new(Cloud::new(options));
        let mode = options.mode;
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = Arc::clone(&cloud);
        let thread = std::thread::Builder::new().name("simulator".to_owned()).spawn(move || {
            runtime.block_on(async move {
                tokio::spawn(admin::serve(admin_listener, Arc::clone(&serving)));
                if let Some(listener) = iam_listener {
                    let (config, cloud) = (Arc::clone(&certificate.server), Arc::clone(&serving));
                    tokio::spawn(connection::serve(listener, config, Mode::Cloud, ListenerRole::Iam, cloud));
                }
                tokio::spawn(connection::serve(listener, certificate.server, mode, role, serving));
                // An error means that the owner is gone.
                let _ = stopped.await;
            });
            runtime.shutdown_background();
        })?;
        let ca_pem = certificate.ca_pem;
        Ok(Self { cloud, address, iam, admin, ca_pem, ca_file, stop: Some(stop), thread: Some(thread) })
    }

    pub fn start_mode(mode: Mode) -> Result<Self, Failure> {
        Self::start(&Options { mode, ..Options::default() })
    }

    /// Its state, for users that outlive this borrow of it.
    pub fn knowledge(&self) -> Arc<Cloud> {
        Arc::clone(&self.cloud)
    }

    /// `https://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The same of its IAM: that of the cloud, unless it has one of its own.
    pub fn iam_url(&self) -> String {
        format!("https://{}", self.iam)
    }

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

    /// The same in a file, for `--ca-bundle`; empty without [`Options::ca_file`].
    pub fn ca_file(&self) -> &Path {
        self.ca_file.as_ref().map_or(Path::new(""), NamedTempFile::path)
    }

    /// The same file, kept where the caller wants it.
    pub fn write_ca(&self, file: &Path) -> io::Result<PathBuf> {
        std::fs::write(file, &self.ca_pem)?;
        file.canonicalize()
    }
}

/// All queries and changes that are possible while it runs.
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
