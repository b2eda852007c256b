//! A cloud that answers late: the drain must take as long as the bound on calls allows, and memory must not grow. The
//! measured time runs from the creation of the last object to the last call: before it the API server is busy with the
//! runner, and after it fewer calls remain than may be in flight.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use testbed::simulator::Script;

use super::Case;
use crate::{
    Failure,
    actors::{Actors, MemoryCurve, explained},
    arguments::{Arguments, Scenario},
    bars::Bar,
    candidate::{Candidate, Settings},
    objects,
    process::{as_float, memory},
    sample::{Sample, mean},
    setting::Setting,
    window::Window,
};

const SHARE: &str = "calls in flight, share of their bound";
const GROWTH: &str = "RSS, last quarter over second";

pub fn cases(arguments: &Arguments) -> Vec<Case> {
    let case = |name: &str, late: Duration, in_flight: u16, candidates: &[Candidate]| {
        let how = format!(
            "Each call is answered after {}. The operator and controller-runtime with workers have {in_flight} in flight; \
             kopf has no bound.",
            humantime::format_duration(late)
        );
        let mut case = Case::new(Scenario::Slow, name, how);
        case.objects = arguments.objects.unwrap_or(1_000);
        (case.late, case.in_flight, case.candidates) = (late, in_flight, candidates.to_vec());
        case.bars = vec![Bar::AtLeast(SHARE, 0.95), Bar::AtMost(GROWTH, 1.1), Bar::Exactly("duplicates", 0.0)];
        case
    };
    let (operator, go, kopf) = (Candidate::Operator, Candidate::GoWorkers, Candidate::Kopf);
    vec![
        case("slow cloud, 200 ms", Duration::from_millis(200), 8, &[operator, go, kopf]),
        case("slow cloud, 30 s", Duration::from_secs(30), 100, &[operator, go, kopf]),
    ]
}

pub async fn step(case: &Case, setting: &Setting, candidate: Candidate) -> Result<Sample, Failure> {
    let actors = Actors::new(setting).await?;
    let stage = &actors.stage;
    let settings = Settings { in_flight: case.in_flight, ..Settings::default() };
    for number in 0..case.objects {
        stage.cloud.script(&objects::cluster(number), [Script::ordinary().after(case.late)]);
    }
    let running = actors.at_work(candidate, &settings).await?;
    let window = Window::open(stage)?.with_running(running.pid())?;
    let curve = MemoryCurve::begin(running.pid(), Duration::from_millis(200));
    objects::create_all(&stage.client, &stage.place, 0..case.objects).await?;
    let created = i128::from(Timestamp::now().as_millisecond());
    explained(&running, actors.watching.settled(case.objects + 1)).await?;
    let seen = window.measured()?;
    let (_, peak) = running.pid().map(memory).transpose()?.unwrap_or_default();
    let points = curve.end();
    running.kill().await?;
    let quarter = points.len() / 4;
    let rss = |part: &[(f64, f64)]| mean(&part.iter().map(|(_, mib)| *mib).collect::<Vec<_>>());
    let growth = rss(&points[3 * quarter..]) / rss(&points[quarter..2 * quarter.max(1)]).max(1e-9);
    let seconds = seen.elapsed.as_secs_f64();
    let arrivals: Vec<_> = stage.cloud.entries().iter().map(|call| call.arrived_millis).collect();
    let share = in_flight(&arrivals, i128::try_from(case.late.as_millis())?, created) / f64::from(case.in_flight);
    Ok(Sample::new(candidate)
        .measured(seen)
        .figure("seconds", seconds)
        .figure(SHARE, share)
        .figure("calls in flight, most", as_float(stage.cloud.max_in_flight().0 as u64))
        .figure(GROWTH, growth)
        .figure("RSS MiB peak", peak)
        .figure("duplicates", actors.duplicates()))
}

/// How many calls waited for their answer on average, from then to the arrival of the last one.
fn in_flight(arrivals: &[i128], late: i128, from: i128) -> f64 {
    let until = arrivals.iter().copied().max().unwrap_or(from);
    let waited =
        arrivals.iter().map(|arrived| ((arrived + late).min(until) - (*arrived).max(from)).max(0)).sum::<i128>();
    as_float(u64::try_from(waited).unwrap_or_default())
        / as_float(u64::try_from(until - from).unwrap_or_default().max(1))
}
