//! The simulated cloud as a program, to point a real installation at: `cargo run -p dws-simulator`.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;
use simulator::{Failure, Options, Simulator, TaskState};

/// A simulated GaussDB(DWS) cloud that accepts redistributions, shows their progress, checks signatures and tokens, and
/// keeps a ledger. It costs nothing and moves no data.
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
    /// Its secret key; random, and printed, if absent.
    #[arg(long, value_name = "KEY")]
    secret_key: Option<String>,
    /// A cluster, which waits for a redistribution or is in STATE, such as REDISTRIBUTION_PAUSED, GROWING, SNAPSHOTTING
    /// or IDLE; may be repeated. Without any, every cluster waits.
    #[arg(long = "cluster", value_name = "PROJECT/CLUSTER[=STATE]")]
    clusters: Vec<String>,
    /// How many of a redistribution's 100 tables each read moves; 0 for none.
    #[arg(long, value_name = "TABLES", default_value_t = 10)]
    tables_per_read: u64,
    /// For how many reads a cluster still shows that it waits after it accepted a redistribution.
    #[arg(long, value_name = "READS", default_value_t = 0)]
    lag: usize,
    /// Prints each read, too; the admin pages show them in any case.
    #[arg(long)]
    show_reads: bool,
    /// A user of its IAM.
    #[arg(long, value_name = "DOMAIN/NAME")]
    user: Option<String>,
    /// The user's password; random, and printed, if absent.
    #[arg(long, value_name = "PASSWORD", requires = "user")]
    password: Option<String>,
    /// Address of an IAM apart from the cloud (https); without it, the cloud's address serves both.
    #[arg(long, value_name = "ADDRESS")]
    iam: Option<SocketAddr>,
    /// File for the certificate of its authority.
    #[arg(long, value_name = "FILE", default_value = "dws-simulator-ca.pem")]
    ca_out: PathBuf,
    /// How long five wrong signatures lock a key, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    lock: u64,
    /// In a pod: writes the certificate of its authority and its access key into its own namespace, as ConfigMap
    /// dws-simulator-ca and Secret dws-redistribution-credentials, where an operator looks for them.
    #[arg(long)]
    publish: bool,
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

fn run(arguments: Arguments) -> Result<(), Failure> {
    let generated = arguments.secret_key.is_none();
    let simulator = Simulator::start(&Options {
        listen: arguments.listen,
        admin: arguments.admin,
        iam: arguments.iam,
        names: arguments.names,
        access_key: arguments.access_key,
        secret_key: arguments.secret_key,
        accept_any_cluster: arguments.clusters.is_empty(),
        lock: Duration::from_secs(arguments.lock),
        lag: arguments.lag,
        tables_per_read: arguments.tables_per_read,
        // An image without a shell holds this program; --ca-out writes the needed file.
        ca_file: false,
        print: true,
        print_reads: arguments.show_reads,
        ..Options::default()
    })?;
    for cluster in &arguments.clusters {
        let (project, cluster) = cluster.split_once('/').ok_or("--cluster must be PROJECT/CLUSTER[=STATE]")?;
        let (cluster, state) = cluster.split_once('=').unwrap_or((cluster, TaskState::WaitingRedistribution.word()));
        simulator.set_cluster(project, cluster, state);
    }
    let ca = simulator.write_ca(&arguments.ca_out)?;
    println!("cloud:       {}", simulator.url());
    println!("admin pages: {}/ledger, {0}/reads, {0}/logins, {0}/clusters", simulator.admin_url());
    println!("access key:  {}", simulator.access_key());
    if generated && !arguments.publish {
        println!("secret key:  {}", simulator.secret_key());
    }
    if let Some(user) = &arguments.user {
        let (domain, user) = user.split_once('/').ok_or("--user must be DOMAIN/NAME")?;
        let random = || format!("{:032x}", rand::random::<u128>());
        let password = arguments.password.clone().unwrap_or_else(random);
        simulator.add_user(domain, user, &password);
        println!("IAM:         {}, user {user} of domain {domain}", simulator.iam_url());
        if arguments.password.is_none() {
            println!("password:    {password}");
        }
    }
    println!("for the operator: --region lab --endpoint lab={} --ca-bundle {}", simulator.url(), ca.display());
    println!("Ctrl-C ends it.");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if arguments.publish {
        runtime.block_on(publish(&simulator))?;
    }
    runtime.block_on(simulator::asked_to_end())?;
    Ok(())
}

/// Both are created at each start, as the certificate and the key are.
async fn publish(simulator: &Simulator) -> Result<(), kube::Error> {
    // Two TLS libraries could each bring a provider; an error means that one is already installed.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = Client::try_default().await?;
    let apply = PatchParams::apply("dws-simulator").force();
    let ca = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "dws-simulator-ca"},
        "data": {"ca.crt": simulator.ca_pem()},
    });
    Api::<ConfigMap>::default_namespaced(client.clone()).patch("dws-simulator-ca", &apply, &Patch::Apply(ca)).await?;
    let name = "dws-redistribution-credentials";
    let credentials = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
        "stringData": {"accessKey": simulator.access_key(), "secretKey": simulator.secret_key()},
    });
    Api::<Secret>::default_namespaced(client).patch(name, &apply, &Patch::Apply(credentials)).await?;
    println!("published in its namespace: ConfigMap dws-simulator-ca, Secret {name}");
    Ok(())
}
