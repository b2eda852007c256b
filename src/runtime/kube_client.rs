//! How the API server is reached: the kubeconfig, as kubectl reads it, or the pod's ServiceAccount, and the client. Messages
//! name the place in a kubeconfig but not the content: kube's own quote lines, URLs and the output of credential plugins.
//! Sends no request.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use futures::StreamExt;
use http::{Request, Response, StatusCode, Uri, header::HeaderValue};
use http_body_util::{BodyStream, Either, Limited, StreamBody};
use hyper::body::{Body as HttpBody, Bytes, Frame};
use hyper_util::client::proxy::matcher::Matcher;
use kube::{
    Client, Config, Error,
    client::{AuthError, Body, ClientBuilder},
    config::{Cluster, KubeConfigOptions, Kubeconfig, KubeconfigError, LoadDataError},
};
use secrecy::ExposeSecret;
use tower::BoxError;
use url::Url;

use crate::runtime::metrics::Metrics;

/// Longest wait for a connection to the API server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest silence of an answer. Above the 55 s after which kube-runtime ends a silent watch, so that only a request that
/// opens a watch or a list can meet it; all others have shorter limits of their own.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest answer, and longest event of a watch, in bytes. No object comes near: etcd takes requests of 1.5 MiB.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// The client, or why there is none; that text never quotes a kubeconfig, which may hold a token or a password.
///
/// Without a kubeconfig and a context, the pod's ServiceAccount is used if there is no usable kubeconfig. The client never
/// repeats a request by itself: a repeated PUT of a claim would conflict with its own first application, and the
/// watches have a back-off of their own.
pub async fn client(kubeconfig: Option<&Path>, context: Option<&str>, metrics: &Metrics) -> Result<Client, String> {
    let mut config = settings(kubeconfig, context).await?;
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
            let is_watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
            let answer = inner.send(request).await.map_err(without_output);
            let status = answer.as_ref().map(Response::status).ok();
            metrics.api_request(status.as_ref().map_or("<error>", StatusCode::as_str), &method, &host);
            answer.map(|answer| limited(answer, is_watch))
        }
    });
    Ok(Client::new(service, namespace))
}

/// The answer with an error in place of what is too long. A watch has no end; each of its events is one line.
fn limited(answer: Response<Body>, is_watch: bool) -> Response<impl HttpBody<Data = Bytes, Error = BoxError>> {
    let mut line = 0;
    let by_line = move |frame: Result<Frame<Bytes>, Error>| {
        let frame = frame?;
        let data = frame.data_ref().map(Bytes::as_ref).unwrap_or_default();
        line = match data.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => data.len() - end - 1,
            None => line + data.len(),
        };
        if line > MAX_ANSWER { Err(BoxError::from("an event of a watch is too long")) } else { Ok(frame) }
    };
    answer.map(|body| {
        if is_watch {
            Either::Right(StreamBody::new(BodyStream::new(body).map(by_line)))
        } else {
            Either::Left(Limited::new(body, MAX_ANSWER))
        }
    })
}

fn unusable(why: &str) -> String {
    format!("no client of the Kubernetes API server can be made: {why}")
}

fn build(config: Config) -> Result<Client, String> {
    // kube panics on a plugin's token that is no valid header value and does not expire; only kube sees that token.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|panic| {
        let is_token = panic.payload().downcast_ref::<String>().is_some_and(|text| text.contains("not valid header"));
        let why = if is_token { TOKEN } else { UNUSABLE };
        eprintln!("redistribution-operator: {}", unusable(why));
        std::process::exit(2);
    }));
    let built = ClientBuilder::try_from(config);
    std::panic::set_hook(hook);
    built.map(ClientBuilder::build).map_err(|error| unusable(&of_client(&error)))
}

/// The error without the output of a credential plugin that was asked for a new token.
fn without_output(error: Error) -> Error {
    let of_plugin = match &error {
        Error::Auth(error) => Some(of_credentials(error)),
        Error::Service(source) => source.downcast_ref::<AuthError>().map(of_credentials),
        _ => None,
    };
    of_plugin.map_or(error, |text| Error::Service(text.into()))
}

