//! A tries to keep B waiting by calls: slow ones, many, failing ones, for B's cluster or with B's key.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::try_join_all;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
    time::timeout,
};

use super::{
    attacks::Figures,
    figure::{CALLED, Figure},
    measure,
    stage::Stage,
    tenant::{STEP, Tenant, object},
    victim::{Setting, Victim},
};
use crate::{
    Failure,
    eventually::try_eventually,
    simulator::{Act, Mode, Options, Script, Simulator},
    sweep::scenario::random_uuid,
};

const NO_RATE_LIMIT: &str = "--rate-limit=0";
/// As the chart sets it.
const RATE_LIMIT: &str = "--rate-limit=5";
const ELSEWHERE: &str = "elsewhere";
const OTHER_PROJECT: &str = "0123456789abcdef0123456789abcdef";
/// Tasks of A that create, edit and delete without pause.
const LOOPS: usize = 4;
const CALLED_FIGURE: &str = "B called, worst of 10, s";

/// Objects of some tenants whose keys work, and their answers.
struct Flood {
    tenants: usize,
    /// Of each tenant.
    objects: usize,
    script: Option<Script>,
    rate_limit: &'static str,
    /// Calls of the attack that must have arrived before B is measured.
    begun: usize,
}

pub async fn slow(stage: &Stage) -> Result<Figures, Failure> {
    let script = Some(Script::status(200).after(Duration::from_secs(30)));
    let objects = stage.size(900, 300);
    flood(stage, "slow", Flood { tenants: 1, objects, script, rate_limit: NO_RATE_LIMIT, begun: 10 }).await
}

pub async fn slow_keys(stage: &Stage) -> Result<Figures, Failure> {
    let script = Some(Script::status(200).after(Duration::from_secs(30)));
    let objects = stage.size(300, 100);
    flood(stage, "slow-keys", Flood { tenants: 3, objects, script, rate_limit: NO_RATE_LIMIT, begun: 20 }).await
}

pub async fn hung(stage: &Stage) -> Result<Figures, Failure> {
    let (objects, script) = (stage.size(120, 40), Some(Script::new(Act::Hang)));
    flood(stage, "hung", Flood { tenants: 10, objects, script, rate_limit: NO_RATE_LIMIT, begun: 30 }).await
}

pub async fn three_thousand(stage: &Stage) -> Result<Figures, Failure> {
    let objects = stage.size(3000, 1000);
    let flooded = Flood { tenants: 1, objects, script: None, rate_limit: RATE_LIMIT, begun: 2 };
    flood(stage, "three-thousand", flooded).await
}

async fn flood(stage: &Stage, attack: &'static str, flood: Flood) -> Result<Figures, Failure> {
    let b = Tenant::with_own_key(stage).await?;
    let tenants = try_join_all((0..flood.tenants).map(|_| Tenant::with_own_key(stage))).await?;
    let all: Vec<_> = tenants.iter().chain([&b]).collect();
    let _victim = Victim::start(stage, &all, Setting::flags([flood.rate_limit])).await?;
    try_join_all(all.iter().map(|tenant| tenant.prove_key(stage))).await?;
    let new = || object(&stage.cluster(flood.script.clone()));
    try_join_all(tenants.iter().map(|tenant| tenant.create_many(flood.objects, new))).await?;
    begun(stage, &tenants.iter().collect::<Vec<_>>(), flood.begun + flood.tenants).await?;
    Ok(vec![called(stage, attack, &b).await?])
}

/// Waits until so many calls of these tenants have arrived.
pub(super) async fn begun(stage: &Stage, tenants: &[&Tenant], calls: usize) -> Result<(), Failure> {
    let begun = try_eventually(STEP, "the attack has begun", async || {
        match tenants.iter().map(|tenant| stage.calls_of(tenant)).sum::<usize>() {
            arrived if arrived >= calls => Ok(()),
            arrived => Err(format!("{arrived} of {calls} calls")),
        }
    });
    Ok(begun.await?)
}

/// How soon B is called now.
pub(super) async fn called(stage: &Stage, attack: &'static str, b: &Tenant) -> Result<Figure, Failure> {
    let under_attack = measure::called(stage, b, None).await?.worst;
    Ok(Figure { attack, figure: CALLED_FIGURE, idle: stage.idle.called, under_attack, bar: CALLED })
}

