//! How the API server is reached: the kubeconfig or the pod's own account, and two clients of it. It asks for nothing.

use std::{error::Error, time::Duration};

use kube::{
    Client, Config,
    client::ClientBuilder,
    config::{KubeConfigOptions, Kubeconfig},
};
use tower::util::MapResponseLayer;

use crate::{
    args::Run,
    metrics::{CountRequests, Metrics},
    watchdog::Watchdog,
};

/// Longest wait for a connection to the API server, of everything but the watch.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// There is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientsError {
    /// No kubeconfig, or one that cannot be read, and no pod's account either.
    #[error("no way to reach a Kubernetes API server: {0}. Run it in a pod, or name a kubeconfig with --kubeconfig")]
    Nowhere(Box<dyn Error + Send + Sync>),
    /// What the kubeconfig says cannot be used, a certificate for example.
    #[error(transparent)]
    Unusable(#[from] kube::Error),
}

/// Two clients: one for everything else, which never repeats a request by itself, since a repeated PUT of a claim would
/// meet its own first application as a conflict; and one that watches and whose bytes are counted.
pub async fn both(run: &Run, watchdog: &Watchdog, metrics: &Metrics) -> Result<(Client, Client), ClientsError> {
    let mut config = config(run).await.map_err(ClientsError::Nowhere)?;
    let host = config.cluster_url.authority().map(ToString::to_string).unwrap_or_default();
    let requests = CountRequests { metrics: metrics.clone(), host };
    let counted = watchdog.clone();
    let bytes = MapResponseLayer::new(move |response| counted.count(response));
    // Who watches pauses by itself: the client's own pauses would begin with a burst and grow to minutes.
    config.default_retry = false;
    let watching = ClientBuilder::try_from(config.clone())?.with_layer(&bytes).with_layer(&requests).build();
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    Ok((ClientBuilder::try_from(config)?.with_layer(&requests).build(), watching))
}

async fn config(run: &Run) -> Result<Config, Box<dyn Error + Send + Sync>> {
    let options = KubeConfigOptions { context: run.context.clone(), ..KubeConfigOptions::default() };
    match &run.kubeconfig {
        Some(file) => Ok(Config::from_custom_kubeconfig(Kubeconfig::read_from(file)?, &options).await?),
        None if run.context.is_some() => Ok(Config::from_kubeconfig(&options).await?),
        None => Ok(Config::infer().await?),
    }
}
