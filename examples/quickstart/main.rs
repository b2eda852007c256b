//! The main task, seen from outside: `cargo run --example quickstart`. A real API server, the real operator as a
//! process of its own, real kubectl, and a simulated cloud over TLS. Every step is announced before it runs, and
//! nothing is left behind unless `--keep` asks for it.
#![allow(clippy::indexing_slicing, reason = "only on JSON values, where an absent field reads as null")]

mod cluster;
mod operator;
mod report;
mod requests;

use std::{io::Write, path::PathBuf, process::ExitCode, time::Instant};

use clap::Parser;
use cluster::Cluster;
use testbed::simulator::{Options, Simulator};

/// An error that ends the tour early, described in one sentence.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Follows one redistribution from kubectl apply to a simulated cloud and back into status, and a dozen others through
/// each answer the cloud is known to give.
#[derive(Debug, Parser)]
#[command(name = "quickstart")]
struct Arguments {
    /// Leave everything running, and print commands to try; Ctrl-C ends it.
    #[arg(long)]
    keep: bool,
    /// Use this kubeconfig's cluster instead of starting one: in a new namespace, which is removed afterwards.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Do not ask before using the cluster of --kubeconfig.
    #[arg(long, requires = "kubeconfig")]
    yes: bool,
    /// Write the results as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    match runtime.block_on(tour(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &Failure) -> ExitCode {
    eprintln!("\nquickstart: {error}");
    ExitCode::FAILURE
}

async fn tour(arguments: &Arguments) -> Result<(), Failure> {
    say("Building the operator");
    let binary = testbed::operator::build(false)?;
    let cluster = match &arguments.kubeconfig {
        Some(file) => Cluster::of_the_user(file, arguments.yes).await?,
        None => Cluster::start().await?,
    };
    // Ctrl-C ends the tour at any point, and the cluster is still cleaned up.
    let result = tokio::select! {
        result = visit(arguments, &cluster, &binary) => result,
        ended = testbed::asked_to_end() => match ended {
            // With --keep, this is the intended end.
            Ok(_) if arguments.keep => Ok(()),
            Ok(signal) => Err(format!("ended by {signal}").into()),
            Err(error) => Err(error.into()),
        },
    };
    say("Tidying up");
    cluster.tidy()?;
    result
}

async fn visit(arguments: &Arguments, cluster: &Cluster, binary: &std::path::Path) -> Result<(), Failure> {
    say("Starting a simulated cloud that checks signatures, over TLS with an authority of its own");
    let cloud = Simulator::start(&Options::default())?;
    println!("    {}", cloud.url());
    say("Installing the CustomResourceDefinition, a namespace and a Secret with the cloud's key");
    cluster.prepare(&cloud).await?;
    say("Starting the operator as a process of its own");
    let operator = operator::start(cluster, binary, &cloud).await?;
    println!("    {} run {}", binary.file_name().unwrap_or_default().display(), operator::flags(&cloud).join(" "));

    say("Applying the API page's own example");
    println!("{}", indented(requests::EXAMPLE));
    cloud.add_cluster(requests::PROJECT, requests::CLUSTER);
    let begun = Instant::now();
    println!("$ kubectl apply -f example.yaml\n{}", cluster.apply(requests::EXAMPLE)?);
    let waited =
        cluster.kubectl(&["wait", "--for=condition=Ready", "--timeout=60s", "clusterredistribution/example"], "")?;
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
    println!("{}", indented(&cluster.refused(requests::WRONG)?));
    requests::settle(cluster).await?;

    say("What a person sees");
    println!("$ kubectl get clusterredistributions\n{}", cluster.kubectl(&["get", "clusterredistributions"], "")?);
    println!(
        "$ kubectl describe clusterredistribution example\n{}",
        cluster.kubectl(&["describe", "clusterredistribution", "example"], "")?
    );
    let report = report::Report::read(cluster, &cloud, seconds)?;
    say("How many calls the cloud counted for each");
    println!("{}", report.calls_in_words());
    report.check()?;
    if let Some(file) = &arguments.json {
        std::fs::write(file, report.json()?).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    if arguments.keep {
        say("Everything keeps running until Ctrl-C. In another terminal:");
        println!("    export KUBECONFIG={}", cluster.kubeconfig().display());
        println!("    kubectl config set-context --current --namespace={}", cluster.namespace());
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
