//! Objects that carry as much as the API server accepts, against the memory of an operator that starts beside them.

use serde_json::{Map, Value, json};

use super::{
    attacks::Figures,
    figure::{Figure, PEAK},
    stage::Stage,
    tenant::{Tenant, suspended},
    victim::{Setting, Victim},
};
use crate::Failure;

const LABELS: usize = 1900;
/// All annotations of an object together must stay below 256 KiB.
const ANNOTATION_BYTES: usize = 250 << 10;
/// Against as many plain objects.
const TIMES_PLAIN: f64 = 1.5;

pub async fn labels(stage: &Stage) -> Result<Figures, Failure> {
    let labels: Map<String, Value> =
        (0..LABELS).map(|number| (format!("{}.com/{number:063}", "a".repeat(230)), json!("v".repeat(63)))).collect();
    peaks(stage, "labels", stage.size(36, 24), |object| object["metadata"]["labels"] = json!(labels)).await
}

pub async fn annotations(stage: &Stage) -> Result<Figures, Failure> {
    let foreign = "x".repeat(ANNOTATION_BYTES);
    peaks(stage, "annotations", stage.size(330, 150), |object| {
        object["metadata"]["annotations"]["example.com/foreign"] = json!(foreign);
    })
    .await
}

/// The peak of an operator that starts beside so many plain objects and beside as many changed ones.
async fn peaks(
    stage: &Stage,
    attack: &'static str,
    count: usize,
    change: impl Fn(&mut Value),
) -> Result<Figures, Failure> {
    let plain = peak(stage, count, |_| {}).await?;
    let under_attack = peak(stage, count, change).await?;
    let times = plain.zip(under_attack).map(|(plain, attacked)| attacked / plain);
    Ok(vec![
        Figure { attack, figure: "peak memory, MiB", idle: plain, under_attack, bar: PEAK },
        Figure {
            attack,
            figure: "peak, times that of plain objects",
            idle: None,
            under_attack: times,
            bar: TIMES_PLAIN,
        },
    ])
}

async fn peak(stage: &Stage, count: usize, change: impl Fn(&mut Value)) -> Result<Option<f64>, Failure> {
    let a = Tenant::with_own_key(stage).await?;
    let object = || {
        let mut object = suspended();
        change(&mut object);
        object
    };
    a.create_many(count, object).await?;
    let victim = match Victim::start(stage, &[&a], Setting::default()).await {
        Ok(victim) => victim,
        // The limit has killed it at its first list.
        Err(error) if stage.limit.is_some() => {
            eprintln!("{error}");
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    victim.until_objects("Suspended", count).await?;
    Ok(victim.peak())
}
