//! Objects that come, are delivered and are deleted, for an hour: memory must end where it began.

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};

use super::Case;
use crate::{
    Failure,
    actors::{Actors, MemoryCurve, explained},
    arguments::{Arguments, Scenario},
    bars::Bar,
    candidate::{Candidate, Settings},
    objects,
    process::as_float,
    sample::{Sample, mean},
    setting::Setting,
    window::Window,
};

const SLOPE: &str = "RSS MiB per hour";
/// Objects in progress at once.
const AT_ONCE: usize = 64;

pub fn cases(arguments: &Arguments) -> Vec<Case> {
    let case = |objects| {
        let how = "Objects are created at an even pace, delivered and deleted. The slope is that of a straight line through \
                   the memory of the last three quarters.";
        let mut case = Case::new(Scenario::Growth, "growth", how);
        (case.objects, case.watched) = (objects, Duration::from_secs_f64(60.0 * arguments.minutes.unwrap_or(60.0)));
        case.candidates = vec![Candidate::Operator];
        case.bars = vec![Bar::AtMost(SLOPE, 0.5), Bar::Exactly("duplicates", 0.0)];
        case
    };
    arguments.sizes(&[100_000]).into_iter().map(case).collect()
}

pub async fn step(case: &Case, setting: &Setting, candidate: Candidate) -> Result<Sample, Failure> {
    let actors = Actors::new(setting).await?;
    let (client, place, watching) = (&actors.stage.client, &actors.stage.place, &actors.watching);
    let running = actors.at_work(candidate, &Settings::default()).await?;
    let window = Window::open(&actors.stage)?.with_running(running.pid())?;
    let every = case.watched / u32::try_from(case.objects)?;
    let curve = MemoryCurve::begin(running.pid(), (case.watched / 400).max(Duration::from_millis(100)));
    let begin = Instant::now();
    let lives = stream::iter(0..case.objects).map(async |number| {
        let due = begin + every * u32::try_from(number)?;
        tokio::time::sleep_until(due.into()).await;
        objects::create(client, place, number).await?;
        watching.settled_at(number).await?;
        objects::delete(client, place, number).await
    });
    explained(&running, lives.buffer_unordered(AT_ONCE).try_for_each(|()| async { Ok(()) })).await?;
    let seen = window.measured()?;
    let points = curve.end();
    running.kill().await?;
    let settled = points.get(points.len() / 4..).unwrap_or_default();
    Ok(Sample::new(candidate)
        .measured(seen)
        .figure(SLOPE, slope(settled) * 3600.0)
        .figure("RSS MiB at the end", points.last().map_or(0.0, |(_, mib)| *mib))
        .figure("minutes", seen.elapsed.as_secs_f64() / 60.0)
        .figure("CPU us per object", seen.cpu.as_secs_f64() * 1e6 / as_float(case.objects as u64))
        .figure("duplicates", actors.duplicates()))
}

/// Slope of the least-squares line.
fn slope(points: &[(f64, f64)]) -> f64 {
    let of = |which: fn(&(f64, f64)) -> f64| mean(&points.iter().map(which).collect::<Vec<_>>());
    let (x, y) = (of(|point| point.0), of(|point| point.1));
    let spread: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum::<f64>() / spread.max(1e-9)
}