/// From the kubeconfig; if none is requested and none can be used, from the pod's ServiceAccount.
async fn settings(file: Option<&Path>, context: Option<&str>) -> Result<Config, String> {
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
    let files = file.map_or_else(default_files, |file| vec![file.to_owned()]);
    let of = |file: &Path, why: &str| {
        format!("kubeconfig {} (--kubeconfig, KUBECONFIG or ~/.kube/config): {why}", file.display())
    };
    let first = files.first().ok_or("there is no home directory, and KUBECONFIG is not set")?;
    let invalid = |why: &str| of(first, why);
    let mut kubeconfig = Kubeconfig::default();
    for file in &files {
        let read = Kubeconfig::read_from(file).and_then(|read| kubeconfig.merge(read));
        kubeconfig = read.map_err(|error| of(file, &of_kubeconfig(&error)))?;
    }
    let cluster = cluster(&kubeconfig, context).cloned().unwrap_or_default();
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    let made = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let mut config = made.map_err(|error| match error {
        KubeconfigError::ParseProxyUrl(_) if cluster.proxy_url.is_none() => invalid_proxy("HTTPS_PROXY"),
        KubeconfigError::ParseNoProxy(_) => INVALID_NO_PROXY.to_owned(),
        error => invalid(&of_kubeconfig(&error)),
    })?;
    check(&config).map_err(invalid)?;
    // kube reads the authority once unless it gets the file's name: the authority may be replaced while this runs.
    let is_a_file = cluster.certificate_authority_data.is_none() && !config.accept_invalid_certs;
    config.root_cert_file = cluster.certificate_authority.filter(|_| is_a_file).map(PathBuf::from);
    // kube compares NO_PROXY with the proxy's name, and sends requests to this machine through the proxy.
    config.proxy_url = match cluster.proxy_url.filter(|url| !url.is_empty()) {
        Some(url) => Some(parse_proxy(&url).ok_or_else(|| invalid(&invalid_proxy("proxy-url")))?),
        None => proxy_of_environment(&config.cluster_url, |name| std::env::var(name).ok())?,
    };
    if let Some(proxy) = &config.proxy_url {
        let (host, port) = (proxy.host().unwrap_or_default(), proxy.port_u16());
        tracing::info!(host, port, "the API server is reached through a proxy");
    }
    Ok(config)
}

/// The files that kubectl reads without `--kubeconfig`.
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
    if token.into_iter().chain(provider.map(String::as_str)).all(fits) { Ok(()) } else { Err(TOKEN) }
}

const TOKEN: &str =
    "the token of its user holds a line break or another character that no header can hold. Write it on one line";

/// The message where nothing more specific is known to be free of secrets.
const UNUSABLE: &str = "its configuration cannot be used";

fn of_kubeconfig(error: &KubeconfigError) -> String {
    let of_data = |field: &str, error: &LoadDataError| match error {
        LoadDataError::DecodeBase64(_) => format!("{field}-data is not base64"),
        LoadDataError::ReadFile(error, file) => format!("{field} {}: {error}", file.display()),
        LoadDataError::NoBase64DataOrFile => format!("{field} is empty"),
    };
    match error {
        KubeconfigError::Parse(error) => match error.location() {
            Some(at) => format!("line {}, column {}: it is not the YAML of a kubeconfig", at.line(), at.column()),
            None => "it is not the YAML of a kubeconfig".to_owned(),
        },
        KubeconfigError::ParseProxyUrl(_) => invalid_proxy("proxy-url"),
        KubeconfigError::LoadCertificateAuthority(error) => of_data("certificate-authority", error),
        KubeconfigError::ParseCertificates(_) => "certificate-authority holds no certificates as PEM".to_owned(),
        KubeconfigError::LoadClientCertificate(error) => of_data("client-certificate", error),
        KubeconfigError::LoadClientKey(error) => of_data("client-key", error),
        // These quote names and files only.
        KubeconfigError::ReadConfig(..)
        | KubeconfigError::CurrentContextNotSet
        | KubeconfigError::LoadContext(_)
        | KubeconfigError::LoadClusterOfContext(_)
        | KubeconfigError::MissingClusterUrl
        | KubeconfigError::ParseClusterUrl(_) => error.to_string(),
        _ => UNUSABLE.to_owned(),
    }
}

