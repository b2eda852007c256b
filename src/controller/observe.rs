//! Looks at a redistribution after its call, when that is due. It calls nothing, claims nothing and writes nothing itself.

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
        messages::{CREDENTIALS_AGAIN, RECHECK_AFTER},
        observe::report::say,
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

/// Longest pause before the first look: a restart must not look at everything at once, and who has just called wants to
/// see something.
const FIRST_LOOK: Duration = Duration::from_secs(10);
/// First pause where a look cannot be made at the moment.
const NOT_NOW: Duration = Duration::from_secs(2);
/// The last one: the Secret may have been mended.
const MAX_WAIT: Duration = Duration::from_secs(900);

/// How shortly before a claim another call may have been made so that what it began had not shown in the baseline: the
/// settle time, and the age that a baseline may have when it is used.
fn shortly(settings: &Observe) -> Duration {
    settings.settle + VALID_FOR + MAX_SEND_BUDGET
}

/// One look, if it is due.
pub async fn observe(context: &Context, object: &ClusterRedistribution, stage: Stage) -> Result<Action, Error> {
    let (Some(settings), Some(attempt)) = (context.observe, object.attempt()) else {
        return Ok(Action::await_change());
    };
    let uid = object.metadata.uid.as_deref().unwrap_or_default();
    let first = jittered(FIRST_LOOK.min(settings.every));
    let watch = context.attempts().schedule.entry(uid, &attempt.id, first, Instant::now());
    let rest = watch.next.saturating_duration_since(Instant::now());
    if !rest.is_zero() {
        return Ok(Action::requeue(rest));
    }
    let (finding, watch) = match look(context, object, attempt, stage, &settings, watch).await {
        Look::Stopped => return Ok(Action::await_change()),
        Look::NotNow(watch) => (Finding::Nothing, watch),
        Look::Found(finding, watch) => (*finding, watch),
    };
    let next = watch.next;
    // Before the write: its echo must not look again at once.
    context.attempts().schedule.keep(uid, watch);
    if say(context, object, attempt, &finding).await? {
        context.attempts().schedule.end(uid);
        return Ok(Action::await_change());
    }
    context.forgive(uid);
    Ok(Action::requeue(next.saturating_duration_since(Instant::now())))
}

/// What became of a look.
enum Look {
    /// This is what it found, and when the next one is due.
    Found(Box<Finding>, Scheduled),
    /// It could not be made.
    NotNow(Scheduled),
    /// This process is being stopped.
    Stopped,
}

async fn look(
    context: &Context,
    object: &ClusterRedistribution,
    attempt: &Attempt,
    stage: Stage,
    settings: &Observe,
    watch: Scheduled,
) -> Look {
    if stage == Stage::Over {
        let next = Instant::now() + jittered(RECHECK_AFTER);
        return Look::Found(Box::new(observe::over()), Scheduled { next, ..watch });
    }
    // Whether somebody else has called for the cluster is known only once all objects that may be seen were.
    let is_known = object.status.as_ref().is_some_and(|status| status.redistribution.is_some());
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    if !is_known && !context.synced.is_all_known_for(namespace) {
        return put_off(watch, settings, Duration::ZERO);
    }
    let route = match route(context, object, attempt).await {
        Ok(route) => route,
        Err(wait) => return put_off(watch, settings, wait),
    };
    let reading = match context.admission.read(route.key_identity) {
        Ok(reading) => reading,
        Err(Refusal::Rejected { wait, .. }) => return put_off(watch, settings, wait.unwrap_or(RECHECK_AFTER)),
        Err(Refusal::Throttled { wait, .. } | Refusal::Slot { wait: Some(wait) }) => {
            return put_off(watch, settings, wait);
        }
        Err(_) => return put_off(watch, settings, Duration::ZERO),
    };
    tokio::select! {
        seen = read(context, object, attempt, stage, settings, watch, (&route, reading)) => seen,
        () = context.closing.cancelled() => Look::Stopped,
    }
}

