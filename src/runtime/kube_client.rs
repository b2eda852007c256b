//! How the API server is reached: the kubeconfig or the pod's ServiceAccount, and the client. Sends no request.

mod kubeconfig;
mod proxy;

use std::{path::Path, time::Duration};

use http::{Request, StatusCode};
use kube::{
    Client, Config, Error,
    client::{AuthError, Body, ClientBuilder},
};

use crate::runtime::metrics::Metrics;

/// Longest wait for a connection to the API server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest silence of an answer. Above the 55 s after which kube-runtime ends a silent watch, so that only a request that
/// opens a watch or a list can meet it; all others have shorter limits of their own.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// The client, or why there is none; that text never quotes a kubeconfig, which may hold a token or a password.
///
/// Without a kubeconfig and a context, the pod's ServiceAccount is used if there is no usable kubeconfig. The client never
/// repeats a request by itself: a repeated PUT of a claim would conflict with its own first application, and the
/// watches have a back-off of their own.
pub async fn client(kubeconfig: Option<&Path>, context: Option<&str>, metrics: &Metrics) -> Result<Client, String> {
    let mut config = kubeconfig::config(kubeconfig, context).await?;
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    (config.read_timeout, config.reset_reader_on_write) = (Some(READ_TIMEOUT), true);
    let host = config.cluster_url.authority().map(ToString::to_string).unwrap_or_default();
    let namespace = config.default_namespace.clone();
    let (inner, metrics) = (build(config)?, metrics.clone());
    let service = tower::service_fn(move |request: Request<Body>| {
        let (inner, metrics, host) = (inner.clone(), metrics.clone(), host.clone());
        async move {
            let method = request.method().to_string();
            let answer = inner.send(request).await.map_err(without_output);
            let status = answer.as_ref().map(http::Response::status).ok();
            metrics.api_request(status.as_ref().map_or("<error>", StatusCode::as_str), &method, &host);
            answer
        }
    });
    Ok(Client::new(service, namespace))
}

fn unusable(why: &str) -> String {
    format!("no client of the Kubernetes API server can be made: {why}")
}

fn build(config: Config) -> Result<Client, String> {
    // kube panics on a plugin's token that is no valid header value and does not expire; only kube sees that token.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|panic| {
        let is_token = panic.payload().downcast_ref::<String>().is_some_and(|text| text.contains("not valid header"));
        let why = if is_token { kubeconfig::TOKEN } else { kubeconfig::UNUSABLE };
        eprintln!("redistribution-operator: {}", unusable(why));
        std::process::exit(2);
    }));
    let built = ClientBuilder::try_from(config);
    std::panic::set_hook(hook);
    built.map(ClientBuilder::build).map_err(|error| unusable(&kubeconfig::of_client(&error)))
}

/// The error without the output of a credential plugin that was asked for a new token.
fn without_output(error: Error) -> Error {
    match &error {
        Error::Service(source) => match source.downcast_ref::<AuthError>() {
            Some(error) => Error::Service(kubeconfig::of_credentials(error).into()),
            None => error,
        },
        _ => error,
    }
}
