//! The binary: crypto provider, flags, log, wiring, and the order of the shutdown.

use std::{process::ExitCode, sync::Arc};

use clap::Parser;
use kube::{Client, runtime::watcher};
use redistribution_operator::{
    admission::Admission,
    api::{self, ObjectName},
    cli::{Action, Command, Run},
    cloud,
    controller::{self, Decider, FailedReconciles, Reconciler, Reporter, Role, Tasks, WaitReports, watch},
    credentials::{self, Credentials},
    observe::{Observe, Observer},
    precheck::{self, Precheck},
    protocol::{decide::Rules, regions::Regions},
    runtime::{
        clock::Clock,
        election::{self, Leadership},
        events::Events,
        health::{self, Admin, Watchdog},
        kube_client,
        metrics::Metrics,
        synced::Synced,
        telemetry,
    },
    store::StatusStore,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use url::Url;

/// An error that the user who starts the process has to fix: exit code 2.
type StartError = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let command = Command::parse();
    let result = match command.action {
        Action::Crd => {
            api::crd_yaml().map(|yaml| print!("{yaml}")).map(|()| ExitCode::SUCCESS).map_err(StartError::from)
        }
        Action::Run(run) => start(*run),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("redistribution-operator: {error}");
            ExitCode::from(2)
        }
    }
}

fn start(run: Run) -> Result<ExitCode, StartError> {
    // Two TLS libraries could each install a provider; this selects one before either does.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        return Err("a TLS provider is installed already".into());
    }
    let log = telemetry::start(run.process.log_format, &run.process.log_level)?;
    if let Err(error) = hide_memory() {
        tracing::warn!(%error, "a core file or a debugger could show keys in this process's memory");
    }
    // One thread: an object takes a millisecond of work and waits for the rest of its time. More threads would spend as
    // much on waking each other, and each would keep its own memory. Other threads read files.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(operate(run, &log));
    // An abandoned DNS query may still block a thread for many seconds.
    runtime.shutdown_background();
    log.end();
    result
}

/// Keys in the memory of this process go into no core file, and no other process of its user reads them.
fn hide_memory() -> rustix::io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