fn of_client(error: &Error) -> String {
    match error {
        Error::Auth(error) => of_credentials(error),
        Error::InferKubeconfig(error) => of_kubeconfig(error),
        Error::RustlsTls(_) => {
            "its tls-server-name must be a name, certificate-authority, client-certificate and client-key must be PEM, and the last two belong together".to_owned()
        }
        _ => UNUSABLE.to_owned(),
    }
}

fn of_credentials(error: &AuthError) -> String {
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

/// An invalid NO_PROXY: kube rejects it as a whole if one part is invalid.
const INVALID_NO_PROXY: &str =
    "NO_PROXY cannot be read: it must be *, or names and addresses with one comma between two of them";

const PROXY_SCHEMES: [&str; 3] = ["http", "https", "socks5"];

/// The message for an invalid proxy in this setting, without any of its text.
fn invalid_proxy(setting: &str) -> String {
    format!(
        "{setting} must be http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT; http and https may have a login, as http://USER:PASSWORD@HOST:PORT with %40 for @ and %2F for /"
    )
}

/// Parses the URL of a proxy; without a scheme it is http.
fn parse_proxy(text: &str) -> Option<Uri> {
    let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    // `Url` is stricter than `Uri`, which reads a port that is no number as no port.
    Url::parse(&text).ok()?;
    let url: Uri = text.parse().ok()?;
    let scheme = url.scheme_str().filter(|scheme| PROXY_SCHEMES.contains(scheme))?;
    // kube would not send the login of a socks5 proxy.
    let has_login = url.authority().is_some_and(|authority| authority.as_str().contains('@'));
    let is_complete = url.host().is_some_and(|host| !host.is_empty()) && !(has_login && scheme == "socks5");
    is_complete.then_some(url)
}

/// The proxy of the API server from the environment, by kubectl's rules (for the cloud only `--proxy` applies):
/// `HTTPS_PROXY`, or `HTTP_PROXY` for a server without TLS, unless `NO_PROXY` names the server or it is on this machine.
fn proxy_of_environment(server: &Uri, variable: impl Fn(&str) -> Option<String>) -> Result<Option<Uri>, String> {
    let either = |upper: &str| {
        let lower = upper.to_ascii_lowercase();
        variable(upper).filter(|text| !text.is_empty()).or_else(|| variable(&lower)).filter(|text| !text.is_empty())
    };
    let name = if server.scheme_str() == Some("http") { "HTTP_PROXY" } else { "HTTPS_PROXY" };
    let Some(text) = either(name).filter(|_| !is_local(server)) else { return Ok(None) };
    let proxy = parse_proxy(&text).ok_or_else(|| invalid_proxy(name))?;
    let excepted = excepted(&either("NO_PROXY").unwrap_or_default(), server);
    // The matcher only answers whether a proxy is used, so any proxy serves.
    let anywhere = Matcher::builder().all("http://proxy.invalid").no(excepted).build();
    Ok(anywhere.intercept(server).map(|_| proxy))
}

/// NO_PROXY in the form that the matcher reads: it supports neither ports nor `*.` before a name.
fn excepted(text: &str, server: &Uri) -> String {
    let port = server.port_u16().unwrap_or(if server.scheme_str() == Some("http") { 80 } else { 443 });
    let translated = |entry: &str| -> Option<String> {
        let entry = entry.trim();
        let entry = entry.strip_prefix("*.").map_or_else(|| entry.to_owned(), |domain| format!(".{domain}"));
        match entry.rsplit_once(':') {
            Some((host, entry_port)) if !host.contains(':') || host.ends_with(']') => {
                (entry_port.parse() == Ok(port)).then(|| host.trim_matches(['[', ']']).to_owned())
            }
            _ => Some(entry),
        }
    };
    text.split(',').filter_map(translated).collect::<Vec<_>>().join(",")
}

fn is_local(server: &Uri) -> bool {
    let host = server.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
