//! Flags and their environment variables. Every flag states its unit, range and default; an invalid value is reported
//! in one sentence before anything starts. Opens no connection.
#![allow(rustdoc::bare_urls, reason = "these texts are the help of the command line")]

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use url::Url;

use crate::{
    precheck::Mode,
    protocol::journal::{MAX_GRACE_MARGIN, MAX_REQUEST_TIMEOUT, MAX_SEND_BUDGET},
    runtime::telemetry::LogFormat,
};

/// kube-runtime's `WATCH_IDLE_TIMEOUT_MARGIN`: it abandons a watch this long after the watch should have ended.
const IDLE_TIMEOUT_MARGIN: Duration = Duration::from_secs(5);

/// Kubernetes operator that delivers a GaussDB(DWS) cluster redistribution: one request for each spec generation of a
/// ClusterRedistribution, never repeated because its outcome is not known.
#[derive(Debug, Parser)]
#[command(version, name = "redistribution-operator", max_term_width = 120)]
pub struct Command {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Watch ClusterRedistributions and deliver them, until SIGTERM.
    ///
    /// If a flag is given twice, the last one applies; flags that may be repeated add up. A flag takes precedence over
    /// its environment variable.
    Run(Box<Run>),
    /// Print the CustomResourceDefinition as YAML.
    Crd,
}

/// Flags of `run`.
#[derive(Debug, Args)]
// Users who append flags to a generated command line (`extraArgs` of the chart) must be able to override it.
#[command(args_override_self = true)]
#[allow(missing_docs, reason = "each group describes itself")]
pub struct Run {
    #[command(flatten)]
    pub kubernetes: Kubernetes,
    #[command(flatten)]
    pub cloud: Cloud,
    #[command(flatten)]
    pub credentials: DefaultCredentials,
    #[command(flatten)]
    pub guards: Guards,
    #[command(flatten)]
    pub observation: Observation,
    #[command(flatten)]
    pub limits: Limits,
    #[command(flatten)]
    pub process: Process,
}

/// The API server, the objects to watch, and the election.
#[derive(Debug, Args)]
#[command(next_help_heading = "Kubernetes")]
pub struct Kubernetes {
    /// Kubeconfig file; without it KUBECONFIG or ~/.kube/config, else the pod's own ServiceAccount. With a
    /// kubeconfig, its proxy-url, HTTPS_PROXY and NO_PROXY apply to the API server, as for kubectl.
    #[arg(long, value_name = "FILE", env = "DWS_OPERATOR_KUBECONFIG")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig; by default its current context.
    #[arg(long, value_name = "NAME", env = "DWS_OPERATOR_CONTEXT")]
    pub context: Option<String>,
    /// Namespace to watch; may be repeated. All namespaces by default. Two installations in one cluster need disjoint
    /// namespaces or selectors.
    #[arg(long = "namespace", value_name = "NAMESPACE", env = "DWS_OPERATOR_NAMESPACES", value_delimiter = ',')]
    pub namespaces: Vec<String>,
    /// Label selector of the objects to watch, for example team=warehouse. All objects by default.
    #[arg(long, value_name = "SELECTOR", env = "DWS_OPERATOR_SELECTOR")]
    pub selector: Option<String>,
    /// Identity written into attempt.holder, for people; by default the name of the host (in a pod, of the
    /// pod).
    #[arg(long, value_name = "NAME", env = "DWS_OPERATOR_HOLDER")]
    pub holder: Option<String>,
    /// Use a Lease to decide which of several controllers is active. For orderly operation and quick failover;
    /// the guarantee does not depend on it.
    #[arg(long, env = "DWS_OPERATOR_LEADER_ELECTION")]
    pub leader_election: bool,
    /// Name of the Lease.
    #[arg(long, value_name = "NAME", env = "DWS_OPERATOR_LEASE_NAME", default_value = "redistribution-operator")]
    pub lease_name: String,
    /// Namespace of the Lease; by default the pod's own, or that of the kubeconfig's context.
    #[arg(long, value_name = "NAMESPACE", env = "DWS_OPERATOR_LEASE_NAMESPACE")]
    pub lease_namespace: Option<String>,
    /// How long a holder keeps a Lease that it does not renew, 5s to 5m. Another controller takes over after
    /// that time, or within two fifteenths of it if the holder released the Lease.
    #[arg(long, value_name = "DURATION", env = "DWS_OPERATOR_LEASE_DURATION", default_value = "15s", value_parser = between::<5, 300>)]
    pub lease_duration: Duration,
}

