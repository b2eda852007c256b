//! The kubeconfig, as kubectl reads it: which file, which cluster, and what of it kube does not take over by itself. It
//! connects to nothing.

use std::path::{Path, PathBuf};

use http::header::HeaderValue;
use kube::{
    Config,
    config::{Cluster, KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use secrecy::ExposeSecret;

use super::{Access, ClientsError, proxy, redaction};

/// From the kubeconfig; if none was asked for and none can be used, from the pod's own account.
pub async fn config(access: Access<'_>) -> Result<Config, ClientsError> {
    let Access { kubeconfig: file, context } = access;
    match of_file(file, context).await {
        Err(kubeconfig) if file.is_none() && context.is_none() => Config::incluster()
            .map_err(|in_cluster| ClientsError::Nowhere { kubeconfig: Box::new(kubeconfig), in_cluster }),
        result => result,
    }
}

async fn of_file(file: Option<&Path>, context: Option<&str>) -> Result<Config, ClientsError> {
    let (kubeconfig, file) = read(file)?;
    let wrong = |why: String| ClientsError::Kubeconfig { file: file.clone(), why };
    let cluster = cluster(&kubeconfig, context).cloned().unwrap_or_default();
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    let made = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let mut config = made.map_err(|error| match error {
        KubeconfigError::ParseProxyUrl(_) if cluster.proxy_url.is_none() => {
            ClientsError::Proxy(proxy::wrong("HTTPS_PROXY"))
        }
        KubeconfigError::ParseNoProxy(_) => ClientsError::Proxy(proxy::NO_PROXY.to_owned()),
        error => wrong(redaction::of_kubeconfig(&error)),
    })?;
    check(&config).map_err(|why| wrong(why.to_owned()))?;
    // kube reads the file once, and only what it is told to read again: an authority may be replaced while this runs.
    let is_a_file = cluster.certificate_authority_data.is_none() && !config.accept_invalid_certs;
    config.root_cert_file = cluster.certificate_authority.filter(|_| is_a_file).map(PathBuf::from);
    // kube holds NO_PROXY against the proxy's name, and sends what stays on this machine through the proxy.
    config.proxy_url = match cluster.proxy_url.filter(|url| !url.is_empty()) {
        Some(url) => Some(proxy::read(&url).ok_or_else(|| wrong(proxy::wrong("proxy-url")))?),
        None => proxy::of_environment(&config.cluster_url, |name| std::env::var(name).ok())?,
    };
    if let Some(proxy) = &config.proxy_url {
        let (host, port) = (proxy.host().unwrap_or_default(), proxy.port_u16());
        tracing::info!(host, port, "the API server is reached through a proxy");
    }
    Ok(config)
}

/// What the files say together, and the file to name when that is wrong.
fn read(file: Option<&Path>) -> Result<(Kubeconfig, PathBuf), ClientsError> {
    let files = file.map_or_else(usual_files, |file| vec![file.to_owned()]);
    let first = files.first().cloned().ok_or(ClientsError::NoFile)?;
    let mut merged = Kubeconfig::default();
    for file in files {
        let read = Kubeconfig::read_from(&file).and_then(|read| merged.merge(read));
        merged = read.map_err(|error| ClientsError::Kubeconfig { file, why: redaction::of_kubeconfig(&error) })?;
    }
    Ok((merged, first))
}

fn usual_files() -> Vec<PathBuf> {
    let named = std::env::var_os("KUBECONFIG").unwrap_or_default();
    let named: Vec<_> = std::env::split_paths(&named).filter(|path| !path.as_os_str().is_empty()).collect();
    if named.is_empty() {
        std::env::home_dir().map(|home| home.join(".kube").join("config")).into_iter().collect()
    } else {
        named
    }
}

fn cluster<'a>(kubeconfig: &'a Kubeconfig, context: Option<&str>) -> Option<&'a Cluster> {
    let name = context.or(kubeconfig.current_context.as_deref())?;
    let context = kubeconfig.contexts.iter().find(|named| named.name == name)?.context.as_ref()?;
    kubeconfig.clusters.iter().find(|named| named.name == context.cluster)?.cluster.as_ref()
}

/// What kube would show or panic over.
fn check(config: &Config) -> Result<(), &'static str> {
    if config.cluster_url.authority().is_none_or(|authority| authority.as_str().contains('@')) {
        return Err(
            "server must be https://HOST:PORT; a login belongs into username and password of the user, not into the URL",
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