/// A and B use one key, which has not worked before A's objects come. A slot lasts a second, so that slots and not the
/// machine's speed are measured; a quarter of one is granted to the machine.
pub async fn shared_key(stage: &Stage) -> Result<Figures, Failure> {
    let (attack, slots) = ("shared-key", 2);
    let b = Tenant::with_own_key(stage).await?;
    let a = Tenant::new(stage, &b.access_key, &b.secret_key).await?;
    let _victim = Victim::start(stage, &[&a, &b], Setting::flags(["--rate-limit=1"])).await?;
    a.create_many(stage.size(600, 150), || object(&stage.cluster(None))).await?;
    begun(stage, &[&a], 3).await?;
    let called = measure::called(stage, &b, None).await?;
    let idle = stage.idle.called;
    let bar = f64::from(slots) + idle.unwrap_or_default() + 0.25;
    let before = called.worst.and(u32::try_from(called.before).ok()).map(f64::from);
    Ok(vec![
        Figure { attack, figure: CALLED_FIGURE, idle, under_attack: called.worst, bar },
        Figure {
            attack,
            figure: "slots of others before B's, worst of 10",
            idle: Some(0.0),
            under_attack: before,
            bar: f64::from(slots),
        },
    ])
}

/// A and B use one credential for one cluster: A's call, once it has begun, must end first.
pub async fn same_credential(stage: &Stage) -> Result<Figures, Failure> {
    let (attack, one_call) = ("same-credential", Duration::from_millis(if stage.small { 500 } else { 5000 }));
    let b = Tenant::with_own_key(stage).await?;
    let a = Tenant::new(stage, &b.access_key, &b.secret_key).await?;
    let (cluster, objects) = (stage.cluster(None), stage.size(200, 60));
    let _victim = Victim::start(stage, &[&a, &b], Setting::flags([NO_RATE_LIMIT])).await?;
    b.prove_key(stage).await?;
    // Ten more for B.
    stage.bench.cloud.script(&cluster, (0..objects + 10).map(|_| Script::status(200).after(one_call)));
    a.create_many(objects, || object(&cluster)).await?;
    begun(stage, &[&a], 2).await?;
    let under_attack = measure::called(stage, &b, Some(&cluster)).await?.worst;
    let bar = one_call.as_secs_f64() + CALLED;
    Ok(vec![Figure { attack, figure: CALLED_FIGURE, idle: stage.idle.called, under_attack, bar }])
}

pub async fn cluster_elsewhere(stage: &Stage) -> Result<Figures, Failure> {
    let slow = Script::status(200).after(Duration::from_secs(20));
    Ok(vec![
        elsewhere(stage, "B called, worst of 10, beside six slow ones, s", 6, &slow).await?,
        elsewhere(
            stage,
            "B called, worst of 10, beside many quick ones, s",
            stage.size(500, 100),
            &Script::status(200),
        )
        .await?,
    ])
}

/// A's objects name B's cluster, in another region and project.
async fn elsewhere(stage: &Stage, figure: &'static str, objects: usize, script: &Script) -> Result<Figure, Failure> {
    let (a, b) = (Tenant::with_own_key(stage).await?, Tenant::with_own_key(stage).await?);
    let other = Simulator::start(&Options::default())?;
    other.add_key(&a.access_key, &a.secret_key, None);
    let cluster = stage.cluster(None);
    stage.bench.cloud.script(&cluster, (0..10).map(|_| Script::status(200)));
    other.script(&cluster, (0..objects).map(|_| script.clone()));
    let mut setting = region(stage, &other.url(), Some(other.ca_pem()))?;
    setting.flags.push(RATE_LIMIT.to_owned());
    let _victim = Victim::start(stage, &[&a, &b], setting).await?;
    b.prove_key(stage).await?;
    a.create_many(objects, || {
        let mut object = object(&cluster);
        object["spec"]["region"] = json!(ELSEWHERE);
        object["spec"]["projectID"] = json!(OTHER_PROJECT);
        object
    })
    .await?;
    let begun =
        try_eventually(STEP, "A is called", async || if other.calls(&cluster) > 0 { Ok(()) } else { Err("no call") });
    begun.await?;
    let under_attack = measure::called(stage, &b, Some(&cluster)).await?.worst;
    Ok(Figure { attack: "cluster-elsewhere", figure, idle: stage.idle.called, under_attack, bar: CALLED })
}

/// A second region with this endpoint and this authority.
fn region(stage: &Stage, url: &str, ca_pem: Option<&str>) -> Result<Setting, Failure> {
    let file = stage.bench.plane.directory().join(format!("{:016x}.pem", rand::random::<u64>()));
    std::fs::write(&file, stage.bench.cloud.ca_pem().to_owned() + ca_pem.unwrap_or_default())?;
    let flags = vec![format!("--endpoint={ELSEWHERE}={url}"), format!("--ca-bundle={}", file.display())];
    Ok(Setting { flags, ..Setting::default() })
}