/// Later each time, since each try reads the Secret.
fn put_off(watch: Scheduled, settings: &Observe, wait: Duration) -> Look {
    let grown = NOT_NOW.saturating_mul(1 << watch.put_off.min(8)).min(settings.every.max(NOT_NOW));
    let next = Instant::now() + jittered(grown).max(wait).min(MAX_WAIT);
    Look::NotNow(Scheduled { next, put_off: watch.put_off.saturating_add(1), ..watch })
}

/// All that a look needs.
struct Route {
    endpoint: Endpoint,
    key: Key,
    key_identity: KeyIdentity,
}

/// Else how long to wait at least. A call would say why it cannot be made; of a look nothing is said, since nothing
/// depends on it.
async fn route(context: &Context, object: &ClusterRedistribution, attempt: &Attempt) -> Result<Route, Duration> {
    let switches = annotations::read(object.metadata.annotations.as_ref()).map_err(|_| RECHECK_AFTER)?;
    // Where the call went, also if the controller's default region is another one by now.
    let endpoint = context.rules.regions.resolve(attempt.region.as_deref()).map_err(|_| RECHECK_AFTER)?;
    let plan = Plan { endpoint, switches, probe_first: false };
    let key = key(context, object, &plan, &source(context, object, &plan)).await.map_err(|why| {
        tracing::debug!(?why, "there is no key for a look");
        match why {
            NotReady::Shortly(rest) => rest,
            NotReady::Hold(_) => RECHECK_AFTER,
            NotReady::Retry(_) => CREDENTIALS_AGAIN,
        }
    })?;
    Ok(Route { key_identity: context.credentials.identity(&key, &plan.endpoint), endpoint: plan.endpoint, key })
}

/// Reads what is needed, and judges it.
async fn read(
    context: &Context,
    object: &ClusterRedistribution,
    attempt: &Attempt,
    stage: Stage,
    settings: &Observe,
    watch: Scheduled,
    (route, mut reading): (&Route, Reading),
) -> Look {
    let (request, now) = (RedistributionRequest::from(&object.spec), Timestamp::now());
    let status = object.status.clone().unwrap_or_default();
    let baseline = attempt.baseline.clone().unwrap_or_default();
    let others = {
        let cluster = object.spec.cluster_id.to_ascii_lowercase();
        context.attempts().schedule.others(&cluster, &attempt.uid, attempt.generation, shortly(settings))
    };
    let said = condition_at(&status.conditions, REDISTRIBUTED, attempt.generation);
    let past = Past {
        baseline: &baseline,
        known: status.redistribution.as_ref(),
        request: &request,
        hint: watch.hint,
        others_before: others.before,
        others_since: others.since,
        has_settled: watch.since.is_some_and(|since| since.elapsed() >= settings.settle),
        reported: said.map(|said| said.reason.as_str()),
    };
    let details = context.cloud.details(&request, &route.key, &route.endpoint, now).await;
    context.metrics.observation(details.label());
    reading.learn(details.key_effect());
    // A key that the gateway refuses is not shown to it a second time.
    let cluster = if needs_cluster(stage, &past, &details) && !reading.is_refused() {
        reading.spend();
        let cluster = context.cloud.cluster(&request, &route.key, &route.endpoint, Timestamp::now()).await;
        context.metrics.look(cluster.label());
        reading.learn(cluster.key_effect());
        Some(cluster)
    } else {
        None
    };
    let sight = Readings { details: &details, cluster: cluster.as_ref() };
    let (finding, hint) = judge(stage, &past, &sight);
    let has_moved = observed(&status, attempt.generation, &finding, now).is_some() || hint != watch.hint;
    let unmoved = if has_moved { 0 } else { watch.unmoved.saturating_add(1) };
    let reads = if cluster.is_some() { 2 } else { 1 };
    let pause = observe::pause(settings, stage, &finding, unmoved, reads, rand::random());
    let since = watch.since.or_else(|| sight.is_readable().then(Instant::now));
    Look::Found(
        Box::new(finding),
        Scheduled { next: Instant::now() + pause, unmoved, hint, since, put_off: 0, ..watch },
    )
}
