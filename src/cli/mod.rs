//! Flags and their environment twins. Every flag says its unit, its range and its default; what is wrong is said in
//! one sentence before anything starts. It opens no connection.
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

/// kube-runtime's `WATCH_IDLE_TIMEOUT_MARGIN`: a watch that should have been ended so long ago is given up.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(5);

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
    /// Of a flag that is given twice the last one holds, and those that may be repeated add up. A flag that is given
    /// outweighs its environment twin.
    Run(Box<Run>),
    /// Print the CustomResourceDefinition as YAML.
    Crd,
}

/// Flags of `run`.
#[derive(Debug, Args)]
// Whoever adds flags to a line that is made for them (`extraArgs` of the chart) must be able to change what it says.
#[command(args_override_self = true)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own on the command line")]
pub struct Run {
    /// Kubeconfig file; without it KUBECONFIG or ~/.kube/config, else the pod's own ServiceAccount. With a kubeconfig its
    /// proxy-url, HTTPS_PROXY and NO_PROXY hold for the API server, as for kubectl.
    #[arg(long, value_name = "FILE", env = "DWS_OPERATOR_KUBECONFIG", help_heading = "Kubernetes")]
    pub kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig; its current one by default.
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

    /// Name written into attempt.holder, for people; the host's name by default (in a pod, the pod's).
    #[arg(long, value_name = "NAME", env = "DWS_OPERATOR_HOLDER", help_heading = "Kubernetes")]
    pub holder: Option<String>,

    /// Let several controllers agree by a Lease which of them works. For tidiness and quick failover; the law does not rest
    /// on it.
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

    /// Namespace of the Lease; the pod's own, or that of the kubeconfig's context, by default.
    #[arg(long, value_name = "NAMESPACE", env = "DWS_OPERATOR_LEASE_NAMESPACE", help_heading = "Kubernetes")]
    pub lease_namespace: Option<String>,

    /// How long a lease that is not renewed stays its holder's, 5s to 5m. Another controller takes over after that, and
    /// within two fifteenths of it when the lease was given back.
    #[arg(long, value_name = "DURATION", env = "DWS_OPERATOR_LEASE_DURATION", default_value = "15s", value_parser = between::<5, 300>, help_heading = "Kubernetes")]
    pub lease_duration: Duration,

    /// Region of objects that name none, for example cn-north-4. Without it such objects are held.
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

    /// IAM of a region instead of the built-in one, where users log in whose name and password a Secret holds; may be
    /// repeated. https, or http to a loopback address only. Needed for such Secrets where the region has an --endpoint,
    /// and where no IAM of it is published: af-north-1, ap-southeast-5, cn-north-11, cn-north-12, cn-south-4, cn-southwest-3,
    /// eu-west-101. For example my-region=https://iam.example.com.
    #[arg(long = "iam-endpoint", value_name = "REGION=URL", env = "DWS_OPERATOR_IAM_ENDPOINTS", value_delimiter = ',', value_parser = endpoint, help_heading = "Cloud")]
    pub iam_endpoints: Vec<(String, Url)>,

    /// PEM file with further certificate authorities to trust for the cloud, besides the system's. There is no switch
    /// that turns verification off.
    #[arg(long, value_name = "FILE", env = "DWS_OPERATOR_CA_BUNDLE", help_heading = "Cloud")]
    pub ca_bundle: Option<PathBuf>,

    /// Proxy for the cloud, for example http://proxy.example.com:3128. The usual proxy variables are not read for it.
    #[arg(long, value_name = "URL", env = "DWS_OPERATOR_PROXY", hide_env_values = true, help_heading = "Cloud")]
    pub proxy: Option<String>,

    /// Directory with the controller's own credentials, in files accessKey, secretKey and optionally securityToken and
    /// expiresAt, or username, password and domainName (a mounted Secret). Read when needed.
    #[arg(long, value_name = "DIRECTORY", env = "DWS_OPERATOR_DEFAULT_CREDENTIALS_DIR", help_heading = "Credentials")]
    pub default_credentials_dir: Option<PathBuf>,

    /// Namespace whose objects use the controller's own credentials; may be repeated, * for all. None by default:
    /// whoever may create the resource there spends them.
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

    /// Hold a spec that the same object has already asked for, as a Helm or Git roll-back brings back.
    #[arg(long, env = "DWS_OPERATOR_HOLD_REVERTS", help_heading = "Guards")]
    pub hold_reverts: bool,

