//! Waiting objects: how many a second are delivered, from the first call to the last record, and at what cost.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::Case;
use crate::{
    Failure,
    actors::{Actors, explained},
    arguments::Scenario,
    bars::{Bar, number},
    candidate::{Candidate, Settings},
    counts::Counts,
    objects,
    process::{as_float, memory},
    sample::{PER_SECOND, Sample},
    setting::Setting,
    window::{FOREIGN_LIMIT, Window},
};

/// Depths tried for the limit, of which the best is used. Each is tried twice.
const DEPTHS: [u16; 4] = [4, 8, 16, 32];
/// Maximum number of objects of such a try.
const OBJECTS_FOR_A_TRY: usize = 2_000;
/// Time after the last record: requests in this time belong to the drain as well.
const AFTERMATH: Duration = Duration::from_secs(1);

pub fn case(objects: usize) -> Case {
    let how = "Objects wait; the candidate is started. Throughput runs from the first call to the last record.";
    let name = format!("drain of {}", number(as_float(objects as u64)));
    let mut case = Case::new(Scenario::Drain, name, how).beside_all(true);
    (case.objects, case.mirrored, case.rounds, case.ratio) = (objects, true, 5, Some(PER_SECOND));
    case.bars = vec![Bar::ShareAtLeast(0.95), Bar::AboveEveryPeer(PER_SECOND), Bar::Exactly("duplicates", 0.0)];
    case
}

pub async fn step(case: &Case, setting: &Setting, candidate: Candidate) -> Result<Sample, Failure> {
    if candidate != Candidate::Limit {
        // As the administrator of many objects would set it; controller-runtime has its 8 workers or its default.
        let in_flight =
            if candidate == Candidate::Operator { setting.arguments.in_flight } else { Settings::default().in_flight };
        let settings = Settings { in_flight, ..Settings::default() };
        return drain(case.objects, setting, candidate, &settings).await;
    }
    let (in_flight, foreign) = match setting.depth(case.objects) {
        Some(in_flight) => (in_flight, 0.0),
        None => best_depth(case.objects, setting).await?,
    };
    let settings = Settings { in_flight, ..Settings::default() };
    let mut sample = drain(case.objects, setting, candidate, &settings).await?;
    sample.foreign = sample.foreign.max(foreign);
    Ok(sample.figure("in flight", f64::from(in_flight)))
}

/// The depth that is best for the limit, and the CPU share of other processes during the search. The search runs once
/// and its result is kept, so that no step of the limit is the best of several tries: tries differ by a tenth by
/// themselves, so the best one is luck, which no candidate gets.
async fn best_depth(objects: usize, setting: &Setting) -> Result<(u16, f64), Failure> {
    let (mut rates, mut foreign) = (BTreeMap::<u16, f64>::new(), 0_f64);
    for &in_flight in DEPTHS.iter().chain(DEPTHS.iter().rev()) {
        let settings = Settings { in_flight, ..Settings::default() };
        let sample = drain(objects.min(OBJECTS_FOR_A_TRY), setting, Candidate::Limit, &settings).await?;
        foreign = foreign.max(sample.foreign);
        let rate = sample.figures.get(PER_SECOND).copied().unwrap_or_default();
        println!("    the limit with {in_flight} in flight: {} a second", number(rate));
        *rates.entry(in_flight).or_default() += rate;
    }
    let best = rates.into_iter().max_by(|(_, one), (_, other)| one.total_cmp(other));
    let (best, _) = best.ok_or("no depth was tried")?;
    if foreign <= FOREIGN_LIMIT || setting.arguments.accept_load {
        setting.set_depth(objects, best);
    }
    Ok((best, foreign))
}

async fn drain(
    objects: usize,
    setting: &Setting,
    candidate: Candidate,
    settings: &Settings,
) -> Result<Sample, Failure> {
    let actors = Actors::new(setting).await?;
    let (client, place) = (&actors.stage.client, &actors.stage.place);
    objects::create_all(client, place, 0..objects).await?;
    let before = Counts::now(&actors.stage.plane).await?;
    let window = Window::open(&actors.stage)?;
    let running = actors.start(candidate, settings).await?;
    let window = window.with_new(running.pid());
    let first = explained(&running, first_call(&actors)).await?;
    explained(&running, actors.watching.settled(objects)).await?;
    let seen = window.measured()?;
    let (rss, peak) = running.pid().map(memory).transpose()?.unwrap_or_default();
    tokio::time::sleep(AFTERMATH).await;
    let counts = Counts::now(&actors.stage.plane).await? - before;
    running.kill().await?;
    let last = actors.watching.last().ok_or("nothing was settled")?;
    let seconds = last.saturating_duration_since(first).as_secs_f64();
    let each = |value: f64| value / as_float(objects as u64);
    let sample = Sample::new(candidate)
        .measured(seen)
        .figure(PER_SECOND, as_float(objects as u64) / seconds)
        .figure("seconds from start to first call", (first - window.begin()).as_secs_f64())
        .figure("CPU us per object, API server and etcd", each(seen.plane.as_secs_f64() * 1e6))
        .figure("duplicates", actors.duplicates())
        .figure("objects not delivered", actors.watching.undelivered())
        .figure("writes per object", counts.writes_each(objects))
        .figure("reads per object", counts.reads_each(objects));
    if candidate == Candidate::Limit {
        return Ok(sample);
    }
    Ok(sample
        .figure("CPU us per object", each(seen.cpu.as_secs_f64() * 1e6))
        .figure("RSS MiB at the end", rss)
        .figure("RSS MiB peak", peak))
}

/// When the first call of any object arrived.
async fn first_call(actors: &Actors<'_>) -> Result<Instant, Failure> {
    actors.stage.cloud.any_arrived(1).await;
    Ok(Instant::now())
}
