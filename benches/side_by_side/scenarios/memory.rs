//! Memory beside finished objects: at rest, at its highest, and for each object.

use std::time::Duration;

use super::Case;
use crate::{
    Failure,
    actors::{Actors, explained},
    arguments::Scenario,
    bars::{Bar, number},
    candidate::{Candidate, Running, Settings},
    counts::Counts,
    objects,
    process::{as_float, memory, rests},
    sample::Sample,
    setting::Setting,
    stage::Stage,
    window::Window,
};

const RSS: &str = "RSS MiB at rest";
const RATIO: &str = "peak over rest";
/// Number of the object that shows that the whole list was processed: its name sorts last.
const LAST: usize = 9_500_000;
/// Number of the one object of a candidate that has no other.
const ONLY: usize = 9_400_000;

pub fn case(objects: usize) -> Case {
    let name = format!("memory with {} finished", number(as_float(objects as u64)));
    let how = "The candidate is started beside finished objects, serves one new object, and rests.";
    let mut case = Case::new(Scenario::Memory, name, how).beside_all(false);
    (case.objects, case.rounds) = (objects, if objects > 50_000 { 2 } else { 5 });
    let most = match objects {
        0 => 8.0,
        1..=10_000 => 10.0,
        _ => 16.0,
    };
    case.bars = vec![Bar::AtMost(RSS, most), Bar::AtMost(RATIO, 1.25), Bar::BelowEveryPeer(RSS)];
    case
}

pub async fn step(case: &Case, setting: &Setting, candidate: Candidate) -> Result<Sample, Failure> {
    let actors = Actors::new(setting).await?;
    let stage = &actors.stage;
    let empty = if case.objects > 0 { Some(beside(setting, stage, candidate, 0).await?) } else { None };
    objects::create_finished(&stage.client, &stage.place, case.objects, candidate == Candidate::Kopf).await?;
    let (before, calls_before) = (Counts::now(&stage.plane).await?, stage.cloud.total_calls());
    let window = Window::open(stage)?;
    let running = actors.start(candidate, &Settings::default()).await?;
    let window = window.with_new(running.pid());
    objects::create(&stage.client, &stage.place, LAST).await?;
    explained(&running, actors.watching.settled_at(LAST)).await?;
    let (rss, peak) = at_rest(&running).await?;
    let seen = window.measured()?;
    let counts = Counts::now(&stage.plane).await? - before;
    let calls = stage.cloud.total_calls();
    running.kill().await?;
    let mut sample = Sample::new(candidate)
        .measured(seen)
        .figure(RSS, rss)
        .figure("RSS MiB peak", peak)
        .figure(RATIO, peak / rss)
        .figure("calls for finished objects", as_float((calls - calls_before) as u64) - 1.0)
        .figure("writes", counts.writes);
    if let Some(empty) = empty {
        let bytes = (rss - empty) * 1024.0 * 1024.0 / as_float(case.objects as u64);
        sample = sample.figure("bytes per finished object", bytes);
    }
    Ok(sample)
}

/// Memory at rest beside this number of finished objects, in another place on the same API server, after the candidate
/// has served one object as well.
pub async fn beside(setting: &Setting, stage: &Stage, candidate: Candidate, finished: usize) -> Result<f64, Failure> {
    let place = stage.another_place().await?;
    objects::create_finished(&stage.client, &place, finished, candidate == Candidate::Kopf).await?;
    let running = Running::start(candidate, &setting.programs, stage, &place, &Settings::default()).await?;
    objects::create(&stage.client, &place, ONLY).await?;
    stage.cloud.arrived(&objects::cluster(ONLY), 1).await;
    let (rss, _) = at_rest(&running).await?;
    running.kill().await?;
    Ok(rss)
}

/// Present and highest memory, after ten seconds without work.
pub async fn at_rest(running: &Running) -> Result<(f64, f64), Failure> {
    let Some(pid) = running.pid() else { return Ok((0.0, 0.0)) };
    rests(pid, Duration::from_secs(10), Duration::from_secs(120)).await?;
    memory(pid)
}
