//! Flags and their environment variables. Every flag states its unit, range and default; an invalid value is reported
//! in one sentence before anything starts. Opens no connection.
#![allow(rustdoc::bare_urls, reason = "these texts are the help of the command line")]

mod values;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use url::Url;

use self::values::{between, endpoint, rate};
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
#[allow(clippy::struct_excessive_bools, reason = "each is a separate switch on the command line")]
pub struct Run {
    /// Kubeconfig file; without it KUBECONFIG or ~/.kube/config, else the pod's own ServiceAccount. With a
    /// kubeconfig, its proxy-url, HTTPS_PROXY and NO_PROXY apply to the API server, as for kubectl.
    #[arg(long, value_name = "FILE", env = "DWS_OPERATOR_KUBECONFIG", help_heading = "Kubernetes")]
    pub kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig; by default its current context.
    #[arg(long, value_name = "NAME", env = "DWS_OPERATOR_CONTEXT", help_heading = "Kubernetes")]
    pub context: Option<String>,

    /// Namespace to watch; may be repeated. All namespaces by default. Two installations in one cluster need disjoint
    /// namespaces or selectors.
    #[arg(
        long = "namespace",
        value_name = "NAMESPACE",
        env = "DWS_OPERATOR_NAMESPACES",
        value_delimiter = ',',
        help_heading = "Kubernetes"
    )]
    pub namespaces: Vec<String>,

    /// Label selector of the objects to watch, for example team=warehouse. All objects by default.
    #[arg(long, value_name = "SELECTOR", env = "DWS_OPERATOR_SELECTOR", help_heading = "Kubernetes")]
    pub selector: Option<String>,

    /// Identity written into attempt.holder, for people; by default the name of the host (in a pod, of the
    /// pod).
    #[arg(long, value_name = "NAME", env = "DWS_OPERATOR_HOLDER", help_heading = "Kubernetes")]
    pub holder: Option<String>,

    /// Use a Lease to decide which of several controllers is active. For orderly operation and quick failover;
    /// the guarantee does not depend on it.
    #[arg(long, env = "DWS_OPERATOR_LEADER_ELECTION", help_heading = "Kubernetes")]
    pub leader_election: bool,

    /// Name of the Lease.
    #[arg(
        long,
        value_name = "NAME",
        env = "DWS_OPERATOR_LEASE_NAME",
        default_value = "redistribution-operator",
        help_heading = "Kubernetes"
    )]
    pub lease_name: String,

    /// Namespace of the Lease; by default the pod's own, or that of the kubeconfig's context.
    #[arg(long, value_name = "NAMESPACE", env = "DWS_OPERATOR_LEASE_NAMESPACE", help_heading = "Kubernetes")]
    pub lease_namespace: Option<String>,

    /// How long a holder keeps a Lease that it does not renew, 5s to 5m. Another controller takes over after
    /// that time, or within two fifteenths of it if the holder released the Lease.
    #[arg(long, value_name = "DURATION", env = "DWS_OPERATOR_LEASE_DURATION", default_value = "15s", value_parser = between::<5, 300>, help_heading = "Kubernetes")]
    pub lease_duration: Duration,

    /// Region of objects that name none, for example cn-north-4. Without it, such objects are held.
    #[arg(long, value_name = "REGION", env = "DWS_OPERATOR_REGION", help_heading = "Cloud")]
    pub region: Option<String>,

    /// Further region that objects may name; may be repeated. Only the default region, these, and those with an
    /// --endpoint are allowed.
    #[arg(
        long = "allow-region",
        value_name = "REGION",
        env = "DWS_OPERATOR_ALLOWED_REGIONS",
        value_delimiter = ',',
        help_heading = "Cloud"
    )]
    pub allowed_regions: Vec<String>,

    /// Endpoint of a region instead of the built-in one; may be repeated. https, or http to a loopback address only.
    /// For example my-region=https://dws.example.com.
    #[arg(long = "endpoint", value_name = "REGION=URL", env = "DWS_OPERATOR_ENDPOINTS", value_delimiter = ',', value_parser = endpoint, help_heading = "Cloud")]
    pub endpoints: Vec<(String, Url)>,

    /// IAM of a region instead of the built-in one, for logins with a user name and password from a Secret; may
    /// be repeated. https, or http to a loopback address only. Required for such Secrets if the region has an
    /// --endpoint, and in the regions without a published IAM: af-north-1, ap-southeast-5, cn-north-11,
    /// cn-north-12, cn-south-4, cn-southwest-3, eu-west-101. For example my-region=https://iam.example.com.
    #[arg(long = "iam-endpoint", value_name = "REGION=URL", env = "DWS_OPERATOR_IAM_ENDPOINTS", value_delimiter = ',', value_parser = endpoint, help_heading = "Cloud")]
    pub iam_endpoints: Vec<(String, Url)>,

    /// PEM file with certificate authorities to trust for the cloud, in addition to the system's. Verification
    /// cannot be turned off.
    #[arg(long, value_name = "FILE", env = "DWS_OPERATOR_CA_BUNDLE", help_heading = "Cloud")]
    pub ca_bundle: Option<PathBuf>,

    /// Proxy for the cloud, for example http://proxy.example.com:3128. The usual proxy variables do not apply
    /// to the cloud.
    #[arg(long, value_name = "URL", env = "DWS_OPERATOR_PROXY", hide_env_values = true, help_heading = "Cloud")]
    pub proxy: Option<String>,

    /// Directory with the controller's default credentials (a mounted Secret), in files accessKey, secretKey
    /// and optionally securityToken and expiresAt, or username, password and domainName. Read when needed.
    #[arg(long, value_name = "DIRECTORY", env = "DWS_OPERATOR_DEFAULT_CREDENTIALS_DIR", help_heading = "Credentials")]
    pub default_credentials_dir: Option<PathBuf>,

    /// Namespace whose objects use the default credentials; may be repeated, * for all. None by default:
    /// everyone who may create the resource in such a namespace uses these credentials.
    #[arg(
        long = "default-credentials-namespace",
        value_name = "NAMESPACE",
        env = "DWS_OPERATOR_DEFAULT_CREDENTIALS_NAMESPACES",
        value_delimiter = ',',
        help_heading = "Credentials"
    )]
    pub default_credentials_namespaces: Vec<String>,

    /// Hold objects without the annotation dws.huaweicloud.com/not-after.
    #[arg(long, env = "DWS_OPERATOR_REQUIRE_NOT_AFTER", help_heading = "Guards")]
    pub require_not_after: bool,

    /// Hold a spec that the same object has already requested, as a rollback with Helm or Git restores it.
    #[arg(long, env = "DWS_OPERATOR_HOLD_REVERTS", help_heading = "Guards")]
    pub hold_reverts: bool,

    /// Read the cluster before a call, which needs the permission dws:openAPICluster:getDetail: `off`, `warn`
    /// (call anyway) or `require` (hold until the cluster waits for a redistribution).
    #[arg(
        long,
        value_name = "MODE",
        env = "DWS_OPERATOR_CHECK_CLUSTER",
        default_value = "off",
        hide_possible_values = true,
        help_heading = "Guards"
    )]
    pub check_cluster: Mode,

    /// How often to read a cluster again that does not wait for its redistribution yet, 1s to 1h.
    #[arg(long, value_name = "DURATION", env = "DWS_OPERATOR_CHECK_EVERY", default_value = "60s", value_parser = between::<1, 3600>, help_heading = "Guards")]
    pub check_every: Duration,

    /// Read the redistribution after its call: its progress, and whether it began if no answer came. Needs the
    /// permissions to read the cluster and its redistribution (dws:openAPICluster:getDetail,
    /// dws:redistributionInfo:list).
    #[arg(long, env = "DWS_OPERATOR_OBSERVE", help_heading = "Observation of the cloud")]
    pub observe: bool,

    /// How often to read a redistribution that progresses, 1s to 1h. One that has stopped is read less often, a
    /// finished one never.
    #[arg(long, value_name = "DURATION", env = "DWS_OPERATOR_OBSERVE_EVERY", default_value = "60s", value_parser = between::<1, 3600>, help_heading = "Observation of the cloud")]
    pub observe_every: Duration,

    /// How long to wait for a redistribution to appear if its call got no answer, 1s to 1h. After that the
    /// outcome stays unknown.
    #[arg(long, value_name = "DURATION", env = "DWS_OPERATOR_SETTLE_TIME", default_value = "10m", value_parser = between::<1, 3600>, help_heading = "Observation of the cloud")]
    pub settle_time: Duration,

    /// Requests per second and key, reads included, by turns of the namespaces that use it; 0 for no rate limit.
    #[arg(long, value_name = "NUMBER", env = "DWS_OPERATOR_RATE_LIMIT", default_value_t = 5.0, value_parser = rate, help_heading = "Rate and time limits")]
    pub rate_limit: f64,

    /// Calls prepared or in flight at once, 1 to 100. One namespace never takes more than a quarter of them and one.
    #[arg(long, value_name = "NUMBER", env = "DWS_OPERATOR_CONCURRENCY", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=100), help_heading = "Rate and time limits")]
    pub concurrency: u16,

    /// Time from the start of the claim within which the request must be sent, 1s to 30s. Later it is not sent.
    #[arg(long, value_name = "DURATION", env = "DWS_OPERATOR_SEND_BUDGET", default_value = "5s", value_parser = between::<1, {MAX_SEND_BUDGET.as_secs()}>, help_heading = "Rate and time limits")]
    pub send_budget: Duration,

    /// Longest wait for the cloud's answer, connecting included, 2s to 5m.
    #[arg(long, value_name = "DURATION", env = "DWS_OPERATOR_REQUEST_TIMEOUT", default_value = "60s", value_parser = between::<2, {MAX_REQUEST_TIMEOUT.as_secs()}>, help_heading = "Rate and time limits")]
    pub request_timeout: Duration,

    /// Longest wait for a connection to the cloud, TLS included, 1s to 30s; at most half the request timeout is
    /// used. All addresses of a name share it; DNS has a separate limit of 20 s.
    #[arg(long, value_name = "DURATION", env = "DWS_OPERATOR_CONNECT_TIMEOUT", default_value = "5s", value_parser = between::<1, 30>, help_heading = "Rate and time limits")]
    pub connect_timeout: Duration,

    /// Added to send budget and request timeout before an unfinished claim expires as unknown, 2s to 60s.
    #[arg(long, value_name = "DURATION", env = "DWS_OPERATOR_GRACE_MARGIN", default_value = "10s", value_parser = between::<2, {MAX_GRACE_MARGIN.as_secs()}>, help_heading = "Rate and time limits")]
    pub grace_margin: Duration,

    /// Address of /livez, /readyz and /metrics; port 0 takes a free one, which is logged. By default port 8080 on all
    /// addresses, IPv6 and IPv4.
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "DWS_OPERATOR_LISTEN",
        default_value = "[::]:8080",
        help_heading = "Observation"
    )]
    pub listen: SocketAddr,

    /// How long the watch may be silent, while the API server answers, before /livez fails, 10s to 1h. An
    /// unavailable API server never makes it fail.
    #[arg(long, value_name = "DURATION", env = "DWS_OPERATOR_STALE_AFTER", default_value = "5m", value_parser = between::<10, 3600>, help_heading = "Observation")]
    pub stale_after: Duration,

    /// How often all objects are listed again, 5s to 1d: this finds changes that a watch has lost.
    #[arg(long, value_name = "DURATION", env = "DWS_OPERATOR_RELIST_EVERY", default_value = "1h", value_parser = between::<5, 86400>, help_heading = "Observation")]
    pub relist_every: Duration,

    /// Format of the log lines: `json` (one JSON object per line) or `text` (for people).
    #[arg(
        long,
        value_name = "FORM",
        env = "DWS_OPERATOR_LOG_FORMAT",
        default_value = "json",
        hide_possible_values = true,
        help_heading = "Observation"
    )]
    pub log_format: LogFormat,

    /// Level or filter, for example debug or info,kube=debug.
    #[arg(
        long,
        value_name = "FILTER",
        env = "DWS_OPERATOR_LOG_LEVEL",
        default_value = "info",
        help_heading = "Observation"
    )]
    pub log_level: String,
}

impl Run {
    /// How long a process waits before it lets another one's claim expire: its request can no longer be in flight then.
    pub fn grace(&self) -> Duration {
        self.send_budget + self.request_timeout + self.grace_margin
    }

    /// After how many seconds the API server ends a watch, which is then opened again. kube-runtime abandons a silent
    /// watch 5 s later: within a minute, before proxies and load balancers commonly end a silent connection (240 s and
    /// more), and with at least a third of `--stale-after` left for the new watch, so that on a slow machine the
    /// watchdog does not declare the watch dead while it is being reopened.
    pub fn watch_seconds(&self) -> u32 {
        let third = self.stale_after.saturating_sub(IDLE_TIMEOUT_MARGIN) / 3;
        u32::try_from(third.as_secs()).unwrap_or(u32::MAX).clamp(1, 50)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
