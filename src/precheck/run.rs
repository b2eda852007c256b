//! Carries out a precheck: reads the cluster, and with `--observe` the redistribution that it shows, each in a slot of the
//! rate limit. Causes no request.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::jiff::Timestamp;

use super::{Mode, Settings, Verdict, is_about_key, judge, last::LastPrechecks};
use crate::{
    admission::{Admitted, Cluster},
    api::{Baseline, NONE},
    cloud::{Client, ReadResult, RedistributionRequest, auth::Key, cluster::ClusterState, details::Details},
    credentials::Credential,
    protocol::{decide::Plan, hold::Hold},
    runtime::{jitter::jittered, metrics::Metrics},
};

/// How long a baseline may be used for a claim; longer only if slots are further apart than that.
pub const VALID_FOR: Duration = Duration::from_secs(60);
/// After the first read there are up to two more waits of about the same length: the precheck must outlast them.
const WAITS: u32 = 3;
/// How long the begin of a request is remembered: longer than any precheck is used.
const REMEMBER_BEGUN: Duration = Duration::from_secs(24 * 3600);

/// Reads clusters before their requests.
pub struct Precheck {
    settings: Settings,
    with_baseline: bool,
    cloud: Arc<Client>,
    metrics: Metrics,
    /// When a request last began, by cluster.
    begun: Mutex<HashMap<Cluster, Instant>>,
    last: Mutex<LastPrechecks>,
}

/// What a precheck found, and nothing that prevents the request.
#[derive(Clone, Debug)]
pub struct Checked {
    /// A finding to report.
    pub note: Option<String>,
    /// The state of the cluster, for comparison after the request.
    pub baseline: Option<Baseline>,
    /// When the first read began; `None`: nothing was read.
    pub(super) since: Option<Instant>,
}

impl Precheck {
    /// `with_baseline`: redistributions are observed after their request.
    pub fn new(settings: Settings, with_baseline: bool, cloud: Arc<Client>, metrics: Metrics) -> Self {
        Self { settings, with_baseline, cloud, metrics, begun: Mutex::default(), last: Mutex::default() }
    }

    /// Reads what the settings ask for. `None`: the credential has ended, and everything starts again.
    pub async fn run(
        &self,
        plan: &Plan,
        credential: &Credential,
        admitted: &Admitted,
    ) -> Result<Option<Checked>, Hold> {
        if self.settings.mode == Mode::Off && !self.with_baseline {
            return Ok(Some(Checked { note: None, baseline: None, since: None }));
        }
        let (uid, generation, values) = (&plan.object.uid, plan.generation, credential.id.digests.values);
        match self.last().get(uid, generation, values, Instant::now()) {
            Some(Err(hold)) => return Err(hold),
            Some(Ok(checked)) if !self.is_old(&checked, admitted.cluster(), Duration::ZERO, Instant::now()) => {
                return Ok(Some(checked));
            }
            _ => {}
        }
        let result = self.read(plan, credential, admitted).await?;
        if let Some(result) = &result {
            self.last().keep(uid, (generation, values), result.clone(), Instant::now());
        }
        result.transpose()
    }

    /// The outer result is about the key and the endpoint, the inner one about the cluster.
    async fn read(
        &self,
        plan: &Plan,
        credential: &Credential,
        admitted: &Admitted,
    ) -> Result<Option<Result<Checked, Hold>>, Hold> {
        let (since, result) = self.read_cluster(plan, credential, admitted).await?;
        let mut checked = Checked { note: None, baseline: None, since: Some(since) };
        let task_status = result.found().map(|state| word_or_none(state.task.word()));
        match judge(self.settings.mode, result) {
            Verdict::Call => {}
            Verdict::Note(note) => checked.note = Some(note).filter(|_| self.settings.mode != Mode::Off),
            Verdict::KeyRefused => return admitted.check().map(|()| None),
            Verdict::Unreachable => {
                let pause = self.cloud.health().failed(&plan.endpoint.host);
                return Err(self.cloud.unreachable(&plan.endpoint, pause));
            }
            Verdict::Hold(reason, message) => {
                return Ok(Some(Err(Hold { reason, message, retry_after: jittered(self.settings.every) })));
            }
        }
        if self.with_baseline {
            let result = self.read_details(plan, credential, admitted).await?;
            if result.key_effect().is_some_and(is_about_key) {
                return admitted.check().map(|()| None);
            }
            // A part that cannot be read stays empty and then proves nothing later.
            let shown = result.shown();
            checked.baseline = Some(Baseline {
                cluster_id: Some(plan.spec.cluster_id.clone()),
                task_status,
                redistribution_id: shown
                    .map(|shown| shown.map_or_else(|| NONE.to_owned(), |details| details.id.clone())),
                start_time: shown.flatten().and_then(|details| details.start_time.clone()),
                ..Baseline::default()
            });
        }
        Ok(Some(Ok(checked)))
    }

    fn last(&self) -> MutexGuard<'_, LastPrechecks> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request for this cluster begins: earlier prechecks of it are old.
    pub fn request_begins(&self, cluster: &Cluster, now: Instant) {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.retain(|_, at| now.saturating_duration_since(*at) < REMEMBER_BEGUN);
        begun.insert(cluster.clone(), now);
    }

    /// Whether the cluster may have changed since. `last_wait`: how long the wait for the last slot took.
    pub fn is_old(&self, checked: &Checked, cluster: &Cluster, last_wait: Duration, now: Instant) -> bool {
        let Some(since) = checked.since else { return false };
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner).get(cluster).copied();
        begun.is_some_and(|begun| begun >= since)
            || now.saturating_duration_since(since) > VALID_FOR.max(last_wait.saturating_mul(WAITS))
    }

    /// In a task of its own: once the read is sent, its answer counts, whoever waits for it.
    async fn read_cluster(
        &self,
        plan: &Plan,
        credential: &Credential,
        admitted: &Admitted,
    ) -> Result<(Instant, ReadResult<ClusterState>), Hold> {
        let mut slot = admitted.slot().await?;
        let since = Instant::now();
        let (cloud, metrics) = (Arc::clone(&self.cloud), self.metrics.clone());
        let (request, key) = (RedistributionRequest::from(&plan.spec), credential.key.clone());
        let endpoint = plan.endpoint.clone();
        let read = tokio::spawn(async move {
            slot.sends();
            let result = cloud.cluster(&request, &key, &endpoint, Timestamp::now()).await;
            slot.answered(result.key_effect());
            if let (Key::Token(token), ReadResult::Refused(answer)) = (&key, &result) {
                token.record_denial(answer, Instant::now());
            }
            metrics.cluster_read(result.label());
            result
        });
        Ok((since, read.await.unwrap_or(ReadResult::Unreadable("the read ended early"))))
    }

    async fn read_details(
        &self,
        plan: &Plan,
        credential: &Credential,
        admitted: &Admitted,
    ) -> Result<ReadResult<Option<Details>>, Hold> {
        let mut slot = admitted.slot().await?;
        let (cloud, metrics) = (Arc::clone(&self.cloud), self.metrics.clone());
        let (request, key) = (RedistributionRequest::from(&plan.spec), credential.key.clone());
        let endpoint = plan.endpoint.clone();
        let read = tokio::spawn(async move {
            slot.sends();
            let result = cloud.details(&request, &key, &endpoint, Timestamp::now()).await;
            slot.answered(result.key_effect());
            metrics.observation(result.label());
            result
        });
        Ok(read.await.unwrap_or(ReadResult::Unreadable("the read ended early")))
    }
}

fn word_or_none(word: &str) -> String {
    if word.is_empty() { NONE } else { word }.to_owned()
}
