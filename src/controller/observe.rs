//! Looks at a redistribution after its call, and says what it sees. It calls nothing, claims nothing and never touches the
//! journal.

use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use kube::runtime::controller::Action;

use super::{Error, SOON};
use crate::{
    annotations,
    context::Context,
    decide::Step,
    dws::{Looked, Wish, credentials::Key, endpoint::Endpoint},
    events::Mood,
    gate::Reading,
    held::HELD_AGAIN,
    jitter::jittered,
    ledger::{API_TIMEOUT, WriteError},
    memory::Watch,
    observation::{self, Finding, Observe, Past, Sight, Stage, judge, needs_cluster},
    prepare::object_name,
    resource::{Attempt, ClusterRedistribution},
    status::observed::{News, observed},
};

/// Longest pause before the first look: a restart must not look at everything at once, and who has just called wants to
/// see something.
const FIRST_LOOK: Duration = Duration::from_secs(10);
/// When the key may not be used at the moment.
const NOT_NOW: Duration = Duration::from_secs(4);
/// Tries to write what was seen. What could not be written is seen again.
const TRIES: usize = 5;

/// One look, if it is due.
pub async fn observe(context: &Context, object: &ClusterRedistribution, stage: Stage) -> Result<Action, Error> {
    let (Some(settings), Some(attempt)) = (context.observe, attempt_of(object)) else {
        return Ok(Action::await_change());
    };
    let uid = object.metadata.uid.as_deref().unwrap_or_default();
    let first = jittered(FIRST_LOOK.min(settings.every));
    let watch = context.memory().watches.of(uid, &attempt.id, first, Instant::now());
    let rest = watch.next.saturating_duration_since(Instant::now());
    if !rest.is_zero() {
        return Ok(Action::requeue(rest));
    }
    let Some(road) = road(context, object, attempt).await else {
        return Ok(put_off(context, uid, jittered(HELD_AGAIN).max(settings.every)));
    };
    let Some(reading) = context.gate.read(road.key_identity) else {
        return Ok(put_off(context, uid, jittered(NOT_NOW)));
    };
    let look = look(context, object, attempt, stage, &settings, &watch, (&road, reading));
    let (finding, was_idle, reads) = tokio::select! {
        seen = look => seen,
        () = context.closing.cancelled() => return Ok(Action::await_change()),
    };
    let is_news = observed(&object.status.clone().unwrap_or_default(), attempt.generation, &finding, Timestamp::now());
    let unmoved = if is_news.is_some() { 0 } else { watch.unmoved.saturating_add(1) };
    let pause = observation::pause(&settings, stage, &finding, unmoved, reads, rand::random());
    // Before the write: its echo must not look again at once.
    let next = Instant::now() + pause;
    context.memory().watches.keep(uid, Watch { next, unmoved, was_idle, ..watch });
    if is_news.is_some() && say(context, object, attempt, &finding).await? {
        context.memory().watches.end(uid);
        return Ok(Action::await_change());
    }
    Ok(Action::requeue(pause))
}

/// All that a look needs.
struct Road {
    endpoint: Endpoint,
    key: Key,
    key_identity: crate::dws::credentials::KeyIdentity,
}

/// `None`: it cannot be looked at now. A call would say why; of a look nothing is said, since nothing depends on it.
async fn road(context: &Context, object: &ClusterRedistribution, attempt: &Attempt) -> Option<Road> {
    let switches = annotations::read(object.metadata.annotations.as_ref()).ok()?;
    // Where the call went, also if the controller's default region is another one by now.
    let endpoint = context.rules.regions.resolve(attempt.region.as_deref()).ok()?;
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let rung = context.credentials.choose(switches.credentials_secret.as_deref(), namespace);
    match context.credentials.read(&rung, Timestamp::now()).await {
        Ok(key) => Some(Road { key_identity: context.credentials.identity(&key, &endpoint), endpoint, key }),
        Err(error) => {
            tracing::debug!(%error, "the credentials for a look cannot be read");
            None
        }
    }
}