async fn operate(run: Run, log: &telemetry::Log) -> Result<ExitCode, StartError> {
    let closing = CancellationToken::new();
    let signals = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let metrics = Metrics::new(Some(log.dropped.clone()));
    let watchdog = Watchdog::new(run.process.stale_after, metrics.watch_silent_seconds.clone());
    let kubernetes = &run.kubernetes;
    let client = kube_client::client(kubernetes.kubeconfig.as_deref(), kubernetes.context.as_deref(), &metrics).await?;
    let done = CancellationToken::new();
    let (leadership, election) = elect(&run, &client, &metrics, &done);
    let role = Role { closing: closing.clone(), leadership, synced: Synced::new(&run.kubernetes.namespaces) };
    let (tracker, synced) = (TaskTracker::new(), role.synced.clone());
    let (sender, requeued) = mpsc::unbounded_channel();
    let reconciler = Arc::new(assemble(&run, &client, role, &tracker, &metrics, sender)?);

    let listener = health::listen(run.process.listen).await?;
    tracing::info!(address = %listener.local_addr()?, version = env!("CARGO_PKG_VERSION"), "listening");
    let mut config = watcher::Config::default().timeout(run.process.watch_seconds());
    config.label_selector.clone_from(&run.kubernetes.selector);
    let (namespaces, relist_every) = (run.kubernetes.namespaces.clone(), run.process.relist_every);
    let observed = watch::Watching { namespaces, config, relist_every };
    let (objects, cache) = watch::pending(&client, &observed, Arc::clone(&reconciler), watchdog.clone());
    let admin = Admin { metrics, watchdog: watchdog.clone(), synced, closing: closing.clone() };
    tokio::spawn(health::serve(listener, admin));
    tokio::spawn(watchdog.run(client));
    let served = async {
        controller::run(reconciler, objects, cache, requeued).await;
        // The stream and every reconciliation have ended; attempts with a claim still send and record.
        tracker.close();
        if !tracker.is_empty() {
            tracing::info!(tasks = tracker.len(), "waiting for tasks to end");
        }
        tracker.wait().await;
        // Only now may another process lead: every attempt of this one is recorded.
        done.cancel();
        if let Some(election) = election
            && let Err(error) = election.await
        {
            tracing::warn!(%error, "the election ended early");
        }
        tracing::info!("stopped");
    };
    tokio::select! {
        () = served => Ok(ExitCode::SUCCESS),
        () = second_signal(signals, closing) => {
            tracing::warn!("ended by a second signal");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Without `--leader-election` this process always leads.
fn elect(
    run: &Run,
    client: &Client,
    metrics: &Metrics,
    done: &CancellationToken,
) -> (Leadership, Option<tokio::task::JoinHandle<()>>) {
    if !run.kubernetes.leader_election {
        metrics.objects().export(true);
        return (election::without_election(), None);
    }
    let settings = election::Settings {
        identity: format!("{}_{:016x}", holder(run), rand::random::<u64>()),
        name: run.kubernetes.lease_name.clone(),
        namespace: run.kubernetes.lease_namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned()),
        duration: run.kubernetes.lease_duration,
    };
    let (leadership, task) = election::compete(client, settings, metrics.clone(), done.clone());
    (leadership, Some(task))
}

fn assemble(
    run: &Run,
    client: &Client,
    role: Role,
    tracker: &TaskTracker,
    metrics: &Metrics,
    requeue: mpsc::UnboundedSender<ObjectName>,
) -> Result<Reconciler, StartError> {
    let (flags, limits, guards) = (&run.credentials, &run.limits, &run.guards);
    if flags.default_credentials_dir.is_none() && !flags.default_credentials_namespaces.is_empty() {
        let why =
            "--default-credentials-namespace needs --default-credentials-dir, the directory with those credentials";
        return Err(why.into());
    }
    let regions = Regions::new(run.cloud.region.as_deref(), &run.cloud.allowed_regions, &run.cloud.endpoints)?
        .with_iam(&run.cloud.iam_endpoints)?;
    let decider = Decider::new(Rules {
        require_not_after: guards.require_not_after,
        hold_reverts: guards.hold_reverts,
        grace: limits.grace(),
        regions,
    });
    // Parsed here and not by the command line's parser, which quotes an invalid value: the URL may contain a password.
    let proxy = run.cloud.proxy.as_deref().map(Url::parse).transpose();
    let cloud = Arc::new(cloud::Client::new(&cloud::ClientSettings {
        ca_bundle: run.cloud.ca_bundle.clone(),
        proxy: proxy.map_err(|error| format!("{}: {error}", cloud::ClientError::Proxy))?,
        connect_timeout: limits.connect_timeout.min(limits.request_timeout / 2),
        request_timeout: limits.request_timeout,
    })?);
    let store = StatusStore::new(client.clone());
    let settings = credentials::Settings {
        default_dir: flags.default_credentials_dir.clone(),
        default_for: flags.default_credentials_namespaces.clone(),
        request_timeout: limits.request_timeout,
        send_budget: limits.send_budget,
    };
    let credentials = Credentials::new(client.clone(), Arc::clone(store.limit()), Arc::clone(&cloud), settings);
    let (credentials, holder) = (Arc::new(credentials), holder(run));
    let events = Events::new(client.clone(), &holder, metrics.clone());
    let admission = Admission::new(usize::from(limits.concurrency), limits.rate_limit);
    let settings = precheck::Settings { mode: guards.check_cluster, every: guards.check_every };
    let precheck = Precheck::new(settings, run.observation.observe, Arc::clone(&cloud), metrics.clone());
    let observer = run.observation.observe.then(|| {
        let settings = Observe { every: run.observation.observe_every, settle: run.observation.settle_time };
        Arc::new(Observer::new(
            (settings, precheck::VALID_FOR),
            (Arc::clone(&decider.rules), role.synced.clone()),
            Arc::clone(&admission),
            Arc::clone(&credentials),
            (Arc::clone(&cloud), metrics.clone()),
        ))
    });
    Ok(Reconciler {
        tasks: Tasks::new(tracker.clone(), role.closing.clone()),
        decider,
        role,
        reporter: Reporter { store, events, metrics: metrics.clone() },
        admission,
        credentials,
        cloud,
        precheck: Arc::new(precheck),
        observer,
        send_budget: limits.send_budget,
        clock: Clock::of_this_host(),
        holder,
        requeue,
        failures: FailedReconciles::default(),
        wait_reports: WaitReports::default(),
    })
}

/// By default the name of the host.
fn holder(run: &Run) -> String {
    let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
    let name = run.kubernetes.holder.clone().unwrap_or_else(host);
    if name.is_empty() { "unknown".to_owned() } else { name }
}

/// The first signal stops new claims and lets calls in flight finish; the second ends the process at once.
async fn second_signal((mut terminate, mut interrupt): (Signal, Signal), closing: CancellationToken) {
    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    tracing::info!(
        "stopping: no new claim is made, calls in flight are finished and recorded; a second signal ends at once"
    );
    closing.cancel();
    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
}
