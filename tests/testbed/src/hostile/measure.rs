//! Measures what B and the kubelet notice. It judges nothing.

use std::{net::SocketAddr, ops::Range, time::Duration};

use k8s_openapi::jiff::Timestamp;
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{
    stage::Stage,
    tenant::{self, Tenant},
};
use crate::{Failure, eventually::try_eventually, simulator::Entry};

/// An answer of `/livez` that takes longer counts as none.
const LIVEZ_WITHIN: Duration = Duration::from_secs(10);

/// Those of B's ten objects tell their requests from those of others for the same cluster.
const JOBS: Range<u8> = 10..20;

/// The figures of one operator; none where something never came.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measured {
    /// Worst time from create to the request's arrival, in seconds.
    pub called: Option<f64>,
    /// Worst answer of `/livez`, in seconds.
    pub livez: Option<f64>,
    /// Peak memory, in MiB.
    pub peak: Option<f64>,
}

#[derive(Clone, Copy, Debug)]
pub struct Called {
    /// Worst time from create to the request's arrival at the cloud, in seconds; none if one never arrived.
    pub worst: Option<f64>,
    /// Most other calls with the same key that arrived between create and the request.
    pub before: usize,
}

/// Creates ten objects one after the other, each after the one before it was answered; for clusters of their own, or for this
/// one.
pub async fn called(stage: &Stage, b: &Tenant, cluster: Option<&str>) -> Result<Called, Failure> {
    let (cloud, mut times, mut before) = (&stage.bench.cloud, Vec::new(), 0);
    for jobs in JOBS {
        let cluster = cluster.map_or_else(|| stage.cluster(None), str::to_owned);
        let mut object = tenant::object(&cluster);
        object["spec"]["parallelJobs"] = json!(jobs);
        b.create(object).await?;
        let created = i128::from(Timestamp::now().as_millisecond());
        let is_it = |entry: &Entry| entry.body.contains(&format!("\"parallel_jobs\":{jobs}}}"));
        let find = || cloud.entries_of(&[&cluster]).into_iter().filter(is_it).collect::<Vec<_>>();
        let arrived =
            try_eventually(stage.patience(), "B is called", async || find().into_iter().next().ok_or("no call"));
        let Ok(call) = arrived.await else { return Ok(Called { worst: None, before }) };
        times.push(seconds(call.arrived_millis - created));
        let is_before = |entry: &&Entry| {
            entry.access_key == b.access_key && entry.arrived_millis >= created && entry.number < call.number
        };
        before = before.max(cloud.entries().iter().filter(is_before).count());
        let answered = try_eventually(stage.patience(), "B is answered", async || {
            if find().iter().all(|entry| entry.outcome.is_some()) { Ok(()) } else { Err("no answer") }
        });
        answered.await?;
        if find().len() > 1 {
            return Err(format!("two calls for one object of B: {:?}", find()).into());
        }
        tokio::time::sleep(stage.between()).await;
    }
    Ok(Called { worst: worst(times), before })
}

/// Asks `/livez` once a second, each time by a new connection. Returns the worst answer in seconds; none if one never came
/// or did not say 200.
pub async fn livez(address: SocketAddr, enough: &CancellationToken) -> Result<Option<f64>, Failure> {
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(LIVEZ_WITHIN).build()?;
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut answers, mut is_dead) = (Vec::new(), false);
    while enough.run_until_cancelled(ticks.tick()).await.is_some() {
        let asked = Instant::now();
        match client.get(format!("http://{address}/livez")).send().await {
            Ok(answer) if answer.status().is_success() => answers.push(asked.elapsed().as_secs_f64()),
            _ => is_dead = true,
        }
    }
    Ok(if is_dead { None } else { worst(answers) })
}

fn worst(values: Vec<f64>) -> Option<f64> {
    values.into_iter().reduce(f64::max)
}

#[allow(clippy::cast_precision_loss, reason = "times here are far below 2^52 milliseconds")]
fn seconds(millis: i128) -> f64 {
    millis.max(0) as f64 / 1000.0
}

/// The most of these instants within one window of this length.
pub fn most_within(window: Duration, instants: &[i128]) -> usize {
    let window = i128::try_from(window.as_millis()).unwrap_or(i128::MAX);
    let from = |begin: i128| instants.iter().filter(|&&at| at >= begin && at - begin < window).count();
    instants.iter().map(|&begin| from(begin)).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_instants_within_a_window_are_counted_wherever_it_begins() {
        let window = Duration::from_millis(10);
        assert_eq!(most_within(window, &[]), 0);
        assert_eq!(most_within(window, &[0, 9, 10, 19, 20, 21]), 3);
    }

    #[test]
    fn the_worst_of_no_values_is_none() {
        assert_eq!(worst(vec![1.0, 3.0, 2.0]), Some(3.0));
        assert_eq!(worst(Vec::new()), None);
    }
}
