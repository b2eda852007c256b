//! A cloud that accepts five calls a second of each key and refuses the rest: how much of that rate is used, and how
//! few calls are refused.

use std::time::Duration;

use testbed::simulator::{Entry, Throttle};

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

const PER_SECOND: u16 = 5;
const USED: &str = "% of the allowed calls used";
const REFUSED: &str = "% of calls refused";
const OUT_OF_ORDER: &str = "places out of order, most";

pub fn case(objects: usize) -> Case {
    let how = "The cloud takes 5 calls a second and refuses more with 429 and Retry-After. All objects are created at \
               once. The operator and controller-runtime have a pace of 5 a second; the others know none.";
    let mut case = Case::new(Scenario::Pace, "pace", how).beside_all(false);
    case.objects = objects;
    case.bars = vec![
        Bar::AtLeast(USED, 98.0),
        Bar::AtMost(REFUSED, 1.0),
        Bar::Exactly("duplicates", 0.0),
        Bar::AtMost(OUT_OF_ORDER, 0.0),
    ];
    case
}

pub async fn step(case: &Case, setting: &Setting, candidate: Candidate) -> Result<Sample, Failure> {
    let actors = Actors::new(setting).await?;
    let (stage, objects) = (&actors.stage, case.objects);
    let settings = Settings { calls_per_second: PER_SECOND, ..Settings::default() };
    let running = actors.at_work(candidate, &settings).await?;
    let before = stage.cloud.total_calls();
    stage.cloud.throttle(Some(Throttle { limit: usize::from(PER_SECOND), seconds: 1, retry_after: true }));
    let window = Window::open(stage)?.with_running(running.pid())?;
    // One after the other, so that there is an order to keep; that is a hundred times as fast as the rate limit.
    for number in 0..objects {
        objects::create(&stage.client, &stage.place, number).await?;
    }
    explained(&running, actors.watching.settled(objects + 1)).await?;
    let seen = window.measured()?;
    running.kill().await?;
    let calls: Vec<_> = stage.cloud.entries().split_off(before);
    let refused = calls.iter().filter(|call| !call.verified).count();
    let taken: Vec<_> = calls.iter().filter(|call| call.verified).collect();
    let [first, .., last] = taken.as_slice() else { return Err("fewer than two calls were taken".into()) };
    let millis = u64::try_from(last.arrived_millis - first.arrived_millis)?;
    let span = Duration::from_millis(millis).as_secs_f64();
    // The time between the first and the last of them allows this many more.
    let used = as_float(taken.len() as u64 - 1) / (span * f64::from(PER_SECOND));
    Ok(Sample::new(candidate)
        .measured(seen)
        .figure(USED, used * 100.0)
        .figure(REFUSED, as_float(refused as u64) / as_float(calls.len() as u64) * 100.0)
        .figure("objects whose one call was refused", as_float(unserved(objects, &taken) as u64))
        .figure("duplicates", actors.duplicates())
        .figure(OUT_OF_ORDER, as_float(displaced(&taken) as u64))
        .figure("seconds", seen.elapsed.as_secs_f64()))
}

/// Objects without an accepted call.
fn unserved(objects: usize, taken: &[&Entry]) -> usize {
    let mut clusters: Vec<_> = taken.iter().map(|call| call.cluster.as_str()).collect();
    clusters.sort_unstable();
    clusters.dedup();
    objects.saturating_sub(clusters.len())
}

/// The largest distance of an accepted call from its place in the order.
fn displaced(taken: &[&Entry]) -> usize {
    let mut sorted: Vec<_> = taken.iter().map(|call| call.cluster.as_str()).collect();
    sorted.sort_unstable();
    let place = |cluster: &str| sorted.binary_search(&cluster).unwrap_or_default();
    taken.iter().enumerate().map(|(index, call)| index.abs_diff(place(&call.cluster))).max().unwrap_or_default()
}
