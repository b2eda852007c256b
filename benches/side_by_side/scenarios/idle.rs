//! The costs of a candidate while nothing happens.

use std::time::Duration;

use super::Case;
use crate::{
    Failure,
    actors::Actors,
    arguments::Scenario,
    bars::Bar,
    candidate::{Candidate, Settings},
    counts::Counts,
    objects,
    process::rests,
    sample::Sample,
    setting::Setting,
    window::Window,
};

const CPU: &str = "CPU, % of a core";
const REQUESTS: &str = "requests per second";

pub fn case(objects: usize) -> Case {
    let how = "Beside finished objects, after a start and one new object, nothing happens. Requests of the candidate's \
               account by the API server's count, its Lease and watches included.";
    let mut case = Case::new(Scenario::Idle, "idle", how).beside_all(false);
    (case.objects, case.watched) = (objects, Duration::from_secs(600));
    case.bars = vec![Bar::AtMost(CPU, 0.05), Bar::AtMost(REQUESTS, 0.3)];
    case
}

pub async fn step(case: &Case, setting: &Setting, candidate: Candidate) -> Result<Sample, Failure> {
    let actors = Actors::new(setting).await?;
    let stage = &actors.stage;
    objects::create_finished(&stage.client, &stage.place, case.objects, candidate == Candidate::Kopf).await?;
    let running = actors.at_work(candidate, &Settings::default()).await?;
    if let Some(pid) = running.pid() {
        rests(pid, Duration::from_secs(10), Duration::from_secs(120)).await?;
    }
    let before = Counts::now(&stage.plane).await?;
    let window = Window::open(stage)?.with_running(running.pid())?;
    // The time is the subject of the measurement, not a wait for an event.
    tokio::time::sleep(case.watched).await;
    let seen = window.measured()?;
    let counts = Counts::now(&stage.plane).await? - before;
    running.kill().await?;
    let seconds = seen.elapsed.as_secs_f64();
    Ok(Sample::new(candidate)
        .measured(seen)
        .figure(CPU, seen.cpu.as_secs_f64() / seconds * 100.0)
        .figure(REQUESTS, counts.all / seconds)
        .figure("writes", counts.writes)
        .figure("minutes", seconds / 60.0))
}
