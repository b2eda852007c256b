//! Polls a redistribution after its call, when a poll is due. Calls nothing, claims nothing and writes nothing itself.

pub mod report;

use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use kube::runtime::controller::Action;

use super::Error;
use crate::{
    admission::{Reading, Refusal},
    api::{Attempt, ClusterRedistribution},
    cloud::{RedistributionRequest, auth::Key, identity::KeyIdentity},
    controller::{
        context::Context,
        messages::{CREDENTIALS_RECHECK, RECHECK_AFTER},
        observe::report::write_finding,
        prepare::{NotReady, key, source},
    },
    observe::{self, Finding, Observe, Past, Readings, Stage, judge, needs_cluster, status::observed},
    protocol::{
        annotations,
        attempts::{Scheduled, VALID_FOR},
        conditions::{REDISTRIBUTED, condition_at},
        decide::Plan,
        journal::MAX_SEND_BUDGET,
        regions::Endpoint,
    },
    runtime::jitter::jittered,
};

/// Longest pause before the first poll: a restart must not poll everything at once, and a user who has just made a call
/// wants to see something.
const MAX_FIRST_POLL_DELAY: Duration = Duration::from_secs(10);
/// First pause after a poll that cannot be made at the moment.
const FIRST_POSTPONEMENT: Duration = Duration::from_secs(2);
/// Longest pause after such a poll: the Secret may have been fixed.
const MAX_POSTPONEMENT: Duration = Duration::from_secs(900);

/// How long before a claim another call may have been made without its redistribution showing in the baseline: the
/// settle time, and the age that a baseline may have when it is used.
fn baseline_blind_time(settings: &Observe) -> Duration {
    settings.settle + VALID_FOR + MAX_SEND_BUDGET
}

/// One poll, if it is due.
pub async fn observe(context: &Context, object: &ClusterRedistribution, stage: Stage) -> Result<Action, Error> {
    let (Some(settings), Some(attempt)) = (context.observe, object.attempt()) else {
        return Ok(Action::await_change());
    };
    let uid = object.metadata.uid.as_deref().unwrap_or_default();
    let first = jittered(MAX_FIRST_POLL_DELAY.min(settings.every));
    let scheduled = context.attempts().schedule.entry(uid, &attempt.id, first, Instant::now());
    let pause = scheduled.next.saturating_duration_since(Instant::now());
    if !pause.is_zero() {
        return Ok(Action::requeue(pause));
    }
    let (finding, scheduled) = match poll(context, object, attempt, stage, &settings, scheduled).await {
        Poll::Stopped => return Ok(Action::await_change()),
        Poll::Postponed(scheduled) => (Finding::Nothing, scheduled),
        Poll::Found(finding, scheduled) => (*finding, scheduled),
    };
    let next = scheduled.next;
    // Before the write: the watch event that it causes must not poll again at once.
    context.attempts().schedule.keep(uid, scheduled);
    if write_finding(context, object, attempt, &finding).await? {
        context.attempts().schedule.end(uid);
        return Ok(Action::await_change());
    }
    context.reset_failures(uid);
    Ok(Action::requeue(next.saturating_duration_since(Instant::now())))
}

/// The result of a poll.
enum Poll {
    /// The finding, and when the next poll is due.
    Found(Box<Finding>, Scheduled),
    /// The poll could not be made.
    Postponed(Scheduled),
    /// This process is being stopped.
    Stopped,
}

async fn poll(
    context: &Context,
    object: &ClusterRedistribution,
    attempt: &Attempt,
    stage: Stage,
    settings: &Observe,
    scheduled: Scheduled,
) -> Poll {
    if stage == Stage::Over {
        let next = Instant::now() + jittered(RECHECK_AFTER);
        return Poll::Found(Box::new(observe::over()), Scheduled { next, ..scheduled });
    }
    // Whether another object has called for the cluster is known only when all visible objects are known.
    let has_redistribution = object.status.as_ref().is_some_and(|status| status.redistribution.is_some());
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    if !has_redistribution && !context.synced.is_all_known_for(namespace) {
        return postpone(scheduled, settings, Duration::ZERO);
    }
    let route = match route(context, object, attempt).await {
        Ok(route) => route,
        Err(wait) => return postpone(scheduled, settings, wait),
    };
    let reading = match context.admission.begin_read(route.key_identity) {
        Ok(reading) => reading,
        Err(Refusal::Rejected { wait, .. }) => return postpone(scheduled, settings, wait.unwrap_or(RECHECK_AFTER)),
        Err(Refusal::Throttled { wait, .. } | Refusal::Slot { wait: Some(wait) }) => {
            return postpone(scheduled, settings, wait);
        }
        Err(_) => return postpone(scheduled, settings, Duration::ZERO),
    };
    tokio::select! {
        result = read(context, object, attempt, stage, settings, scheduled, (&route, reading)) => result,
        () = context.closing.cancelled() => Poll::Stopped,
    }
}

