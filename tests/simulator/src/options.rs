//! Options of a simulator. It starts nothing.

use std::{net::SocketAddr, time::Duration};

#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Options {
    /// Address of the cloud; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Address of the admin pages; port 0 takes a free one.
    pub admin: SocketAddr,
    /// Address of an IAM apart from the cloud; without one, the cloud's address serves both.
    pub iam: Option<SocketAddr>,
    /// Names and addresses its certificate is for, in addition to those of loopback.
    pub names: Vec<String>,
    /// Writes the certificate of its authority into a file of its own, which needs a shell that removes it.
    pub ca_file: bool,
    pub access_key: String,
    /// The secret key to it; random if absent.
    pub secret_key: Option<String>,
    /// Creates clusters at their first request, waiting for a redistribution.
    pub accept_any_cluster: bool,
    /// How far its clock is ahead of this machine's, in seconds.
    pub clock_offset: i64,
    /// How long five wrong signatures lock a key.
    pub lock: Duration,
    /// How long a cluster shows its state from before a redistribution, unless it is set for the cluster.
    pub lag: usize,
    /// How many tables each read moves, unless it is set for the cluster.
    pub tables_per_read: u64,
    pub mode: Mode,
    /// Prints each call and each login in one line.
    pub print: bool,
    pub print_reads: bool,
}

impl Default for Options {
    fn default() -> Self {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            listen: loopback,
            admin: loopback,
            iam: None,
            names: Vec::new(),
            ca_file: true,
            access_key: "SIMULATORACCESSKEY01".to_owned(),
            secret_key: None,
            accept_any_cluster: false,
            clock_offset: 0,
            lock: Duration::from_secs(300),
            lag: 0,
            tables_per_read: 0,
            mode: Mode::Cloud,
            print: false,
            print_reads: false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Like the cloud.
    Cloud,
    /// Sends bytes that are not TLS.
    NotTls,
    /// Accepts, and never sends anything.
    StalledTls,
}