/// Reads what is needed, and judges it. Returns whether the cluster was idle, and how many reads it took.
async fn look(
    context: &Context,
    object: &ClusterRedistribution,
    attempt: &Attempt,
    stage: Stage,
    settings: &Observe,
    watch: &Watch,
    (road, mut reading): (&Road, Reading),
) -> (Finding, bool, u32) {
    let wish = Wish::from(&object.spec);
    let status = object.status.as_ref();
    let uid = object.metadata.uid.as_deref().unwrap_or_default();
    let baseline = attempt.baseline.clone().unwrap_or_default();
    let cluster = object.spec.cluster_id.to_ascii_lowercase();
    let others_called = context.memory().watches.others_called(&cluster, uid, attempt.generation, settings.settle)
        || status.is_some_and(|status| observation::follows_another(status, attempt, settings.settle));
    let past = Past {
        baseline: &baseline,
        known: status.and_then(|status| status.redistribution.as_ref()),
        wish: &wish,
        was_idle: watch.was_idle,
        others_called,
        has_settled: watch.since.elapsed() >= settings.settle,
        is_said: status.is_some_and(|status| observation::is_said(status, attempt.generation)),
    };
    let details = context.cloud.details(&wish, &road.key, &road.endpoint, Timestamp::now()).await;
    context.metrics.observation(details.label());
    reading.learn(details.key_effect());
    // A key that the gateway refuses is not shown to it a second time.
    if !needs_cluster(stage, &past, &details) || reading.is_refused() {
        return (judge(stage, &past, &Sight { details: &details, cluster: None }), false, 1);
    }
    reading.spend();
    let state = context.cloud.look(&wish, &road.key, &road.endpoint, Timestamp::now()).await;
    context.metrics.look(state.label());
    reading.learn(state.key_effect());
    let is_idle = matches!(&state, Looked::Seen(state) if state.is_idle());
    (judge(stage, &past, &Sight { details: &details, cluster: Some(&state) }), is_idle, 2)
}

/// Writes what was seen, decided on the object as it lies in the API server. Returns whether nothing is looked for any
/// more.
async fn say(
    context: &Context,
    object: &ClusterRedistribution,
    attempt: &Attempt,
    finding: &Finding,
) -> Result<bool, Error> {
    for _ in 0..TRIES {
        let latest = match context.ledger.get(object, API_TIMEOUT).await {
            Ok(latest) => latest,
            Err(WriteError::Gone) => return Ok(true),
            Err(source) => return Err(Error::Write { object: object_name(object), source }),
        };
        let same = attempt_of(&latest).is_some_and(|there| there.id == attempt.id);
        // Whoever leads now, or the next generation, sees for itself.
        if !same || !context.may_begin() || !matches!(context.decide(&latest), Step::Observe(_)) {
            return Ok(false);
        }
        let status = latest.status.clone().unwrap_or_default();
        let Some((next, news)) = observed(&status, attempt.generation, finding, Timestamp::now()) else {
            return Ok(false);
        };
        let said = ClusterRedistribution { status: Some(next.clone()), ..latest.clone() };
        match context.ledger.write(&latest, next).await {
            Ok(()) => {
                news.iter().for_each(|news| tell(context, object, attempt, news));
                return Ok(observation::stage(&said, Timestamp::now()).is_none());
            }
            Err(WriteError::Conflict) => {}
            Err(WriteError::Gone) => return Ok(true),
            Err(source) => return Err(Error::Write { object: object_name(object), source }),
        }
    }
    // Somebody writes the object again and again. It is looked at again soon.
    let uid = object.metadata.uid.as_deref().unwrap_or_default();
    context.memory().watches.put_off(uid, Instant::now() + SOON);
    Ok(false)
}

/// One log line and one event.
fn tell(context: &Context, object: &ClusterRedistribution, attempt: &Attempt, news: &News) {
    let (reason, mood, message) = match news {
        News::Confirmed(message) => ("ConfirmedByObservation", Mood::Calm, message),
        News::Started(message) => ("RedistributionStarted", Mood::Calm, message),
        News::Finished(message) => ("RedistributionFinished", Mood::Calm, message),
        News::Failed(message) => ("RedistributionFailed", Mood::Warning, message),
    };
    let ((namespace, name), generation) = (object_name(object), attempt.generation);
    tracing::info!(namespace, name, generation, attempt = attempt.id, reason, message, "observed");
    context.events.say(
        object,
        reason,
        mood,
        reason,
        &format!("{message} (generation {generation}, attempt {})", attempt.id),
    );
}

fn put_off(context: &Context, uid: &str, pause: Duration) -> Action {
    context.memory().watches.put_off(uid, Instant::now() + pause);
    Action::requeue(pause)
}

fn attempt_of(object: &ClusterRedistribution) -> Option<&Attempt> {
    object.status.as_ref()?.attempt.as_ref()
}
