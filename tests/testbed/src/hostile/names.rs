//! What B and every reader of `/metrics` learn about the objects of A, and whether A can hide those of B.

use super::{
    attacks::Figures,
    figure::Figure,
    stage::Stage,
    tenant::{Tenant, object},
    victim::{Setting, Victim},
};
use crate::{
    Failure,
    simulator::{Act, Script},
    sweep::scenario::random_uuid,
};

const ATTACK: &str = "names";
/// More than have a series of their own.
const STALLED: usize = 120;

pub async fn names(stage: &Stage) -> Result<Figures, Failure> {
    let b = Tenant::with_own_key(stage).await?;
    let a = Tenant::new(stage, &b.access_key, &b.secret_key).await?;
    let victim = Victim::start(stage, &[&a, &b], Setting::flags(["--rate-limit=0"])).await?;
    b.prove_key(stage).await?;
    a.create_many(STALLED, || object(&random_uuid())).await?;
    victim.until_objects("ClusterNotFound", STALLED).await?;
    b.create(object(&random_uuid())).await?;
    victim.until_objects("ClusterNotFound", STALLED + 1).await?;

    let cluster = stage.cluster(Some(Script::new(Act::Hang)));
    a.create(object(&cluster)).await?;
    stage.bench.cloud.arrived(&cluster, 1).await;
    let waiting = b.create(object(&cluster)).await?;
    b.until_it_says(&waiting, |reason| reason == "AnotherCallInFlight").await?;
    let status = b.objects.get(&waiting).await?.data["status"].to_string();

    let metrics = victim.metrics().await?;
    let is_named = |tenant: &Tenant| {
        let namespace = format!("namespace=\"{}\"", tenant.namespace);
        metrics.lines().any(|line| line.starts_with("dws_redistribution_stalled{") && line.contains(&namespace))
    };
    let figure = |figure, is_so: bool| Figure {
        attack: ATTACK,
        figure,
        idle: Some(0.0),
        under_attack: Some(f64::from(u8::from(is_so))),
        bar: 0.0,
    };
    Ok(vec![
        figure("B's status names A's namespace (1 = yes)", status.contains(&a.namespace)),
        figure("A's stalled objects have named series and B's has none (1 = yes)", is_named(&a) && !is_named(&b)),
    ])
}
