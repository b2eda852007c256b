//! Redistributions after their call: when each is read, and what the reads prove. Absence proves nothing, and no result
//! ever leads to a call. Nothing is written here.

mod judge;
mod schedule;
pub mod status;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

pub use self::judge::{Finding, Unseen, unsettled};
use self::{
    judge::{Past, Readings, judge, needs_cluster, over},
    schedule::{Schedule, Scheduled, pause},
    status::observed,
};
use crate::{
    admission::{Admission, CloudRead, is_about_key},
    api::{Attempt, ClusterRedistribution, Reason},
    cloud::Client,
    credentials::{Credential, Credentials, Purpose},
    protocol::{
        annotations,
        conditions::{REDISTRIBUTED, condition_at, reason_at},
        decide::{Rules, Step},
        hold::RECHECK_AFTER,
        journal::MAX_SEND_BUDGET,
        regions::Endpoint,
    },
    runtime::{metrics::Metrics, synced::Synced, throttle::jittered},
};

const MAX_AGE: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Before the first poll: a restart must not poll everything at once, and a user wants to see something soon.
const MAX_FIRST_POLL_DELAY: Duration = Duration::from_secs(10);
/// After a poll that cannot be made at the moment.
const POSTPONED_FOR: Duration = Duration::from_secs(2);
/// Longest pause after such a poll: the Secret may have been corrected.
const MAX_POSTPONEMENT: Duration = Duration::from_secs(900);

#[derive(Clone, Copy, Debug)]
pub struct Observe {
    /// Between the polls of a redistribution that progresses.
    pub every: Duration,
    /// How long it may take to appear before it is reported as unconfirmed.
    pub settle: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It is unknown whether the cloud accepted: has a redistribution begun?
    Settling,
    /// The cloud accepted: how far is the redistribution?
    Following,
    /// Polling has ended; status does not report that yet.
    Over,
}

/// The stage of the polls. `None`: none are due, unless the spec is changed.
///
/// Only an attempt with a baseline is polled: without one, a redistribution of this call cannot be distinguished from an
/// earlier one.
pub fn stage(object: &ClusterRedistribution, wall: Timestamp) -> Option<Stage> {
    let status = object.status.as_ref()?;
    let generation = object.metadata.generation?;
    let attempt = status.attempt.as_ref().filter(|attempt| attempt.generation == generation)?;
    attempt.baseline.as_ref()?;
    let is_final = |reason: &str| Unseen::FINAL.iter().any(|unseen| unseen.as_str() == reason);
    let redistributed = condition_at(&status.conditions, REDISTRIBUTED, generation);
    if redistributed.is_some_and(|condition| condition.status == "True" || is_final(&condition.reason)) {
        return None;
    }
    let reason = reason_at(&status.conditions, generation)?;
    let stage = if [Reason::Delivered, Reason::ConfirmedByObservation].iter().any(|one| one.as_str() == reason) {
        Stage::Following
    } else {
        unsettled(status, generation).map(|_| Stage::Settling)?
    };
    let since = attempt.finished_time.as_ref().or(attempt.claimed_time.as_ref()).map_or(wall, |time| time.0);
    Some(if wall.duration_since(since) > MAX_AGE { Stage::Over } else { stage })
}

/// Polls are due only where nothing else is.
pub fn due(object: &ClusterRedistribution, step: &Step, wall: Timestamp) -> Option<Stage> {
    let is_deleted = object.metadata.deletion_timestamp.is_some();
    stage(object, wall).filter(|_| *step == Step::Done && !is_deleted)
}

pub struct Observer {
    settings: Observe,
    baseline_age: Duration,
    rules: Arc<Rules>,
    synced: Synced,
    admission: Arc<Admission>,
    credentials: Arc<Credentials>,
    cloud: Arc<Client>,
    metrics: Metrics,
    schedule: Mutex<Schedule>,
}

impl Observer {
    /// `baseline_age`: of a baseline at its use. `synced`: without all objects, calls of others are not known.
    pub fn new(
        (settings, baseline_age): (Observe, Duration),
        (rules, synced): (Arc<Rules>, Synced),
        admission: Arc<Admission>,
        credentials: Arc<Credentials>,
        (cloud, metrics): (Arc<Client>, Metrics),
    ) -> Self {
        Self {
            settings,
            baseline_age,
            rules,
            synced,
            admission,
            credentials,
            cloud,
            metrics,
            schedule: Mutex::default(),
        }
    }

    /// Until the next poll of this attempt.
    pub fn due_in(&self, attempt: &Attempt) -> Duration {
        let first = jittered(MAX_FIRST_POLL_DELAY.min(self.settings.every));
        let scheduled = self.schedule.lock().entry(&attempt.uid, &attempt.id, first, Instant::now());
        scheduled.next.saturating_duration_since(Instant::now())
    }

