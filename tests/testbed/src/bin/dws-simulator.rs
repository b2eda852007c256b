//! The simulated cloud as a program, to point a real installation at: `cargo run -p testbed --bin dws-simulator`.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use testbed::simulator::{Options, Simulator};
use tokio::signal::unix::SignalKind;

/// A simulated GaussDB(DWS) cloud that accepts redistributions, checks signatures and keeps a ledger. It costs nothing
/// and moves no data.
#[derive(Debug, Parser)]
#[command(name = "dws-simulator", version)]
struct Arguments {
    /// Address of the cloud (https).
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// Address of the admin pages (plain http: keep it on loopback); port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    admin: SocketAddr,
    /// Further name or address its certificate is for; may be repeated.
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
    /// Access key it knows.
    #[arg(long, value_name = "KEY", default_value = "SIMULATORACCESSKEY01")]
    access_key: String,
    /// Secret key to it; random, and printed, if absent.
    #[arg(long, value_name = "KEY")]
    secret_key: Option<String>,
    /// A cluster that waits for a redistribution, as PROJECT/CLUSTER; may be repeated. Without any, every cluster does.
    #[arg(long = "cluster", value_name = "PROJECT/CLUSTER")]
    clusters: Vec<String>,
    /// Where its authority's certificate is written.
    #[arg(long, value_name = "FILE", default_value = "dws-simulator-ca.pem")]
    ca_out: PathBuf,
    /// How long five wrong signatures lock a key, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    lock: u64,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dws-simulator: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let generated = arguments.secret_key.is_none();
    let simulator = Simulator::start(&Options {
        listen: arguments.listen,
        admin: arguments.admin,
        names: arguments.names,
        access_key: arguments.access_key,
        secret_key: arguments.secret_key,
        accept_any_cluster: arguments.clusters.is_empty(),
        lock: Duration::from_secs(arguments.lock),
        print: true,
        ..Options::default()
    })?;
    for cluster in &arguments.clusters {
        let (project, cluster) = cluster.split_once('/').ok_or("--cluster must be PROJECT/CLUSTER")?;
        simulator.add_cluster(project, cluster);
    }
    let ca = simulator.write_ca(&arguments.ca_out)?;
    println!("cloud:       {}", simulator.url());
    println!("admin pages: {}/ledger, {0}/clusters", simulator.admin_url());
    println!("access key:  {}", simulator.access_key());
    if generated {
        println!("secret key:  {}", simulator.secret_key());
    }
    println!("for the operator: --region lab --endpoint lab={} --ca-bundle {}", simulator.url(), ca.display());
    println!("Ctrl-C ends it.");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = tokio::signal::unix::signal(SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminate.recv() => Ok(()),
        }
    })?;
    Ok(())
}
