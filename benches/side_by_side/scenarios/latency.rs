//! One object at a time: from the request that creates it to the arrival of the call, and to the moment at which a
//! watch shows that it is done. The limit here is the bare chain of the same requests.

use std::time::{Duration, Instant};

use super::Case;
use crate::{
    Failure,
    actors::{Actors, explained},
    arguments::Scenario,
    bars::Bar,
    candidate::{Candidate, Settings},
    objects,
    sample::{Sample, quantile},
    setting::Setting,
    window::Window,
};

const DONE: &str = "ms to done, p50";
/// A pause between two objects, so that each meets an idle system.
const APART: Duration = Duration::from_millis(50);

pub fn case(objects: usize) -> Case {
    let how =
        "One object at a time, 50 ms apart, each created once the one before is done. The limit is the bare chain.";
    let mut case = Case::new(Scenario::Latency, "latency", how).beside_all(true);
    (case.objects, case.mirrored, case.rounds, case.ratio) = (objects, true, 5, Some(DONE));
    case.bars = vec![Bar::ShareAtMost(1.1), Bar::BelowEveryPeer(DONE)];
    case
}

pub async fn step(case: &Case, setting: &Setting, candidate: Candidate) -> Result<Sample, Failure> {
    let actors = Actors::new(setting).await?;
    let settings = match candidate {
        Candidate::Limit => Settings { in_flight: 1, ..Settings::default() },
        _ => Settings::default(),
    };
    let running = actors.at_work(candidate, &settings).await?;
    let window = Window::open(&actors.stage)?.with_running(running.pid())?;
    let (mut called, mut done) = (Vec::new(), Vec::new());
    for number in 0..case.objects {
        let cluster = objects::cluster(number);
        let cloud = std::sync::Arc::clone(&actors.stage.cloud);
        let arrival = tokio::spawn(async move {
            cloud.arrived(&cluster, 1).await;
            Instant::now()
        });
        let begin = objects::create(&actors.stage.client, &actors.stage.place, number).await?;
        let settled = explained(&running, actors.watching.settled_at(number)).await?;
        called.push(millis(begin, arrival.await?));
        done.push(millis(begin, settled));
        tokio::time::sleep(APART).await;
    }
    let seen = window.measured()?;
    running.kill().await?;
    called.sort_by(f64::total_cmp);
    done.sort_by(f64::total_cmp);
    Ok(Sample::new(candidate)
        .measured(seen)
        .figure("ms to the call, p50", quantile(&called, 0.5))
        .figure("ms to the call, p99", quantile(&called, 0.99))
        .figure(DONE, quantile(&done, 0.5))
        .figure("ms to done, p99", quantile(&done, 0.99))
        .figure("ms to done, most", quantile(&done, 1.0)))
}

fn millis(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_secs_f64() * 1000.0
}