/// Regions, and how the cloud is reached.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cloud")]
pub struct Cloud {
    /// Region of objects that name none, for example cn-north-4. Without it, such objects are held.
    #[arg(long, value_name = "REGION", env = "DWS_OPERATOR_REGION")]
    pub region: Option<String>,
    /// Further region that objects may name; may be repeated. Only the default region, these, and those with an
    /// --endpoint are allowed.
    #[arg(long = "allow-region", value_name = "REGION", env = "DWS_OPERATOR_ALLOWED_REGIONS", value_delimiter = ',')]
    pub allowed_regions: Vec<String>,
    /// Endpoint of a region instead of the built-in one; may be repeated. https, or http to a loopback address only.
    /// For example my-region=https://dws.example.com.
    #[arg(long = "endpoint", value_name = "REGION=URL", env = "DWS_OPERATOR_ENDPOINTS", value_delimiter = ',', value_parser = endpoint)]
    pub endpoints: Vec<(String, Url)>,
    /// IAM of a region instead of the built-in one, for logins with a user name and password from a Secret; may
    /// be repeated. https, or http to a loopback address only. Required for such Secrets if the region has an
    /// --endpoint, and in the regions without a published IAM: af-north-1, ap-southeast-5, cn-north-11,
    /// cn-north-12, cn-south-4, cn-southwest-3, eu-west-101. For example my-region=https://iam.example.com.
    #[arg(long = "iam-endpoint", value_name = "REGION=URL", env = "DWS_OPERATOR_IAM_ENDPOINTS", value_delimiter = ',', value_parser = endpoint)]
    pub iam_endpoints: Vec<(String, Url)>,
    /// PEM file with certificate authorities to trust for the cloud, in addition to the system's. Verification
    /// cannot be turned off.
    #[arg(long, value_name = "FILE", env = "DWS_OPERATOR_CA_BUNDLE")]
    pub ca_bundle: Option<PathBuf>,
    /// Proxy for the cloud, for example http://proxy.example.com:3128. The usual proxy variables do not apply
    /// to the cloud.
    #[arg(long, value_name = "URL", env = "DWS_OPERATOR_PROXY", hide_env_values = true)]
    pub proxy: Option<String>,
}

/// The default credentials.
#[derive(Debug, Args)]
#[command(next_help_heading = "Credentials")]
pub struct DefaultCredentials {
    /// Directory with the controller's default credentials (a mounted Secret), in files accessKey, secretKey
    /// and optionally securityToken and expiresAt, or username, password and domainName. Read when needed.
    #[arg(long, value_name = "DIRECTORY", env = "DWS_OPERATOR_DEFAULT_CREDENTIALS_DIR")]
    pub default_credentials_dir: Option<PathBuf>,
    /// Namespace whose objects use the default credentials; may be repeated, * for all. None by default:
    /// everyone who may create the resource in such a namespace uses these credentials.
    #[arg(
        long = "default-credentials-namespace",
        value_name = "NAMESPACE",
        env = "DWS_OPERATOR_DEFAULT_CREDENTIALS_NAMESPACES",
        value_delimiter = ','
    )]
    pub default_credentials_namespaces: Vec<String>,
}