/// Its accept queue is full, so that every further SYN is dropped.
pub async fn unreachable(stage: &Stage) -> Result<Figures, Failure> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    let listener: TcpListener = socket.listen(1)?;
    let (address, mut kept) = (listener.local_addr()?, Vec::new());
    while let Ok(connected) = timeout(Duration::from_millis(500), TcpStream::connect(address)).await {
        kept.push(connected?);
    }
    beside_a_dead_region(stage, "unreachable", &format!("https://{address}")).await
}

pub async fn hung_tls(stage: &Stage) -> Result<Figures, Failure> {
    let stalled = Simulator::start_mode(Mode::StalledTls)?;
    beside_a_dead_region(stage, "hung-tls", &stalled.url()).await
}

/// All objects of A are for a region that cannot be called.
async fn beside_a_dead_region(stage: &Stage, attack: &'static str, url: &str) -> Result<Figures, Failure> {
    let (a, b) = (Tenant::with_own_key(stage).await?, Tenant::with_own_key(stage).await?);
    let mut setting = region(stage, url, None)?;
    setting.flags.push(NO_RATE_LIMIT.to_owned());
    let _victim = Victim::start(stage, &[&a, &b], setting).await?;
    b.prove_key(stage).await?;
    let new = || {
        let mut object = object(&random_uuid());
        object["spec"]["region"] = json!(ELSEWHERE);
        object
    };
    let first = a.create(new()).await?;
    a.create_many(stage.size(300, 100), new).await?;
    a.until_it_says(&first, |reason| ["EndpointUnreachable", "RequestInFlight"].contains(&reason)).await?;
    Ok(vec![called(stage, attack, &b).await?])
}

pub async fn create_delete(stage: &Stage) -> Result<Figures, Failure> {
    loops(stage, "create-delete", &[]).await
}

pub async fn edits(stage: &Stage) -> Result<Figures, Failure> {
    let names: Vec<_> = (0..20).map(|number| format!("edited-{number}")).collect();
    loops(stage, "edits", &names).await
}

/// Edits these objects without pause, or without any creates and deletes others.
async fn loops(stage: &Stage, attack: &'static str, edited: &[String]) -> Result<Figures, Failure> {
    let (a, b) = (Tenant::with_own_key(stage).await?, Tenant::with_own_key(stage).await?);
    let _victim = Victim::start(stage, &[&a, &b], Setting::flags([RATE_LIMIT])).await?;
    try_join_all([&a, &b].map(|tenant| tenant.prove_key(stage))).await?;
    for name in edited {
        let mut object = object(&stage.cluster(None));
        object["metadata"] = json!({"name": name});
        a.create(object).await?;
    }
    let (rounds, mut running) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
    for number in 0..LOOPS {
        let (api, rounds, new) = (a.objects.clone(), Arc::clone(&rounds), object(&stage.cluster(None)));
        let edited = edited.iter().skip(number).step_by(LOOPS).cloned().collect();
        running.spawn(async move { round_after_round(&api, new, edited, &rounds).await });
    }
    let begun = try_eventually(STEP, "the loops run", async || match rounds.load(Ordering::Relaxed) {
        20.. => Ok(()),
        rounds => Err(format!("{rounds} rounds")),
    });
    begun.await?;
    let called = called(stage, attack, &b).await?;
    // A loop that failed attacks nobody.
    match running.try_join_next() {
        None => Ok(vec![called]),
        Some(ended) => Err(format!("a loop of A ended: {ended:?}").into()),
    }
}

async fn round_after_round(
    api: &Api<DynamicObject>,
    new: Value,
    edited: Vec<String>,
    rounds: &AtomicUsize,
) -> Result<Infallible, Failure> {
    let new = serde_json::from_value(new)?;
    loop {
        for name in &edited {
            let patch = json!({"spec": {"trigger": rand::random::<u64>().to_string()}});
            match api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await {
                // The operator wrote its status at the same moment, again and again.
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                edited => drop(edited?),
            }
        }
        if edited.is_empty() {
            let name = api.create(&PostParams::default(), &new).await?.name_any();
            api.delete(&name, &DeleteParams::default()).await?;
        }
        rounds.fetch_add(1, Ordering::Relaxed);
    }
}
