//! Objects that are created while the candidate runs: its CPU for each, from creation to completion.

use super::Case;
use crate::{
    Failure,
    actors::{Actors, explained},
    arguments::Scenario,
    bars::Bar,
    candidate::{Candidate, Settings},
    objects,
    process::as_float,
    sample::Sample,
    setting::Setting,
    window::Window,
};

const CPU: &str = "CPU us per object";

pub fn case(objects: usize) -> Case {
    let how = "The candidate is at work; objects are created, 16 at once. CPU of its process by /proc.";
    let mut case = Case::new(Scenario::Cpu, "cpu", how).beside_all(false);
    (case.objects, case.mirrored, case.rounds) = (objects, true, 5);
    case.bars = vec![Bar::AtMost(CPU, 300.0), Bar::BelowEveryPeer(CPU), Bar::Exactly("duplicates", 0.0)];
    case
}

pub async fn step(case: &Case, setting: &Setting, candidate: Candidate) -> Result<Sample, Failure> {
    let actors = Actors::new(setting).await?;
    let running = actors.at_work(candidate, &Settings::default()).await?;
    let window = Window::open(&actors.stage)?.with_running(running.pid())?;
    objects::create_all(&actors.stage.client, &actors.stage.place, 0..case.objects).await?;
    explained(&running, actors.watching.settled(case.objects + 1)).await?;
    let seen = window.measured()?;
    running.kill().await?;
    let objects = as_float(case.objects as u64);
    Ok(Sample::new(candidate)
        .measured(seen)
        .figure(CPU, seen.cpu.as_secs_f64() * 1e6 / objects)
        .figure("objects per second, with their creation", objects / seen.elapsed.as_secs_f64())
        .figure("duplicates", actors.duplicates()))
}