/// What holds an object.
#[derive(Debug, Args)]
#[command(next_help_heading = "Guards")]
pub struct Guards {
    /// Hold objects without the annotation dws.huaweicloud.com/not-after.
    #[arg(long, env = "DWS_OPERATOR_REQUIRE_NOT_AFTER")]
    pub require_not_after: bool,
    /// Hold a spec that the same object has already requested, as a rollback with Helm or Git restores it.
    #[arg(long, env = "DWS_OPERATOR_HOLD_REVERTS")]
    pub hold_reverts: bool,
    /// Read the cluster before a call, which needs the permission dws:openAPICluster:getDetail: `off`, `warn`
    /// (call anyway) or `require` (hold until the cluster waits for a redistribution).
    #[arg(
        long,
        value_name = "MODE",
        env = "DWS_OPERATOR_CHECK_CLUSTER",
        default_value = "off",
        hide_possible_values = true
    )]
    pub check_cluster: Mode,
    /// How often to read a cluster again that does not wait for its redistribution yet, 1s to 1h.
    #[arg(long, value_name = "DURATION", env = "DWS_OPERATOR_CHECK_EVERY", default_value = "60s", value_parser = between::<1, 3600>)]
    pub check_every: Duration,
}

/// Reads of the cloud after a call.
#[derive(Debug, Args)]
#[command(next_help_heading = "Observation of the cloud")]
pub struct Observation {
    /// Read the redistribution after its call: its progress, and whether it began if no answer came. Needs the
    /// permissions to read the cluster and its redistribution (dws:openAPICluster:getDetail,
    /// dws:redistributionInfo:list).
    #[arg(long, env = "DWS_OPERATOR_OBSERVE")]
    pub observe: bool,
    /// How often to read a redistribution that progresses, 1s to 1h. One that has stopped is read less often, a
    /// finished one never.
    #[arg(long, value_name = "DURATION", env = "DWS_OPERATOR_OBSERVE_EVERY", default_value = "60s", value_parser = between::<1, 3600>)]
    pub observe_every: Duration,
    /// How long to wait for a redistribution to appear if its call got no answer, 1s to 1h. After that the
    /// outcome stays unknown.
    #[arg(long, value_name = "DURATION", env = "DWS_OPERATOR_SETTLE_TIME", default_value = "10m", value_parser = between::<1, 3600>)]
    pub settle_time: Duration,
}

/// Limits of calls.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rate and time limits")]
pub struct Limits {
    /// Requests per second and key, reads included, by turns of the namespaces that use it; 0 for no rate limit.
    #[arg(long, value_name = "NUMBER", env = "DWS_OPERATOR_RATE_LIMIT", default_value_t = 5.0, value_parser = rate)]
    pub rate_limit: f64,
    /// Calls prepared or in flight at once, 1 to 100. One namespace never takes more than a quarter of them and one.
    #[arg(long, value_name = "NUMBER", env = "DWS_OPERATOR_CONCURRENCY", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub concurrency: u16,
    /// Time from the start of the claim within which the request must be sent, 1s to 30s. Later it is not sent.
    #[arg(long, value_name = "DURATION", env = "DWS_OPERATOR_SEND_BUDGET", default_value = "5s", value_parser = between::<1, {MAX_SEND_BUDGET.as_secs()}>)]
    pub send_budget: Duration,
    /// Longest wait for the cloud's answer, connecting included, 2s to 5m.
    #[arg(long, value_name = "DURATION", env = "DWS_OPERATOR_REQUEST_TIMEOUT", default_value = "60s", value_parser = between::<2, {MAX_REQUEST_TIMEOUT.as_secs()}>)]
    pub request_timeout: Duration,
    /// Longest wait for a connection to the cloud, TLS included, 1s to 30s; at most half the request timeout is
    /// used. All addresses of a name share it; DNS has a separate limit of 20 s.
    #[arg(long, value_name = "DURATION", env = "DWS_OPERATOR_CONNECT_TIMEOUT", default_value = "5s", value_parser = between::<1, 30>)]
    pub connect_timeout: Duration,
    /// Added to send budget and request timeout before an unfinished claim expires as unknown, 2s to 60s.
    #[arg(long, value_name = "DURATION", env = "DWS_OPERATOR_GRACE_MARGIN", default_value = "10s", value_parser = between::<2, {MAX_GRACE_MARGIN.as_secs()}>)]
    pub grace_margin: Duration,
}

