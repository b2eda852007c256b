//! The kubeconfig, as kubectl reads it: which file, which cluster, and the settings that kube ignores. Opens no
//! connection.

use std::path::{Path, PathBuf};

use http::header::HeaderValue;
use kube::{
    Config,
    config::{Cluster, KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use secrecy::ExposeSecret;

use super::{Access, proxy, redaction};

/// From the kubeconfig; if none is requested and none can be used, from the pod's ServiceAccount.
pub async fn config(access: Access<'_>) -> Result<Config, String> {
    let Access { kubeconfig: file, context } = access;
    match from_file(file, context).await {
        Err(kubeconfig) if file.is_none() && context.is_none() => Config::incluster().map_err(|in_cluster| {
            format!(
                "no way to reach a Kubernetes API server: {kubeconfig}; {in_cluster}. Run it in a pod, or name a kubeconfig with --kubeconfig"
            )
        }),
        result => result,
    }
}

async fn from_file(file: Option<&Path>, context: Option<&str>) -> Result<Config, String> {
    let name = file.map(|file| format!("{} ", file.display())).unwrap_or_default();
    let invalid = |why: &str| format!("kubeconfig {name}(--kubeconfig, KUBECONFIG or ~/.kube/config): {why}");
    let read = file.map_or_else(Kubeconfig::read, Kubeconfig::read_from);
    let kubeconfig = read.map_err(|error| invalid(&redaction::of_kubeconfig(&error)))?;
    let cluster = cluster(&kubeconfig, context).cloned().unwrap_or_default();
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    let made = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let mut config = made.map_err(|error| match error {
        KubeconfigError::ParseProxyUrl(_) if cluster.proxy_url.is_none() => proxy::invalid("HTTPS_PROXY"),
        KubeconfigError::ParseNoProxy(_) => proxy::NO_PROXY.to_owned(),
        error => invalid(&redaction::of_kubeconfig(&error)),
    })?;
    check(&config).map_err(invalid)?;
    // kube reads the authority once unless it gets the file's name: the authority may be replaced while this runs.
    let is_a_file = cluster.certificate_authority_data.is_none() && !config.accept_invalid_certs;
    config.root_cert_file = cluster.certificate_authority.filter(|_| is_a_file).map(PathBuf::from);
    // kube compares NO_PROXY with the proxy's name, and sends requests to this machine through the proxy.
    config.proxy_url = match cluster.proxy_url.filter(|url| !url.is_empty()) {
        Some(url) => Some(proxy::read(&url).ok_or_else(|| invalid(&proxy::invalid("proxy-url")))?),
        None => proxy::of_environment(&config.cluster_url, |name| std::env::var(name).ok())?,
    };
    if let Some(proxy) = &config.proxy_url {
        let (host, port) = (proxy.host().unwrap_or_default(), proxy.port_u16());
        tracing::info!(host, port, "the API server is reached through a proxy");
    }
    Ok(config)
}

fn cluster<'a>(kubeconfig: &'a Kubeconfig, context: Option<&str>) -> Option<&'a Cluster> {
    let name = context.or(kubeconfig.current_context.as_deref())?;
    let context = kubeconfig.contexts.iter().find(|listed| listed.name == name)?.context.as_ref()?;
    kubeconfig.clusters.iter().find(|listed| listed.name == context.cluster)?.cluster.as_ref()
}

/// Rejects values that kube would log or panic on.
fn check(config: &Config) -> Result<(), &'static str> {
    if config.cluster_url.authority().is_none_or(|authority| authority.as_str().contains('@')) {
        return Err(
            "server must be https://HOST:PORT; user and password belong into username and password of the user entry, not into the URL",
        );
    }
    let provider = config.auth_info.auth_provider.as_ref().and_then(|provider| provider.config.get("id-token"));
    let token = config.auth_info.token.as_ref().map(ExposeSecret::expose_secret);
    let fits = |token: &str| HeaderValue::from_str(token).is_ok();
    if token.into_iter().chain(provider.map(String::as_str)).all(fits) { Ok(()) } else { Err(redaction::TOKEN) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
