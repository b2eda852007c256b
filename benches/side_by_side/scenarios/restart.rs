//! A start beside finished objects, after a graceful end: its calls and writes for them, and when a new object is
//! called. After a kill, the operator's Lease would have to expire first, which is not measured here.

use std::time::{Duration, Instant};

use super::Case;
use crate::{
    Failure,
    actors::{Actors, explained},
    arguments::Scenario,
    bars::{Bar, number},
    candidate::{Candidate, Settings},
    counts::Counts,
    objects,
    process::{as_float, rests},
    sample::Sample,
    setting::Setting,
    window::Window,
};

const CALLS: &str = "calls for finished objects";
const WRITES: &str = "writes for finished objects";
const SECONDS: &str = "seconds from start to the new object's call";
/// Numbers of the new objects, before the end and after it.
const NEW: [usize; 2] = [9_500_000, 9_500_001];
/// Writes that the new object itself costs each candidate.
const OWN_WRITES: f64 = 2.0;

pub fn case(objects: usize) -> Case {
    let name = format!("restart with {} finished", number(as_float(objects as u64)));
    let how = "The candidate rests beside finished objects and is ended (SIGTERM); a new object is created, and the candidate \
               started again.";
    let mut case = Case::new(Scenario::Restart, name, how).beside_all(false);
    (case.objects, case.rounds) = (objects, if objects > 50_000 { 2 } else { 5 });
    case.bars = vec![Bar::Exactly(CALLS, 0.0), Bar::Exactly(WRITES, 0.0), Bar::AtMost(SECONDS, 1.0)];
    case
}

pub async fn step(case: &Case, setting: &Setting, candidate: Candidate) -> Result<Sample, Failure> {
    let actors = Actors::new(setting).await?;
    let (stage, settings) = (&actors.stage, Settings::default());
    let rest = async |pid: Option<u32>| match pid {
        Some(pid) => rests(pid, Duration::from_secs(5), Duration::from_secs(120)).await,
        None => Ok(()),
    };
    objects::create_finished(&stage.client, &stage.place, case.objects, candidate == Candidate::Kopf).await?;
    let running = actors.start(candidate, &settings).await?;
    objects::create(&stage.client, &stage.place, NEW[0]).await?;
    explained(&running, actors.watching.settled_at(NEW[0])).await?;
    rest(running.pid()).await?;
    let first = Counts::now(&stage.plane).await?;
    running.terminate().await?;
    let calls = stage.cloud.total_calls();

    objects::create(&stage.client, &stage.place, NEW[1]).await?;
    let window = Window::open(stage)?;
    let running = actors.start(candidate, &settings).await?;
    let window = window.with_new(running.pid());
    stage.cloud.arrived(&objects::cluster(NEW[1]), 1).await;
    let called = Instant::now();
    explained(&running, actors.watching.settled_at(NEW[1])).await?;
    rest(running.pid()).await?;
    let seen = window.measured()?;
    let counts = Counts::now(&stage.plane).await? - first;
    running.kill().await?;
    Ok(Sample::new(candidate)
        .measured(seen)
        .figure(CALLS, as_float((stage.cloud.total_calls() - calls) as u64) - 1.0)
        .figure(WRITES, counts.writes - OWN_WRITES)
        .figure("lists", counts.lists)
        .figure(SECONDS, (called - window.begin()).as_secs_f64())
        .figure("CPU seconds of the start", seen.cpu.as_secs_f64()))
}