/// Pages, watch and log of the process.
#[derive(Debug, Args)]
#[command(next_help_heading = "Observation")]
pub struct Process {
    /// Address of /livez, /readyz and /metrics; port 0 takes a free one, which is logged. By default port 8080 on all
    /// addresses, IPv6 and IPv4.
    #[arg(long, value_name = "ADDRESS", env = "DWS_OPERATOR_LISTEN", default_value = "[::]:8080")]
    pub listen: SocketAddr,
    /// How long the watch may be silent, while the API server answers, before /livez fails, 10s to 1h. An
    /// unavailable API server never makes it fail.
    #[arg(long, value_name = "DURATION", env = "DWS_OPERATOR_STALE_AFTER", default_value = "5m", value_parser = between::<10, 3600>)]
    pub stale_after: Duration,
    /// How often all objects are listed again, 5s to 1d: this finds changes that a watch has lost.
    #[arg(long, value_name = "DURATION", env = "DWS_OPERATOR_RELIST_EVERY", default_value = "1h", value_parser = between::<5, 86400>)]
    pub relist_every: Duration,
    /// Format of the log lines: `json` (one JSON object per line) or `text` (for people).
    #[arg(
        long,
        value_name = "FORM",
        env = "DWS_OPERATOR_LOG_FORMAT",
        default_value = "json",
        hide_possible_values = true
    )]
    pub log_format: LogFormat,
    /// Level or filter, for example debug or info,kube=debug.
    #[arg(long, value_name = "FILTER", env = "DWS_OPERATOR_LOG_LEVEL", default_value = "info")]
    pub log_level: String,
}

impl Limits {
    /// How long a process waits before it lets another one's claim expire: its request can no longer be in flight then.
    pub fn grace(&self) -> Duration {
        self.send_budget + self.request_timeout + self.grace_margin
    }
}

impl Process {
    /// After how many seconds the API server ends a watch, which is then opened again. kube-runtime abandons a silent
    /// watch 5 s later: within a minute, before proxies and load balancers commonly end a silent connection (240 s and
    /// more), and with at least a third of `--stale-after` left for the new watch, so that on a slow machine the
    /// watchdog does not declare the watch dead while it is being reopened.
    pub fn watch_seconds(&self) -> u32 {
        let third = self.stale_after.saturating_sub(IDLE_TIMEOUT_MARGIN) / 3;
        u32::try_from(third.as_secs()).unwrap_or(u32::MAX).clamp(1, 50)
    }
}

/// Parses REGION=URL.
fn endpoint(text: &str) -> Result<(String, Url), String> {
    let (region, url) =
        text.split_once('=').ok_or("expected REGION=URL, for example my-region=https://dws.example.com")?;
    if region.is_empty() {
        return Err("the region before the = is empty".to_owned());
    }
    let url = Url::parse(url).map_err(|error| format!("{url:?} is not a URL: {error}"))?;
    Ok((region.to_owned(), url))
}

/// Parses calls per second, 0 to 1000.
fn rate(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|rate| (0.0..=1000.0).contains(rate))
        .ok_or_else(|| "expected a number from 0 (no rate limit) to 1000".to_owned())
}

/// Parses a duration of MIN to MAX seconds.
fn between<const MIN: u64, const MAX: u64>(text: &str) -> Result<Duration, String> {
    let duration =
        humantime::parse_duration(text).map_err(|error| format!("not a duration such as 5s or 1m: {error}"))?;
    if (Duration::from_secs(MIN)..=Duration::from_secs(MAX)).contains(&duration) {
        Ok(duration)
    } else {
        Err(format!("must be from {MIN}s to {MAX}s"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
