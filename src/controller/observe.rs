//! Polls a redistribution after its call, in a task of its own. Calls nothing, claims nothing and changes no attempt.

mod report;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::jiff::Timestamp;

use super::{
    Work,
    decider::Decider,
    report::Reporter,
    role::Role,
    tasks::{Ended, Handle},
};
use crate::{
    admission::{Admission, Slot},
    api::{Attempt, ClusterRedistribution},
    cloud::{Client, ReadResult, RedistributionRequest, cluster::ClusterState, details::Details},
    credentials::{Credential, Credentials, Purpose},
    observe::{
        self, Finding, Observe, Past, Readings, Stage, judge, needs_cluster,
        schedule::{Schedule, Scheduled},
        status::observed,
    },
    precheck::{VALID_FOR, is_about_key},
    protocol::{
        annotations,
        conditions::{REDISTRIBUTED, condition_at},
        hold::RECHECK_AFTER,
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

/// Polls redistributions.
#[derive(Clone)]
pub struct Poller {
    /// The administrator's settings.
    pub settings: Observe,
    /// Decides whether a finding may be written.
    pub decider: Decider,
    /// Whether anything may be written.
    pub role: Role,
    /// Reads, writes and reports.
    pub reporter: Reporter,
    /// Gives slots of the rate limit.
    pub admission: Arc<Admission>,
    /// Reads Secrets and logs in.
    pub credentials: Arc<Credentials>,
    /// Reads the cloud.
    pub cloud: Arc<Client>,
    /// When polls are due.
    pub schedule: Arc<Mutex<Schedule>>,
}

/// How long before a claim another call may have been made without its redistribution showing in the baseline: the
/// settle time, and the age that a baseline may have when it is used.
fn baseline_blind_time(settings: &Observe) -> Duration {
    settings.settle + VALID_FOR + MAX_SEND_BUDGET
}

impl Poller {
    /// How long it is until the next poll of this attempt is due.
    pub fn due_in(&self, object: &ClusterRedistribution, attempt: &Attempt) -> Duration {
        let uid = object.metadata.uid.as_deref().unwrap_or_default();
        let first = jittered(MAX_FIRST_POLL_DELAY.min(self.settings.every));
        let scheduled = self.schedule().entry(uid, &attempt.id, first, Instant::now());
        scheduled.next.saturating_duration_since(Instant::now())
    }

    /// One poll, which is due.
    pub async fn run(self, object: ClusterRedistribution, stage: Stage, handle: Handle<Work>) -> Ended {
        let Some(attempt) = object.attempt() else { return Ended::Done };
        let uid = object.metadata.uid.as_deref().unwrap_or_default();
        let scheduled = self.schedule().entry(uid, &attempt.id, Duration::ZERO, Instant::now());
        let (finding, scheduled) = self.poll(&object, attempt, stage, scheduled).await;
        // Before the write: the watch event that it causes must not poll again at once.
        self.schedule().keep(uid, scheduled);
        // The watch may deliver the last finding before its write has an answer; the task must not end by that.
        if !handle.begin_claim() {
            return Ended::Done;
        }
        match self.write_finding(&object, attempt, &finding).await {
            Ok(true) => self.schedule().end(uid),
            Ok(false) => {}
            Err(error) => return Ended::Failed(error),
        }
        Ended::Done
    }

    async fn poll(
        &self,
        object: &ClusterRedistribution,
        attempt: &Attempt,
        stage: Stage,
        scheduled: Scheduled,
    ) -> (Finding, Scheduled) {
        if stage == Stage::Over {
            let next = Instant::now() + jittered(RECHECK_AFTER);
            return (observe::over(), Scheduled { next, ..scheduled });
        }
        // Whether another object has called for the cluster is known only when all visible objects are known.
        let has_redistribution = object.status.as_ref().is_some_and(|status| status.redistribution.is_some());
        let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
        if !has_redistribution && !self.role.synced.is_all_known_for(namespace) {
            return self.postponed(scheduled, Duration::ZERO);
        }
        let route = match self.route(object, attempt).await {
            Ok(route) => route,
            Err(wait) => return self.postponed(scheduled, wait),
        };
        match self.admission.read(&route.credential.id).await {
            Ok(slot) => self.read((object, attempt), stage, scheduled, &route, slot).await,
            Err(hold) => self.postponed(scheduled, hold.retry_after),
        }
    }

    /// Postpones the poll, for longer each time, since each try reads the Secret.
    fn postponed(&self, scheduled: Scheduled, wait: Duration) -> (Finding, Scheduled) {
        let grown = FIRST_POSTPONEMENT
            .saturating_mul(1 << scheduled.postponements.min(8))
            .min(self.settings.every.max(FIRST_POSTPONEMENT));
        let next = Instant::now() + jittered(grown).max(wait).min(MAX_POSTPONEMENT);
        let postponements = scheduled.postponements.saturating_add(1);
        (Finding::Nothing, Scheduled { next, postponements, ..scheduled })
    }

    /// The route of a poll, or the minimum time to wait. A call would report why it cannot be made; a poll reports nothing,
    /// since nothing depends on it.
    async fn route(&self, object: &ClusterRedistribution, attempt: &Attempt) -> Result<Route, Duration> {
        let switches = annotations::read(object.metadata.annotations.as_ref()).map_err(|_| RECHECK_AFTER)?;
        let regions = &self.decider.rules.regions;
        // The region of the call, even if the controller's default region has changed since.
        let endpoint = regions.resolve(attempt.region.as_deref()).map_err(|_| RECHECK_AFTER)?;
        let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
        let purpose = Purpose {
            source: self.credentials.choose(switches.credentials_secret.as_deref(), namespace),
            endpoint: &endpoint,
            iam: regions.iam(&endpoint.region),
            project: &object.spec.project_id,
        };
        let credential = self.credentials.resolve(&purpose).await.map_err(|hold| {
            tracing::debug!(?hold, "there is no key for a poll");
            hold.retry_after.max(RECHECK_AFTER)
        })?;
        let known = self.admission.restore_and_check(&credential, &endpoint.host);
        known.map_err(|hold| hold.retry_after)?;
        Ok(Route { endpoint, credential })
    }

    /// Reads the redistribution and, if needed, the cluster, and judges the result.
    async fn read(
        &self,
        (object, attempt): (&ClusterRedistribution, &Attempt),
        stage: Stage,
        scheduled: Scheduled,
        route: &Route,
        slot: Slot,
    ) -> (Finding, Scheduled) {
        let (request, now) = (RedistributionRequest::from(&object.spec), Timestamp::now());
        let status = object.status.clone().unwrap_or_default();
        let baseline = attempt.baseline.clone().unwrap_or_default();
        let cluster = object.spec.cluster_id.to_ascii_lowercase();
        let blind = baseline_blind_time(&self.settings);
        let others = self.schedule().others(&cluster, &attempt.uid, attempt.generation, blind);
        let reported = condition_at(&status.conditions, REDISTRIBUTED, attempt.generation);
        let past = Past {
            baseline: &baseline,
            known: status.redistribution.as_deref(),
            request: &request,
            hint: scheduled.hint,
            others_before: others.before,
            others_since: others.since,
            has_settled: scheduled.since.is_some_and(|since| since.elapsed() >= self.settings.settle),
            reported: reported.map(|reported| reported.reason.as_str()),
        };
        let details = self.read_details(&request, route, slot).await;
        // A key that the gateway refuses is not sent to it a second time.
        let is_refused = details.key_effect().is_some_and(is_about_key);
        let cluster = if needs_cluster(stage, &past, &details) && !is_refused {
            match self.admission.read(&route.credential.id).await {
                Ok(slot) => Some(self.read_cluster(&request, route, slot).await),
                Err(_) => None,
            }
        } else {
            None
        };
        let readings = Readings { details: &details, cluster: cluster.as_ref() };
        let (finding, hint) = judge(stage, &past, &readings);
        let has_moved = observed(&status, attempt.generation, &finding, now).is_some() || hint != scheduled.hint;
        let unchanged_polls = if has_moved { 0 } else { scheduled.unchanged_polls.saturating_add(1) };
        let reads = if cluster.is_some() { 2 } else { 1 };
        let pause = observe::pause(&self.settings, stage, &finding, unchanged_polls, reads, rand::random());
        let since = scheduled.since.or_else(|| readings.is_readable().then(Instant::now));
        let next = Instant::now() + pause;
        (finding, Scheduled { next, unchanged_polls, hint, since, postponements: 0, ..scheduled })
    }

    /// In a task of its own: once the read is sent, its answer counts, whoever waits for it.
    async fn read_details(
        &self,
        request: &RedistributionRequest,
        route: &Route,
        mut slot: Slot,
    ) -> ReadResult<Option<Details>> {
        let (cloud, metrics, request) = (Arc::clone(&self.cloud), self.reporter.metrics.clone(), request.clone());
        let (key, endpoint) = (route.credential.key.clone(), route.endpoint.clone());
        let read = tokio::spawn(async move {
            slot.sends();
            let result = cloud.details(&request, &key, &endpoint, Timestamp::now()).await;
            slot.answered(result.key_effect());
            metrics.observation(result.label());
            result
        });
        read.await.unwrap_or(ReadResult::Unreadable("the read ended early"))
    }

    async fn read_cluster(
        &self,
        request: &RedistributionRequest,
        route: &Route,
        mut slot: Slot,
    ) -> ReadResult<ClusterState> {
        let (cloud, metrics, request) = (Arc::clone(&self.cloud), self.reporter.metrics.clone(), request.clone());
        let (key, endpoint) = (route.credential.key.clone(), route.endpoint.clone());
        let read = tokio::spawn(async move {
            slot.sends();
            let result = cloud.cluster(&request, &key, &endpoint, Timestamp::now()).await;
            slot.answered(result.key_effect());
            metrics.cluster_read(result.label());
            result
        });
        read.await.unwrap_or(ReadResult::Unreadable("the read ended early"))
    }

    /// What lies behind the lock is whole after each change.
    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything that a poll needs.
struct Route {
    endpoint: Arc<Endpoint>,
    credential: Credential,
}
