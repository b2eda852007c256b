//! How the API server is reached: the kubeconfig or the pod's ServiceAccount, and two clients. Sends no request.

mod redaction;

mod kubeconfig;
mod proxy;

use std::{path::Path, time::Duration};

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

/// Longest wait for a connection to the API server, for all requests except those of the watch.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The kubeconfig to read, and its context. Without either, the pod's ServiceAccount is used if there is no usable
/// kubeconfig.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// `--kubeconfig`.
    pub kubeconfig: Option<&'a Path>,
    /// `--context`.
    pub context: Option<&'a str>,
}

/// Two clients. The first never repeats a request by itself, since a repeated PUT of a claim would conflict with its
/// own first application; the second is for watches, and the watchdog counts its bytes. The text of an error never quotes a
/// kubeconfig, which may hold a token or a password.
pub async fn clients(
    access: Access<'_>,
    watchdog: &Watchdog,
    metrics: &Metrics,
) -> Result<(Client, Client), String> {
    let mut config = kubeconfig::config(access).await?;
    let host = config.cluster_url.authority().map(ToString::to_string).unwrap_or_default();
    let requests = CountRequests { metrics: metrics.clone(), host };
    let counted = watchdog.clone();
    let bytes = MapResponseLayer::new(move |response| counted.count(response));
    // The watches have their own back-off: the client's would begin with a burst and grow to minutes.
    config.default_retry = false;
    let watching = builder(config.clone())?.with_layer(&bytes).with_layer(&requests).build();
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    Ok((builder(config)?.with_layer(&requests).build(), watching))
}

type Service = BoxService<http::Request<kube::client::Body>, http::Response<Box<DynBody>>, BoxError>;
type Scrubbed = MapErr<Service, fn(BoxError) -> BoxError>;

fn unusable(why: &str) -> String {
    format!("no client of the Kubernetes API server can be made: {why}")
}

/// kube's client, with errors that never contain the output of a credential plugin that was asked for a new token.
fn builder(config: Config) -> Result<ClientBuilder<Scrubbed>, String> {
    // kube panics on a plugin's token that is no valid header value and does not expire; only kube sees that token.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|panic| {
        let is_token = panic.payload().downcast_ref::<String>().is_some_and(|text| text.contains("not valid header"));
        let why = if is_token { redaction::TOKEN } else { redaction::UNUSABLE };
        eprintln!("redistribution-operator: {}", unusable(why));
        std::process::exit(2);
    }));
    let built = ClientBuilder::try_from(config);
    std::panic::set_hook(hook);
    let scrub: fn(BoxError) -> BoxError = |error| match error.downcast_ref::<AuthError>() {
        Some(error) => redaction::of_credentials(error).into(),
        None => error,
    };
    Ok(built
        .map_err(|error| unusable(&redaction::of_client(&error)))?
        .with_layer(&MapErrLayer::new(scrub)))
}
