//! A Kubernetes of its own: etcd, kube-apiserver and on demand kube-controller-manager, on loopback, with RBAC, in
//! seconds. It ends with its owner and leaves nothing behind. It knows nothing of the operator under test, and must not
//! be given anything worth keeping.

mod certificates;
mod kubectl;
mod processes;
mod ready;

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::json;
use tokio::net::TcpSocket;

use crate::{
    credentials::{self, Credentials},
    failure::{During, Failure},
    supervisor::{Supervisor, is_running},
    tools::{Tool, Tools},
};

#[derive(Clone, Debug)]
pub struct Options {
    /// Time that each process has to become ready.
    pub ready_within: Duration,
    /// Where kube-apiserver listens; loopback must be in it. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Further flags of kube-apiserver, each as `--flag=value`.
    pub api_server_flags: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ready_within: Duration::from_secs(600),
            listen: ([127, 0, 0, 1], 0).into(),
            api_server_flags: Vec::new(),
        }
    }
}

/// A running control plane; dropping it ends its processes and removes its directory.
#[derive(Debug)]
pub struct ControlPlane {
    tools: Tools,
    options: Options,
    supervisor: Mutex<Supervisor>,
    controller_manager: Mutex<Option<u32>>,
    etcd: u32,
    api_server: u32,
    directory: PathBuf,
    kubeconfig: PathBuf,
    kubectl: PathBuf,
    url: String,
    ca_pem: String,
    started_in: Duration,
    /// Keeps the port reserved from before kube-apiserver binds it until after it has ended.
    _port: TcpSocket,
}

impl ControlPlane {
    /// Starts etcd and kube-apiserver and returns when the API server is ready. Blocks; any thread may call it.
    pub fn start(tools: &Tools, options: Options) -> Result<Self, Failure> {
        let [etcd, api_server, kubectl] = tools.provide([Tool::Etcd, Tool::KubeApiserver, Tool::Kubectl])?;
        let begin = Instant::now();
        let mut supervisor = Supervisor::start(&[], Stdio::inherit()).during("starting /bin/sh as a supervisor")?;
        let directory = supervisor.directory().to_owned();
        let ca_pem = certificates::write(&directory.join("pki"))?;
        let (reservation, address) = reserve(options.listen).during("reserving the API server's port")?;
        let url = format!("https://127.0.0.1:{}", address.port());
        let kubeconfig = write_kubeconfig(&directory, &url, "admin").during("writing the admin kubeconfig")?;

        let etcd = supervisor
            .spawn(&etcd, &processes::etcd(&directory), Some(&directory.join("etcd.log")))
            .during("starting etcd")?;
        let arguments = processes::kube_apiserver(&directory, address, &options.api_server_flags);
        let api_server = supervisor
            .spawn(&api_server, &arguments, Some(&directory.join("kube-apiserver.log")))
            .during("starting kube-apiserver")?;
        let mut control_plane = Self {
            tools: tools.clone(),
            options,
            supervisor: Mutex::new(supervisor),
            controller_manager: Mutex::new(None),
            etcd,
            api_server,
            directory,
            kubeconfig,
            kubectl,
            url,
            ca_pem,
            started_in: Duration::ZERO,
            _port: reservation,
        };
        ready::api_server(&control_plane)?;
        control_plane.started_in = begin.elapsed();
        Ok(control_plane)
    }

    /// The one control plane of this process: started at the first call, ended with the process.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Result<ControlPlane, String>> = OnceLock::new();
        let shared =
            SHARED.get_or_init(|| Self::start(&Tools::new(), Options::default()).map_err(|error| error.to_string()));
        match shared {
            Ok(control_plane) => control_plane,
            Err(error) => panic!("no control plane: {error}"),
        }
    }

    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Certificate of the authority that signed the API server's.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// A kubeconfig of one of the cluster's own parts, by the name of its certificate.
    pub(crate) fn kubeconfig_of(&self, part: &str) -> Result<PathBuf, Failure> {
        write_kubeconfig(&self.directory, &self.url, part).during("writing a kubeconfig")
    }

    /// Certificates, data and logs; removed at the end.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Duration of the start, without a build of programs.
    pub fn started_in(&self) -> Duration {
        self.started_in
    }

    /// Ids of the processes, etcd first.
    pub fn pids(&self) -> Vec<u32> {
        let mut ids = vec![self.etcd, self.api_server];
        ids.extend(*locked(&self.controller_manager));
        ids
    }

    /// A client of an administrator. It belongs to the calling runtime, so each test makes its own.
    pub async fn client(&self) -> Result<Client, Failure> {
        let kubeconfig = Kubeconfig::read_from(&self.kubeconfig)?;
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        config.proxy_url = None;
        Ok(Client::try_from(config)?)
    }

    /// Starts kube-controller-manager if it is not running yet, and returns when it is ready. Blocks.
    pub fn ensure_controller_manager(&self) -> Result<(), Failure> {
        let mut running = locked(&self.controller_manager);
        if running.is_some_and(is_running) {
            return Ok(());
        }
        let [program] = self.tools.provide([Tool::KubeControllerManager])?;
        let kubeconfig = self.kubeconfig_of("kube-controller-manager")?;
        let arguments = processes::kube_controller_manager(&self.directory, &kubeconfig);
        let log = self.directory.join("kube-controller-manager.log");
        let id = locked(&self.supervisor)
            .spawn(&program, &arguments, Some(&log))
            .during("starting kube-controller-manager")?;
        *running = Some(id);
        ready::controller_manager(self, id)
    }

    pub async fn api_server_metrics(&self) -> Result<String, Failure> {
        let request = http::Request::get("/metrics").body(Vec::new())?;
        Ok(self.client().await?.request_text(request).await?)
    }

    /// A kubeconfig of an existing ServiceAccount, with a token for a day; on demand through another address with
    /// another authority.
    pub async fn service_account_kubeconfig(
        &self,
        namespace: &str,
        name: &str,
        through: Option<(&str, &str)>,
    ) -> Result<PathBuf, Failure> {
        let token = credentials::token(&self.client().await?, namespace, name).await?;
        let (url, ca_pem) = through.unwrap_or((&self.url, &self.ca_pem));
        let credentials = Credentials { url, ca_pem, token: &token, namespace };
        let path = self.directory.join(format!("{namespace}-{name}-{:08x}.kubeconfig", rand::random::<u32>()));
        fs::write(&path, credentials.kubeconfig()).during("writing a kubeconfig")?;
        Ok(path)
    }

    /// Ends the processes and removes the directory, as dropping does.
    pub fn stop(self) {
        drop(self);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// kube-apiserver cannot use "any free port", and a port that was free a moment ago may be in use. A bound socket that
/// does not listen keeps the port from every process except those that share it on purpose.
fn reserve(address: SocketAddr) -> io::Result<(TcpSocket, SocketAddr)> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

fn write_kubeconfig(directory: &Path, url: &str, user: &str) -> io::Result<PathBuf> {
    let file = |extension: &str| directory.join("pki").join(user).with_extension(extension);
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "testbed", "cluster": {"server": url, "certificate-authority": directory.join("pki/ca.crt")}}],
        "users": [{"name": user, "user": {"client-certificate": file("crt"), "client-key": file("key")}}],
        "contexts": [{"name": "testbed", "context": {"cluster": "testbed", "user": user}}],
        "current-context": "testbed",
    });
    let path = directory.join(user).with_extension("kubeconfig");
    fs::write(&path, format!("{kubeconfig:#}\n"))?;
    Ok(path)
}
