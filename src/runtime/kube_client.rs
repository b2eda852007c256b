//! How the API server is reached: the kubeconfig or the pod's own account, and two clients of it. It asks for nothing.

mod redaction;

mod kubeconfig;
mod proxy;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use kube::{
    Client, Config,
    client::{AuthError, ClientBuilder, DynBody},
};
use tower::{
    BoxError,
    util::{BoxService, MapErr, MapErrLayer, MapResponseLayer},
};

use crate::runtime::{
    metrics::{CountRequests, Metrics},
    watchdog::Watchdog,
};

/// Longest wait for a connection to the API server, of everything but the watch.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// There is no client. What a kubeconfig holds is never part of the text: it may be a token or a password.
#[derive(Debug, thiserror::Error)]
pub enum ClientsError {
    /// No kubeconfig, or one that cannot be used, and no pod's account either.
    #[error(
        "no way to reach a Kubernetes API server: {kubeconfig}; {in_cluster}. Run it in a pod, or name a kubeconfig with --kubeconfig"
    )]
    Nowhere {
        /// What is wrong with the kubeconfig.
        kubeconfig: Box<ClientsError>,
        /// What is wrong with the pod's account.
        in_cluster: kube::config::InClusterError,
    },
    /// A kubeconfig that cannot be used.
    #[error("kubeconfig {file} (--kubeconfig, KUBECONFIG or ~/.kube/config): {why}", file = file.display())]
    Kubeconfig {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Nobody knows where a kubeconfig could be.
    #[error("there is no home directory, and KUBECONFIG is not set")]
    NoFile,
    /// What the configuration says cannot be used, a certificate for example.
    #[error("no client of the Kubernetes API server can be made: {0}")]
    Unusable(String),
    /// A variable of the environment that names proxies.
    #[error("{0}")]
    Proxy(String),
}

/// Which kubeconfig is read, and which context of it. Without either the pod's own account serves where no kubeconfig can
/// be used.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// `--kubeconfig`.
    pub kubeconfig: Option<&'a Path>,
    /// `--context`.
    pub context: Option<&'a str>,
}

/// Two clients: one for everything else, which never repeats a request by itself, since a repeated PUT of a claim would
/// meet its own first application as a conflict; and one that watches and whose bytes are counted.
pub async fn both(
    access: Access<'_>,
    watchdog: &Watchdog,
    metrics: &Metrics,
) -> Result<(Client, Client), ClientsError> {
    let mut config = kubeconfig::config(access).await?;
    let host = config.cluster_url.authority().map(ToString::to_string).unwrap_or_default();
    let requests = CountRequests { metrics: metrics.clone(), host };
    let counted = watchdog.clone();
    let bytes = MapResponseLayer::new(move |response| counted.count(response));
    // Who watches pauses by itself: the client's own pauses would begin with a burst and grow to minutes.
    config.default_retry = false;
    let watching = builder(config.clone())?.with_layer(&bytes).with_layer(&requests).build();
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    Ok((builder(config)?.with_layer(&requests).build(), watching))
}

type Service = BoxService<http::Request<kube::client::Body>, http::Response<Box<DynBody>>, BoxError>;
type Scrubbed = MapErr<Service, fn(BoxError) -> BoxError>;

/// kube's own client. What a credential plugin prints, when it is asked for a new token, gets into no error.
fn builder(config: Config) -> Result<ClientBuilder<Scrubbed>, ClientsError> {
    // kube panics over a token that no header can hold, if it is the plugin's and without an end: only kube sees it.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|panic| {
        let is_token = panic.payload().downcast_ref::<String>().is_some_and(|text| text.contains("not valid header"));
        let why = if is_token { redaction::TOKEN } else { redaction::UNUSABLE };
        eprintln!("redistribution-operator: {}", ClientsError::Unusable(why.to_owned()));
        std::process::exit(2);
    }));
    let built = ClientBuilder::try_from(config);
    std::panic::set_hook(hook);
    let scrub: fn(BoxError) -> BoxError = |error| match error.downcast_ref::<AuthError>() {
        Some(error) => redaction::of_credentials(error).into(),
        None => error,
    };
    Ok(built
        .map_err(|error| ClientsError::Unusable(redaction::of_client(&error)))?
        .with_layer(&MapErrLayer::new(scrub)))
}