    /// Makes the poll that is due, and schedules the next one.
    pub async fn poll(&self, object: &ClusterRedistribution, attempt: &Attempt, stage: Stage) -> Finding {
        let mut scheduled = self.schedule.lock().entry(&attempt.uid, &attempt.id, Duration::ZERO, Instant::now());
        let finding = if stage == Stage::Over {
            scheduled.next = Instant::now() + jittered(RECHECK_AFTER);
            over()
        } else {
            // A call would report why it cannot be made; a poll reports nothing, since nothing depends on it.
            self.read(object, attempt, stage, &mut scheduled).await.unwrap_or_else(|wait| {
                scheduled.next = Instant::now() + jittered(POSTPONED_FOR).max(wait).min(MAX_POSTPONEMENT);
                Finding::Nothing
            })
        };
        self.schedule.lock().keep(&attempt.uid, scheduled);
        finding
    }

    /// The error: how long to wait at least.
    async fn read(
        &self,
        object: &ClusterRedistribution,
        attempt: &Attempt,
        stage: Stage,
        scheduled: &mut Scheduled,
    ) -> Result<Finding, Duration> {
        let status = object.status.clone().unwrap_or_default();
        let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
        // Calls of other objects for the cluster are known only when all visible objects are known.
        if status.redistribution.is_none() && !self.synced.is_all_known_for(namespace) {
            return Err(MAX_FIRST_POLL_DELAY.min(self.settings.every));
        }
        let (endpoint, credential) = self.route(object, attempt).await?;
        let slot = self.admission.read(&credential.id).await.map_err(|hold| hold.retry_after)?;
        // A redistribution of a call may be missing in a baseline that was read so long before its claim.
        let blind = self.settings.settle + self.baseline_age + MAX_SEND_BUDGET;
        let cluster = object.spec.cluster_id.to_ascii_lowercase();
        let past = Past {
            baseline: &attempt.baseline.clone().unwrap_or_default(),
            known: status.redistribution.as_deref(),
            request: &object.spec,
            hint: scheduled.hint,
            others: self.schedule.lock().others(&cluster, &attempt.uid, attempt.generation, blind),
            has_settled: scheduled.since.is_some_and(|since| since.elapsed() >= self.settings.settle),
            reported: condition_at(&status.conditions, REDISTRIBUTED, attempt.generation)
                .map(|reported| reported.reason.as_str()),
        };
        let read = CloudRead {
            cloud: Arc::clone(&self.cloud),
            metrics: self.metrics.clone(),
            spec: object.spec.clone(),
            endpoint,
            key: credential.key.clone(),
        };
        let details = read.clone().details(slot).await;
        // A key that the gateway refuses is not sent to it a second time.
        let is_refused = details.key_effect().is_some_and(is_about_key);
        let mut cluster = None;
        if needs_cluster(stage, &past, &details)
            && !is_refused
            && let Ok(slot) = self.admission.read(&credential.id).await
        {
            cluster = Some(read.cluster(slot).await);
        }
        let readings = Readings { details: &details, cluster: cluster.as_ref() };
        let (finding, hint) = judge(stage, &past, &readings);
        let has_moved =
            observed(&status, attempt.generation, &finding, Timestamp::now()).is_some() || hint != scheduled.hint;
        scheduled.unchanged_polls = if has_moved { 0 } else { scheduled.unchanged_polls.saturating_add(1) };
        let reads = if cluster.is_some() { 2 } else { 1 };
        let pause = pause(&self.settings, stage, &finding, scheduled.unchanged_polls, reads, rand::random());
        scheduled.hint = hint;
        scheduled.since = scheduled.since.or_else(|| readings.is_readable().then(Instant::now));
        scheduled.next = Instant::now() + pause;
        Ok(finding)
    }

    /// The error: how long to wait at least.
    async fn route(
        &self,
        object: &ClusterRedistribution,
        attempt: &Attempt,
    ) -> Result<(Arc<Endpoint>, Credential), Duration> {
        let switches = annotations::read(object.metadata.annotations.as_ref()).map_err(|_| RECHECK_AFTER)?;
        let regions = &self.rules.regions;
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
        self.admission.restore_and_check(&credential, &endpoint.host).map_err(|hold| hold.retry_after)?;
        Ok((endpoint, credential))
    }

    /// Takes the calls that its status tells of.
    pub fn seen(&self, object: &ClusterRedistribution) {
        self.schedule.lock().record_status(object);
    }

    pub fn call_begins(&self, cluster: &str, attempt: &Attempt, at: Timestamp) {
        self.schedule.lock().record_call(cluster, &attempt.uid, attempt.generation, at);
    }

    pub fn end(&self, uid: &str) {
        self.schedule.lock().end(uid);
    }

    pub fn keep_only(&self, keeps: impl Fn(&String) -> bool) {
        self.schedule.lock().keep_only(keeps);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