    /// Look at the cluster before a call, which takes the right to read it (dws:openAPICluster:getDetail): `off`,
    /// `warn` (call all the same) or `require` (hold until it waits for a redistribution).
    #[arg(
        long,
        value_name = "MODE",
        env = "DWS_OPERATOR_CHECK_CLUSTER",
        default_value = "off",
        hide_possible_values = true,
        help_heading = "Guards"
    )]
    pub check_cluster: Mode,

    /// How often a cluster that does not wait for its redistribution yet is looked at again, 1s to 1h.
    #[arg(long, value_name = "DURATION", env = "DWS_OPERATOR_CHECK_EVERY", default_value = "60s", value_parser = between::<1, 3600>, help_heading = "Guards")]
    pub check_every: Duration,

    /// Look at the redistribution after its call: how far it is, and whether it began where no answer came. Takes the
    /// rights to read the cluster and its redistribution (dws:openAPICluster:getDetail, dws:redistributionInfo:list).
    #[arg(long, env = "DWS_OPERATOR_OBSERVE", help_heading = "Observation of the cloud")]
    pub observe: bool,

    /// How often a redistribution that moves is looked at, 1s to 1h. One that stands still is looked at less often, one
    /// that is over never.
    #[arg(long, value_name = "DURATION", env = "DWS_OPERATOR_OBSERVE_EVERY", default_value = "60s", value_parser = between::<1, 3600>, help_heading = "Observation of the cloud")]
    pub observe_every: Duration,

    /// How long a redistribution whose call got no answer may take to show, 1s to 1h. After that it stays unknown.
    #[arg(long, value_name = "DURATION", env = "DWS_OPERATOR_SETTLE_TIME", default_value = "10m", value_parser = between::<1, 3600>, help_heading = "Observation of the cloud")]
    pub settle_time: Duration,

    /// Calls per second and key, in the order in which they were asked for; 0 for no pace.
    #[arg(long, value_name = "NUMBER", env = "DWS_OPERATOR_RATE_LIMIT", default_value_t = 5.0, value_parser = rate, help_heading = "Pace and time")]
    pub rate_limit: f64,

    /// Calls in flight at once, 1 to 100. Never more than one for a DWS cluster.
    #[arg(long, value_name = "NUMBER", env = "DWS_OPERATOR_CONCURRENCY", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=100), help_heading = "Pace and time")]
    pub concurrency: u16,

    /// Time from starting the claim within which the request must be sent, 1s to 30s. Later it is not sent.
    #[arg(long, value_name = "DURATION", env = "DWS_OPERATOR_SEND_BUDGET", default_value = "5s", value_parser = between::<1, {MAX_SEND_BUDGET.as_secs()}>, help_heading = "Pace and time")]
    pub send_budget: Duration,

    /// Longest wait for the cloud's answer, connecting included, 2s to 5m.
    #[arg(long, value_name = "DURATION", env = "DWS_OPERATOR_REQUEST_TIMEOUT", default_value = "60s", value_parser = between::<2, {MAX_REQUEST_TIMEOUT.as_secs()}>, help_heading = "Pace and time")]
    pub request_timeout: Duration,

    /// Longest wait for a connection to the cloud, TLS included, 1s to 30s; at most half the request timeout is used. All
    /// addresses of a name share it; DNS has 20 s of its own.
    #[arg(long, value_name = "DURATION", env = "DWS_OPERATOR_CONNECT_TIMEOUT", default_value = "5s", value_parser = between::<1, 30>, help_heading = "Pace and time")]
    pub connect_timeout: Duration,

    /// Added to send budget and request timeout before a claim that nobody finished is given up as unknown, 2s to 60s.
    #[arg(long, value_name = "DURATION", env = "DWS_OPERATOR_GRACE_MARGIN", default_value = "10s", value_parser = between::<2, {MAX_GRACE_MARGIN.as_secs()}>, help_heading = "Pace and time")]
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

    /// Silence of the watch, while the API server answers, after which /livez fails, 10s to 1h. An API server that is
    /// away never makes it fail.
    #[arg(long, value_name = "DURATION", env = "DWS_OPERATOR_STALE_AFTER", default_value = "5m", value_parser = between::<10, 3600>, help_heading = "Observation")]
    pub stale_after: Duration,

    /// How often all objects are listed anew, 5s to 1d: what a watch has lost comes back then.
    #[arg(long, value_name = "DURATION", env = "DWS_OPERATOR_RELIST_EVERY", default_value = "1h", value_parser = between::<5, 86400>, help_heading = "Observation")]
    pub relist_every: Duration,

    /// Form of the log lines: `json`, one object a line, or `text`, for reading.
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
    /// How long an observer waits before it gives a claim up: nothing of it can be under way any more by then.
    pub fn grace(&self) -> Duration {
        self.send_budget + self.request_timeout + self.grace_margin
    }

    /// When the API server shall end a watch, so that it is opened anew, in seconds. One that has fallen silent is given up
    /// by kube-runtime 5 s after that: within a minute, and before proxies and load balancers on the way commonly end a
    /// silent connection (240 s and more); and with at least a third of `--stale-after` left for the new watch, so that a slow
    /// machine does not let silence count as death while it is being mended.
    pub fn watch_seconds(&self) -> u32 {
        let third = self.stale_after.saturating_sub(GIVEN_UP_AFTER) / 3;
        u32::try_from(third.as_secs()).unwrap_or(u32::MAX).clamp(1, 50)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