/// Postpones the poll, for longer each time, since each try reads the Secret.
fn postpone(scheduled: Scheduled, settings: &Observe, wait: Duration) -> Poll {
    let grown = FIRST_POSTPONEMENT
        .saturating_mul(1 << scheduled.postponements.min(8))
        .min(settings.every.max(FIRST_POSTPONEMENT));
    let next = Instant::now() + jittered(grown).max(wait).min(MAX_POSTPONEMENT);
    Poll::Postponed(Scheduled { next, postponements: scheduled.postponements.saturating_add(1), ..scheduled })
}

/// Everything that a poll needs.
struct Route {
    endpoint: Endpoint,
    key: Key,
    key_identity: KeyIdentity,
}

/// The route of a poll, or the minimum time to wait. A call would report why it cannot be made; a poll reports nothing,
/// since nothing depends on it.
async fn route(context: &Context, object: &ClusterRedistribution, attempt: &Attempt) -> Result<Route, Duration> {
    let switches = annotations::read(object.metadata.annotations.as_ref()).map_err(|_| RECHECK_AFTER)?;
    // The region of the call, even if the controller's default region has changed since.
    let endpoint = context.rules.regions.resolve(attempt.region.as_deref()).map_err(|_| RECHECK_AFTER)?;
    let plan = Plan { endpoint, switches, probe_first: false };
    let key = key(context, object, &plan, &source(context, object, &plan)).await.map_err(|why| {
        tracing::debug!(?why, "there is no key for a poll");
        match why {
            NotReady::RecheckSoon(pause) => pause,
            NotReady::Hold(_) => RECHECK_AFTER,
            NotReady::Retry(_) => CREDENTIALS_RECHECK,
        }
    })?;
    Ok(Route { key_identity: context.credentials.identity(&key, &plan.endpoint), endpoint: plan.endpoint, key })
}

/// Reads the redistribution and, if needed, the cluster, and judges the result.
async fn read(
    context: &Context,
    object: &ClusterRedistribution,
    attempt: &Attempt,
    stage: Stage,
    settings: &Observe,
    scheduled: Scheduled,
    (route, mut reading): (&Route, Reading),
) -> Poll {
    let (request, now) = (RedistributionRequest::from(&object.spec), Timestamp::now());
    let status = object.status.clone().unwrap_or_default();
    let baseline = attempt.baseline.clone().unwrap_or_default();
    let others = {
        let cluster = object.spec.cluster_id.to_ascii_lowercase();
        context.attempts().schedule.others(&cluster, &attempt.uid, attempt.generation, baseline_blind_time(settings))
    };
    let reported = condition_at(&status.conditions, REDISTRIBUTED, attempt.generation);
    let past = Past {
        baseline: &baseline,
        known: status.redistribution.as_ref(),
        request: &request,
        hint: scheduled.hint,
        others_before: others.before,
        others_since: others.since,
        has_settled: scheduled.since.is_some_and(|since| since.elapsed() >= settings.settle),
        reported: reported.map(|reported| reported.reason.as_str()),
    };
    let details = context.cloud.details(&request, &route.key, &route.endpoint, now).await;
    context.metrics.observation(details.label());
    reading.learn(details.key_effect());
    // A key that the gateway refuses is not sent to it a second time.
    let cluster = if needs_cluster(stage, &past, &details) && !reading.is_refused() {
        reading.spend();
        let cluster = context.cloud.cluster(&request, &route.key, &route.endpoint, Timestamp::now()).await;
        context.metrics.cluster_read(cluster.label());
        reading.learn(cluster.key_effect());
        Some(cluster)
    } else {
        None
    };
    let readings = Readings { details: &details, cluster: cluster.as_ref() };
    let (finding, hint) = judge(stage, &past, &readings);
    let has_moved = observed(&status, attempt.generation, &finding, now).is_some() || hint != scheduled.hint;
    let unchanged_polls = if has_moved { 0 } else { scheduled.unchanged_polls.saturating_add(1) };
    let reads = if cluster.is_some() { 2 } else { 1 };
    let pause = observe::pause(settings, stage, &finding, unchanged_polls, reads, rand::random());
    let since = scheduled.since.or_else(|| readings.is_readable().then(Instant::now));
    Poll::Found(
        Box::new(finding),
        Scheduled { next: Instant::now() + pause, unchanged_polls, hint, since, postponements: 0, ..scheduled },
    )
}
