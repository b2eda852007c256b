//! The main task, seen from outside: `cargo run --example quickstart`. A real API server, the real operator as a
//! process of its own, real kubectl, and a simulated cloud over TLS. Every step is announced before it runs, and
//! nothing is left behind unless `--keep` asks for it.
#![allow(clippy::indexing_slicing, reason = "only on JSON values, where an absent field reads as null")]

mod cluster;
mod requests;

use std::{io::Write, path::Path, process::ExitCode, time::Instant};

use clap::Parser;
use cluster::Cluster;
use testbed::{
    Failure, Operator, OperatorOptions,
    simulator::{Options, Simulator},
};

/// Follows one redistribution from kubectl apply to a simulated cloud and back into status, and others through each
/// answer the cloud is known to give.
#[derive(Debug, Parser)]
#[command(name = "quickstart")]
struct Arguments {
    /// Leave everything running, and print commands to try; Ctrl-C ends it.
    #[arg(long)]
    keep: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::from);
    match runtime.and_then(|runtime| runtime.block_on(tour(&arguments))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nquickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn tour(arguments: &Arguments) -> Result<(), Failure> {
    say("Building the operator");
    let binary = testbed::operator::build(false)?;
    say("Starting a separate Kubernetes: etcd and kube-apiserver on loopback (built from Go modules the first time)");
    let cluster = Cluster::start().await?;
    // Ctrl-C ends the tour at any point, and with it all that was started.
    tokio::select! {
        result = visit(arguments, &cluster, &binary) => result,
        ended = testbed::asked_to_end() => match ended {
            // With --keep, this is the intended end.
            Ok(_) if arguments.keep => Ok(()),
            Ok(signal) => Err(format!("ended by {signal}").into()),
            Err(error) => Err(error.into()),
        },
    }
}

async fn visit(arguments: &Arguments, cluster: &Cluster, binary: &Path) -> Result<(), Failure> {
    say("Starting a simulated cloud that checks signatures, over TLS with an authority of its own");
    let cloud = Simulator::start(&Options::default())?;
    println!("    {}", cloud.url());
    say("Installing the CustomResourceDefinition, a namespace and a Secret with the cloud's key");
    cluster.prepare(&cloud).await?;
    say("Starting the operator as a process of its own");
    let flags = [
        "--region=simulated".to_owned(),
        format!("--endpoint=simulated={}", cloud.url()),
        format!("--ca-bundle={}", cloud.ca_file().display()),
    ];
    println!("    redistribution-operator run {}", flags.join(" "));
    let mut options = OperatorOptions::new(binary, &cluster.plane, cluster::NAMESPACE);
    options.arguments = flags.map(Into::into).to_vec();
    "info".clone_into(&mut options.log_level);
    let operator = Operator::start(options).await?;
    operator.wait_ready().await?;

    say("Applying the API page's own example");
    println!("{}", indented(requests::EXAMPLE));
    cloud.add_cluster(requests::PROJECT, requests::CLUSTER);
    let begun = Instant::now();
    println!("$ kubectl apply -f example.yaml\n{}", cluster.apply(requests::EXAMPLE)?);
    let waited =
        cluster.kubectl(&["wait", "--for=condition=Ready", "--timeout=60s", "clusterredistribution/example"])?;
    let seconds = begun.elapsed().as_secs_f64();
    println!("$ kubectl wait --for=condition=Ready clusterredistribution/example\n{waited}");
    println!("    delivered {seconds:.2} s after kubectl apply");

    say("Applying others: one for each answer the cloud documents, a cut connection, a suspended one");
    for request in requests::all() {
        request.prepare(&cloud, cluster)?;
        cluster.apply(&request.yaml())?;
        println!("    {:<18} {}", request.name, request.story);
    }
    say("Applying one that the API server refuses");
    match cluster.apply(requests::WRONG) {
        Ok(_) => return Err("the API server accepted a spec that it should have refused".into()),
        Err(refusal) => println!("{}", indented(&refusal.to_string())),
    }
    requests::settle(cluster).await?;

    say("What a person sees");
    println!("$ kubectl get clusterredistributions\n{}", cluster.kubectl(&["get", "clusterredistributions"])?);
    println!(
        "$ kubectl describe clusterredistribution example\n{}",
        cluster.kubectl(&["describe", "clusterredistribution", "example"])?
    );
    say("How many calls the cloud counted for each");
    requests::check_calls(&cloud)?;
    if arguments.keep {
        say("Everything keeps running until Ctrl-C. In another terminal:");
        println!("    export KUBECONFIG={}", cluster.plane.kubeconfig().display());
        println!("    kubectl config set-context --current --namespace={}", cluster::NAMESPACE);
        println!("    kubectl get clusterredistributions -w");
        println!("    the cloud's ledger: {}/ledger", cloud.admin_url());
        testbed::asked_to_end().await?;
    }
    say("Stopping the operator: SIGTERM, and it finishes what it has begun");
    operator.terminate().await?;
    Ok(())
}

fn say(step: &str) {
    println!("\n==> {step}");
    // Steps take a while; the announcement must be visible before the step is done.
    let _ = std::io::stdout().flush();
}

fn indented(text: &str) -> String {
    text.trim_end().lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
