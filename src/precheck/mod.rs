//! Reads of the cluster before a request, and with `--observe` of the redistribution that it shows, each in a slot of the
//! rate limit. A request that passes is still one request, and a request that is held was never claimed.

mod judge;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::ValueEnum;
use k8s_openapi::jiff::Timestamp;
use parking_lot::Mutex;

use self::judge::{Verdict, is_about_key, judge};
use crate::{
    admission::{Admitted, Cluster},
    api::{Baseline, NONE},
    cloud::{Client, ReadResult, RedistributionRequest, auth::Key, identity::KeyIdentity},
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

/// Whether the cluster is read before a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// No precheck: the key needs no permission to read.
    Off,
    /// A cluster that does not wait for a redistribution is reported, and the call is made anyway.
    Warn,
    /// The call is made only while the cluster waits for a redistribution.
    Require,
}

/// The administrator's settings.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Mode of `--check-cluster`.
    pub mode: Mode,
    /// Interval between two prechecks of a cluster that does not wait for a redistribution yet.
    pub every: Duration,
}

/// Reads clusters before their requests.
pub struct Precheck {
    settings: Settings,
    with_baseline: bool,
    cloud: Arc<Client>,
    metrics: Metrics,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// When a request last began, by cluster.
    begun: HashMap<Cluster, Instant>,
    /// The last precheck of each object, by its uid. Until the next one is due, the same request with the same values is not
    /// prechecked again.
    last: HashMap<String, Last>,
}

struct Last {
    generation: i64,
    values: KeyIdentity,
    result: Result<Checked, Hold>,
    next: Instant,
}

/// What a precheck found, and nothing that prevents the request.
#[derive(Clone, Debug)]
pub struct Checked {
    /// A finding to report.
    pub note: Option<String>,
    /// The state of the cluster, for comparison after the request.
    pub baseline: Option<Baseline>,
    /// When the first read began; `None`: nothing was read.
    since: Option<Instant>,
}

impl Precheck {
    /// `with_baseline`: redistributions are observed after their request.
    pub fn new(settings: Settings, with_baseline: bool, cloud: Arc<Client>, metrics: Metrics) -> Self {
        Self { settings, with_baseline, cloud, metrics, known: Mutex::default() }
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
        let last = self.known.lock().last(uid, (generation, values), Instant::now());
        match last {
            Some(Err(hold)) => return Err(hold),
            Some(Ok(checked)) if !self.is_old(&checked, admitted.cluster(), Duration::ZERO, Instant::now()) => {
                return Ok(Some(checked));
            }
            _ => {}
        }
        let result = self.read(plan, credential, admitted).await?;
        if let Some(result) = &result {
            self.known.lock().keep(uid, (generation, values), result.clone(), Instant::now());
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
        let request = RedistributionRequest::from(&plan.spec);
        let slot = admitted.slot().await?;
        let since = Instant::now();
        let (cloud, metrics, endpoint) = (Arc::clone(&self.cloud), self.metrics.clone(), plan.endpoint.clone());
        let (read, key) = (request.clone(), credential.key.clone());
        let result = slot.read(async move {
            let result = cloud.cluster(&read, &key, &endpoint, Timestamp::now()).await;
            if let (Key::Token(token), ReadResult::Refused(answer)) = (&key, &result) {
                token.record_denial(answer, Instant::now());
            }
            metrics.cluster_read(result.label());
            result
        });
        let result = result.await;
        let mut checked = Checked { note: None, baseline: None, since: Some(since) };
        let task_status = result.found().map(|state| state.task.word().to_owned());
        let task_status = task_status.map(|word| if word.is_empty() { NONE.to_owned() } else { word });
        match judge(self.settings.mode, result) {
            Verdict::Call(note) => checked.note = note,
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
            let slot = admitted.slot().await?;
            let (cloud, metrics, endpoint) = (Arc::clone(&self.cloud), self.metrics.clone(), plan.endpoint.clone());
            let key = credential.key.clone();
            let result = slot.read(async move {
                let result = cloud.details(&request, &key, &endpoint, Timestamp::now()).await;
                metrics.observation(result.label());
                result
            });
            let result = result.await;
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

    /// A request for this cluster begins: earlier prechecks of it are old.
    pub fn request_begins(&self, cluster: &Cluster, now: Instant) {
        let mut known = self.known.lock();
        known.begun.retain(|_, at| now.saturating_duration_since(*at) < REMEMBER_BEGUN);
        known.begun.insert(cluster.clone(), now);
    }

    /// Whether the cluster may have changed since. `last_wait`: how long the wait for the last slot took.
    pub fn is_old(&self, checked: &Checked, cluster: &Cluster, last_wait: Duration, now: Instant) -> bool {
        let Some(since) = checked.since else { return false };
        let begun = self.known.lock().begun.get(cluster).copied();
        begun.is_some_and(|begun| begun >= since)
            || now.saturating_duration_since(since) > VALID_FOR.max(last_wait.saturating_mul(WAITS))
    }
}

impl Known {
    /// The last precheck of this generation with these values, if the next one is not due yet. A hold ends when it is.
    fn last(&self, uid: &str, of: (i64, KeyIdentity), now: Instant) -> Option<Result<Checked, Hold>> {
        let last = self.last.get(uid).filter(|last| (last.generation, last.values) == of)?;
        let wait = last.next.saturating_duration_since(now);
        let result = || last.result.clone().map_err(|hold| Hold { retry_after: wait, ..hold });
        (!wait.is_zero()).then(result)
    }

    fn keep(
        &mut self,
        uid: &str,
        (generation, values): (i64, KeyIdentity),
        result: Result<Checked, Hold>,
        now: Instant,
    ) {
        self.last.retain(|_, last| last.next > now);
        let next = now + result.as_ref().map_or_else(|hold| hold.retry_after, |_| VALID_FOR);
        self.last.insert(uid.to_owned(), Last { generation, values, result, next });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Reason;

    #[test]
    fn a_precheck_is_kept_for_its_generation_and_values_until_its_end() {
        let (mut known, now) = (Known::default(), Instant::now());
        let (values, other) = (KeyIdentity::from([1; 32]), KeyIdentity::from([2; 32]));
        let passed = Checked { note: None, baseline: None, since: Some(now) };
        known.keep("uid", (1, values), Ok(passed), now);
        let half = now + VALID_FOR / 2;
        assert!(matches!(known.last("uid", (1, values), half), Some(Ok(_))));
        assert!(known.last("uid", (2, values), half).is_none() && known.last("uid", (1, other), half).is_none());
        assert!(known.last("uid", (1, values), now + VALID_FOR).is_none());
        let hour = Duration::from_secs(3600);
        let hold = Hold { reason: Reason::ClusterNotWaiting, message: String::new(), retry_after: hour };
        known.keep("uid", (1, values), Err(hold), now);
        let again = known.last("uid", (1, values), now + hour / 4);
        assert!(matches!(again, Some(Err(Hold { retry_after, .. })) if retry_after == hour / 4 * 3));
        assert!(known.last("uid", (1, values), now + hour).is_none());
        known.keep("another", (1, values), Ok(Checked { note: None, baseline: None, since: None }), now + hour);
        assert_eq!(known.last.len(), 1, "what is over is forgotten");
    }
}
