//! A knows the access key of B, which is no secret, and signs with wrong secret keys: five of them lock it for everybody.

use std::time::Duration;

use futures::future::try_join_all;
use tokio::time::{Instant, sleep};

use super::{
    attacks::Figures,
    calls::{begun, called},
    figure::Figure,
    measure::most_within,
    stage::Stage,
    tenant::{Tenant, object},
    victim::{Setting, Victim},
};
use crate::{Failure, sweep::scenario::random_uuid};

const WRONG: usize = 7;
/// The fifth locks the key.
const SIGNATURES: f64 = 4.0;
/// In which the cloud counts them, and after which a right pair is called at the latest.
const LOCK: Duration = Duration::from_secs(300);
/// Before each of A's next objects while B waits.
const AGAIN_AFTER: Duration = Duration::from_secs(10);
const ATTACK: &str = "wrong-secret";

/// B's key works before the attack, and again after the operator was restarted; in the whole size also a B whose key has
/// not worked yet.
pub async fn wrong_secret(stage: &Stage) -> Result<Figures, Failure> {
    let b = Tenant::with_own_key(stage).await?;
    let wrong = wrong_ones(stage, &b).await?;
    let all: Vec<_> = wrong.iter().chain([&b]).collect();
    let victim = Victim::start(stage, &all, Setting::default()).await?;
    b.prove_key(stage).await?;
    attack(&wrong).await?;
    let mut figures =
        vec![called(stage, ATTACK, &b).await?, signatures(stage, &b, "wrong signatures within 5 minutes")];
    victim.kill().await?;
    let _next = Victim::start(stage, &all, Setting::default()).await?;
    attack(&wrong).await?;
    figures.push(signatures(stage, &b, "the same across a restart"));
    if !stage.small {
        figures.extend(unproven(stage).await?);
    }
    Ok(figures)
}

/// B's key has not worked before the attack, and A goes on with new objects.
async fn unproven(stage: &Stage) -> Result<Figures, Failure> {
    let b = Tenant::with_own_key(stage).await?;
    let wrong = wrong_ones(stage, &b).await?;
    let all: Vec<_> = wrong.iter().chain([&b]).collect();
    let _victim = Victim::start(stage, &all, Setting::default()).await?;
    attack(&wrong).await?;
    let cluster = stage.cluster(None);
    let name = b.create(object(&cluster)).await?;
    let created = Instant::now();
    let again = async {
        loop {
            sleep(AGAIN_AFTER).await;
            if let Err(error) = attack(&wrong).await {
                return error;
            }
        }
    };
    let under_attack = tokio::select! {
        () = stage.bench.cloud.arrived(&cluster, 1) => Some(created.elapsed().as_secs_f64()),
        () = sleep(LOCK * 3 / 2) => None,
        error = again => return Err(error),
    };
    if under_attack.is_none() {
        eprintln!("{ATTACK}: B is not called: {}", b.objects.get(&name).await?.data["status"]["conditions"]);
    }
    let (figure, bar) = ("B called, key not proven, s", LOCK.as_secs_f64());
    Ok(vec![
        Figure { attack: ATTACK, figure, idle: stage.idle.called, under_attack, bar },
        signatures(stage, &b, "wrong signatures within 5 minutes, key not proven"),
    ])
}

/// Tenants with B's access key and wrong secret keys.
async fn wrong_ones(stage: &Stage, b: &Tenant) -> Result<Vec<Tenant>, Failure> {
    let wrong: Vec<_> = (0..WRONG).map(|number| format!("wrong-{number}")).collect();
    try_join_all(wrong.iter().map(|secret| Tenant::new(stage, &b.access_key, secret))).await
}

/// Each of them creates an object. Waits until each was refused, or is held.
async fn attack(wrong: &[Tenant]) -> Result<(), Failure> {
    let one = async |tenant: &Tenant| {
        let name = tenant.create(object(&random_uuid())).await?;
        tenant.until_it_says(&name, |reason| reason != "RequestInFlight").await
    };
    try_join_all(wrong.iter().map(one)).await.map(drop)
}

/// How many wrong signatures with B's access key have reached the cloud.
fn signatures(stage: &Stage, b: &Tenant, figure: &'static str) -> Figure {
    let entries = stage.bench.cloud.entries();
    let wrong = entries.iter().filter(|entry| entry.access_key == b.access_key && !entry.verified);
    let instants: Vec<_> = wrong.map(|entry| entry.arrived_millis).collect();
    let under_attack = u32::try_from(most_within(LOCK, &instants)).ok().map(f64::from);
    Figure { attack: ATTACK, figure, idle: Some(0.0), under_attack, bar: SIGNATURES }
}

pub async fn bad_keys(stage: &Stage) -> Result<Figures, Failure> {
    let (b, known) = (Tenant::with_own_key(stage).await?, Tenant::with_own_key(stage).await?);
    let a = Tenant::new(stage, &known.access_key, "wrong").await?;
    let _victim = Victim::start(stage, &[&a, &b], Setting::flags(["--rate-limit=0"])).await?;
    b.prove_key(stage).await?;
    a.create_many(stage.size(300, 100), || object(&stage.cluster(None))).await?;
    begun(stage, &[&a], 1).await?;
    Ok(vec![called(stage, "bad-keys", &b).await?])
}
