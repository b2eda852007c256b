//! The kubeconfig, as kubectl reads it: which file, which cluster, and the settings that kube ignores. Messages for its
//! errors name the place but not the content: kube's own messages quote lines, URLs and the output of credential plugins.
//! Opens no connection.

use std::path::{Path, PathBuf};

use http::header::HeaderValue;
use kube::{
    Config, Error,
    client::AuthError,
    config::{Cluster, KubeConfigOptions, Kubeconfig, KubeconfigError, LoadDataError},
};
use secrecy::ExposeSecret;

use super::proxy;

/// From the kubeconfig; if none is requested and none can be used, from the pod's ServiceAccount.
pub async fn config(file: Option<&Path>, context: Option<&str>) -> Result<Config, String> {
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
    let kubeconfig = read.map_err(|error| invalid(&of_kubeconfig(&error)))?;
    let cluster = cluster(&kubeconfig, context).cloned().unwrap_or_default();
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    let made = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let mut config = made.map_err(|error| match error {
        KubeconfigError::ParseProxyUrl(_) if cluster.proxy_url.is_none() => proxy::invalid("HTTPS_PROXY"),
        KubeconfigError::ParseNoProxy(_) => proxy::NO_PROXY.to_owned(),
        error => invalid(&of_kubeconfig(&error)),
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
    if token.into_iter().chain(provider.map(String::as_str)).all(fits) { Ok(()) } else { Err(TOKEN) }
}

/// A token that no request can carry.
pub const TOKEN: &str =
    "the token of its user holds a line break or another character that no header can hold. Write it on one line";

/// The message where nothing more specific is known to be free of secrets.
pub const UNUSABLE: &str = "its configuration cannot be used";

/// What is wrong with a kubeconfig.
fn of_kubeconfig(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::FindPath => "there is no home directory, and KUBECONFIG is not set".to_owned(),
        KubeconfigError::ReadConfig(error, file) => format!("{} cannot be read: {error}", file.display()),
        KubeconfigError::Parse(error) => match error.location() {
            Some(at) => format!("line {}, column {}: it is not the YAML of a kubeconfig", at.line(), at.column()),
            None => "it is not the YAML of a kubeconfig".to_owned(),
        },
        KubeconfigError::CurrentContextNotSet
        | KubeconfigError::LoadContext(_)
        | KubeconfigError::LoadClusterOfContext(_) => {
            "it has no such context (--context, or its current-context), or not the cluster that the context names"
                .to_owned()
        }
        KubeconfigError::MissingClusterUrl | KubeconfigError::ParseClusterUrl(_) => {
            "the server of its cluster is not a URL such as https://HOST:PORT".to_owned()
        }
        KubeconfigError::ParseProxyUrl(_) => proxy::invalid("proxy-url"),
        KubeconfigError::LoadCertificateAuthority(error) => of_data("certificate-authority", error),
        KubeconfigError::ParseCertificates(_) => "certificate-authority holds no certificates as PEM".to_owned(),
        KubeconfigError::LoadClientCertificate(error) => of_data("client-certificate", error),
        KubeconfigError::LoadClientKey(error) => of_data("client-key", error),
        _ => UNUSABLE.to_owned(),
    }
}

fn of_data(field: &str, error: &LoadDataError) -> String {
    match error {
        LoadDataError::DecodeBase64(_) => format!("{field}-data is not base64"),
        LoadDataError::ReadFile(error, file) => format!("{field} {}: {error}", file.display()),
        LoadDataError::NoBase64DataOrFile => format!("{field} is empty"),
    }
}

/// Why there is no client.
pub fn of_client(error: &Error) -> String {
    match error {
        Error::Auth(error) => of_credentials(error),
        Error::InferKubeconfig(error) => of_kubeconfig(error),
        Error::RustlsTls(_) => {
            "its tls-server-name must be a name, certificate-authority, client-certificate and client-key must be PEM, and the last two belong together".to_owned()
        }
        _ => UNUSABLE.to_owned(),
    }
}

/// Why there is no token.
pub fn of_credentials(error: &AuthError) -> String {
    match error {
        AuthError::InvalidBearerToken(_) => TOKEN.to_owned(),
        AuthError::ReadTokenFile(error, file) => format!("the tokenFile {}: {error}", file.display()),
        AuthError::AuthExecStart(error) => format!("the credential plugin of its user cannot be started: {error}"),
        AuthError::AuthExecRun { out, .. } => format!(
            "the credential plugin of its user failed ({}). What it printed is not shown, since that may be a token",
            out.status
        ),
        AuthError::AuthExecParse(_) | AuthError::ExecPluginFailed | AuthError::MalformedTokenExpirationDate(_) => {
            "the credential plugin of its user gave no ExecCredential that can be used".to_owned()
        }
        _ => "the credentials of its user cannot be used".to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
