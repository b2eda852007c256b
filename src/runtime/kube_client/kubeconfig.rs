//! The kubeconfig, as kubectl reads it: which file, which cluster, and the settings that kube ignores. Opens no
//! connection.

use std::path::{Path, PathBuf};

use http::header::HeaderValue;
use kube::{
    Config,
    config::{Cluster, KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use secrecy::ExposeSecret;

use super::{Access, ClientsError, proxy, redaction};

/// From the kubeconfig; if none is requested and none can be used, from the pod's ServiceAccount.
pub async fn config(access: Access<'_>) -> Result<Config, ClientsError> {
    let Access { kubeconfig: file, context } = access;
    match from_file(file, context).await {
        Err(kubeconfig) if file.is_none() && context.is_none() => Config::incluster()
            .map_err(|in_cluster| ClientsError::Nowhere { kubeconfig: Box::new(kubeconfig), in_cluster }),
        result => result,
    }
}

async fn from_file(file: Option<&Path>, context: Option<&str>) -> Result<Config, ClientsError> {
    let (kubeconfig, file) = read(file)?;
    let invalid = |why: String| ClientsError::Kubeconfig { file: file.clone(), why };
    let cluster = cluster(&kubeconfig, context).cloned().unwrap_or_default();
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    let made = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let mut config = made.map_err(|error| match error {
        KubeconfigError::ParseProxyUrl(_) if cluster.proxy_url.is_none() => {
            ClientsError::Proxy(proxy::invalid("HTTPS_PROXY"))
        }
        KubeconfigError::ParseNoProxy(_) => ClientsError::Proxy(proxy::NO_PROXY.to_owned()),
        error => invalid(redaction::of_kubeconfig(&error)),
    })?;
    check(&config).map_err(|why| invalid(why.to_owned()))?;
    // kube reads the authority once unless it gets the file's name: the authority may be replaced while this runs.
    let is_a_file = cluster.certificate_authority_data.is_none() && !config.accept_invalid_certs;
    config.root_cert_file = cluster.certificate_authority.filter(|_| is_a_file).map(PathBuf::from);
    // kube compares NO_PROXY with the proxy's name, and sends requests to this machine through the proxy.
    config.proxy_url = match cluster.proxy_url.filter(|url| !url.is_empty()) {
        Some(url) => Some(proxy::read(&url).ok_or_else(|| invalid(proxy::invalid("proxy-url")))?),
        None => proxy::of_environment(&config.cluster_url, |name| std::env::var(name).ok())?,
    };
    if let Some(proxy) = &config.proxy_url {
        let (host, port) = (proxy.host().unwrap_or_default(), proxy.port_u16());
        tracing::info!(host, port, "the API server is reached through a proxy");
    }
    Ok(config)
}

/// The merged files, and the file to name in an error about them.
fn read(file: Option<&Path>) -> Result<(Kubeconfig, PathBuf), ClientsError> {
    let files = file.map_or_else(default_files, |file| vec![file.to_owned()]);
    let first = files.first().cloned().ok_or(ClientsError::NoFile)?;
    let mut merged = Kubeconfig::default();
    for file in files {
        let read = Kubeconfig::read_from(&file).and_then(|read| merged.merge(read));
        merged = read.map_err(|error| ClientsError::Kubeconfig { file, why: redaction::of_kubeconfig(&error) })?;
    }
    Ok((merged, first))
}

fn default_files() -> Vec<PathBuf> {
    let listed = std::env::var_os("KUBECONFIG").unwrap_or_default();
    let listed: Vec<_> = std::env::split_paths(&listed).filter(|path| !path.as_os_str().is_empty()).collect();
    if listed.is_empty() {
        std::env::home_dir().map(|home| home.join(".kube").join("config")).into_iter().collect()
    } else {
        listed
    }
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
