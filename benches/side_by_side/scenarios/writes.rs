//! The cost of an accepted generation for the API server, and the later cost of a finished object.

use std::time::Duration;

use super::Case;
use crate::{
    Failure,
    actors::{Actors, explained},
    arguments::{Arguments, Scenario},
    bars::Bar,
    candidate::{Candidate, Settings},
    counts::Counts,
    objects,
    process::{as_float, rests},
    sample::Sample,
    setting::Setting,
    window::Window,
};

const WRITES: &str = "writes per object";
const AFTERWARDS: &str = "writes per finished object and hour";
/// The peers are watched for a minute: polling shows within that time.
const PEERS_WATCHED: Duration = Duration::from_secs(60);

pub fn cases(arguments: &Arguments) -> Vec<Case> {
    let case = |objects| {
        let how = "Objects are created while the candidate runs; then nothing happens, for an hour with the operator and for \
                   a minute with each peer. By the API server's own count.";
        let mut case = Case::new(Scenario::Writes, "writes", how).beside_all(false);
        (case.objects, case.watched) = (objects, Duration::from_secs_f64(60.0 * arguments.minutes.unwrap_or(60.0)));
        case.bars = vec![Bar::Exactly(WRITES, 2.0), Bar::Exactly(AFTERWARDS, 0.0), Bar::Exactly("duplicates", 0.0)];
        case
    };
    arguments.sizes(&[1_000]).into_iter().map(case).collect()
}

pub async fn step(case: &Case, setting: &Setting, candidate: Candidate) -> Result<Sample, Failure> {
    let actors = Actors::new(setting).await?;
    let running = actors.at_work(candidate, &Settings::default()).await?;
    let plane = &actors.stage.plane;
    let before = Counts::now(plane).await?;
    let window = Window::open(&actors.stage)?.with_running(running.pid())?;
    objects::create_all(&actors.stage.client, &actors.stage.place, 0..case.objects).await?;
    explained(&running, actors.watching.settled(case.objects + 1)).await?;
    let seen = window.measured()?;
    if let Some(pid) = running.pid() {
        rests(pid, Duration::from_secs(2), Duration::from_secs(30)).await?;
    }
    let after = Counts::now(plane).await?;
    let watched = if candidate == Candidate::Operator { case.watched } else { case.watched.min(PEERS_WATCHED) };
    // The time is the subject of the measurement, not a wait for an event.
    tokio::time::sleep(watched).await;
    let afterwards = Counts::now(plane).await? - after;
    running.kill().await?;
    let (counts, hours) = (after - before, watched.as_secs_f64() / 3600.0);
    Ok(Sample::new(candidate)
        .measured(seen)
        .figure(WRITES, counts.writes_each(case.objects))
        .figure("reads per object", counts.reads_each(case.objects))
        .figure("requests per object, all kinds", counts.all / as_float(case.objects as u64))
        .figure(AFTERWARDS, afterwards.writes_each(case.objects) / hours)
        .figure("minutes watched afterwards", watched.as_secs_f64() / 60.0)
        .figure("duplicates", actors.duplicates()))
}
