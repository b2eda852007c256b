//! Reads of the cluster before a request, and with `--observe` of the redistribution that it shows, each in a slot of the
//! rate limit. A request that passes is still one request, and a request that is held was never claimed.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::ValueEnum;
use parking_lot::Mutex;

use crate::{
    admission::{Admitted, CloudRead, Cluster, is_about_key},
    api::{Baseline, NONE, Reason},
    cloud::{
        Client, ReadResult,
        auth::{Key, KeyIdentity},
        cluster::{ClusterState, Task},
        outcome::Answer,
    },
    credentials::Credential,
    protocol::{decide::Plan, hold::Hold},
    runtime::{metrics::Metrics, throttle::jittered},
};

/// For a baseline; longer only if slots are further apart than that.
pub const VALID_FOR: Duration = Duration::from_secs(60);
/// After the first read up to two more waits of about the same length follow.
const WAITS: u32 = 3;
/// Longer than any precheck is used.
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

#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub mode: Mode,
    /// Between two prechecks of a cluster that does not wait for a redistribution yet.
    pub every: Duration,
}

pub struct Precheck {
    settings: Settings,
    with_baseline: bool,
    cloud: Arc<Client>,
    metrics: Metrics,
    known: Mutex<Known>,
}

/// Object uid, generation and values.
type Of = (String, i64, KeyIdentity);

#[derive(Default)]
struct Known {
    /// The begin of the last request.
    begun: HashMap<Cluster, Instant>,
    /// With the time of the next one: until then the same request with the same values is not prechecked again.
    last: HashMap<Of, (Result<Checked, Hold>, Instant)>,
}

/// A precheck that does not prevent the request.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    pub note: Option<String>,
    /// For comparison after the request.
    pub baseline: Option<Baseline>,
    /// When the first read began; `None`: nothing was read.
    since: Option<Instant>,
}

impl Precheck {
    /// `with_baseline`: for `--observe`.
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
            return Ok(Some(Checked::default()));
        }
        let (uid, of) = (&plan.object.uid, (plan.generation, credential.id.digests.values));
        let last = self.known.lock().last(uid, of, Instant::now());
        match last {
            Some(Err(hold)) => return Err(hold),
            Some(Ok(checked)) if !self.is_old(&checked, admitted.cluster(), Duration::ZERO, Instant::now()) => {
                return Ok(Some(checked));
            }
            _ => {}
        }
        let read = CloudRead {
            cloud: Arc::clone(&self.cloud),
            metrics: self.metrics.clone(),
            spec: plan.spec.clone(),
            endpoint: Arc::clone(&plan.endpoint),
            key: credential.key.clone(),
        };
        let slot = admitted.slot().await?;
        let mut checked = Checked { since: Some(Instant::now()), ..Checked::default() };
        let cluster = read.clone().cluster(slot).await;
        if let (Key::Token(token), ReadResult::Refused(answer)) = (&credential.key, &cluster) {
            token.record_denial(answer, Instant::now());
        }
        let task_status = cluster.found().map(|state| state.task.word().to_owned());
        match judge(self.settings.mode, cluster) {
            Verdict::Call(note) => checked.note = note,
            Verdict::KeyRefused => return admitted.check().map(|()| None),
            Verdict::Unreachable => {
                let pause = self.cloud.health().failed(&plan.endpoint.host);
                return Err(self.cloud.unreachable(&plan.endpoint, pause));
            }
            Verdict::Hold(reason, message) => {
                let hold = Hold { reason, message, retry_after: jittered(self.settings.every) };
                self.known.lock().keep(uid, of, Err(hold.clone()), Instant::now());
                return Err(hold);
            }
        }
        if self.with_baseline {
            let details = read.details(admitted.slot().await?).await;
            if details.key_effect().is_some_and(is_about_key) {
                return admitted.check().map(|()| None);
            }
            let or_none = |word: String| if word.is_empty() { NONE.to_owned() } else { word };
            // A part that cannot be read stays empty and then proves nothing later.
            let shown = details.shown();
            checked.baseline = Some(Baseline {
                cluster_id: Some(plan.spec.cluster_id.clone()),
                task_status: task_status.map(or_none),
                redistribution_id: shown
                    .map(|shown| shown.map_or_else(|| NONE.to_owned(), |details| details.id.clone())),
                start_time: shown.flatten().and_then(|details| details.start_time.clone()),
                ..Baseline::default()
            });
        }
        self.known.lock().keep(uid, of, Ok(checked.clone()), Instant::now());
        Ok(Some(checked))
    }

    /// A request for this cluster begins: earlier prechecks of it are old.
    pub fn request_begins(&self, cluster: &Cluster, now: Instant) {
        let mut known = self.known.lock();
        known.begun.retain(|_, at| now.saturating_duration_since(*at) < REMEMBER_BEGUN);
        known.begun.insert(cluster.clone(), now);
    }

    /// Whether the cluster may have changed since. `last_wait`: the wait for the last slot.
    pub fn is_old(&self, checked: &Checked, cluster: &Cluster, last_wait: Duration, now: Instant) -> bool {
        let Some(since) = checked.since else { return false };
        let begun = self.known.lock().begun.get(cluster).copied();
        begun.is_some_and(|begun| begun >= since)
            || now.saturating_duration_since(since) > VALID_FOR.max(last_wait.saturating_mul(WAITS))
    }
}

impl Known {
    /// The last precheck of this generation with these values, if the next one is not due yet. A hold ends when it is.
    fn last(&self, uid: &str, (generation, values): (i64, KeyIdentity), now: Instant) -> Option<Result<Checked, Hold>> {
        let (result, next) = self.last.get(&(uid.to_owned(), generation, values))?;
        let wait = next.saturating_duration_since(now);
        let result = || result.clone().map_err(|hold| Hold { retry_after: wait, ..hold });
        (!wait.is_zero()).then(result)
    }

    fn keep(
        &mut self,
        uid: &str,
        (generation, values): (i64, KeyIdentity),
        result: Result<Checked, Hold>,
        now: Instant,
    ) {
        self.last.retain(|_, (_, next)| *next > now);
        let next = now + result.as_ref().map_or_else(|hold| hold.retry_after, |_| VALID_FOR);
        self.last.insert((uid.to_owned(), generation, values), (result, next));
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// With a message to report.
    Call(Option<String>),
    /// The gateway would refuse a call too; this way the object's one call is not used up. Admission knows why.
    KeyRefused,
    Unreachable,
    Hold(Reason, String),
}

fn judge(mode: Mode, result: ReadResult<ClusterState>) -> Verdict {
    let (reason, message) = match result {
        ReadResult::Found(ClusterState { task: Task::Waiting, .. }) => return Verdict::Call(None),
        ReadResult::Unreachable => return Verdict::Unreachable,
        ReadResult::Refused(answer) if is_about_key(answer.key_effect) => return Verdict::KeyRefused,
        ReadResult::Found(state) => {
            (Reason::ClusterNotWaiting, format!("The cluster does not wait for a redistribution: {}", state.describe()))
        }
        ReadResult::Refused(answer) => refused(&answer),
        ReadResult::Unreadable(why) => {
            (Reason::ClusterNotWaiting, format!("Whether the cluster waits for a redistribution is not known: {why}"))
        }
    };
    match mode {
        Mode::Require => {
            Verdict::Hold(reason, format!("{message}. Nothing is called; the cluster is checked again automatically"))
        }
        Mode::Warn => Verdict::Call(Some(message)),
        Mode::Off => Verdict::Call(None),
    }
}

/// The same reasons as for a call, with messages for a read.
fn refused(answer: &Answer) -> (Reason, String) {
    let code = answer.error_code.as_deref().map(|code| format!(" {code}")).unwrap_or_default();
    let answered = format!("the cloud answered HTTP {}{code}", answer.status_code);
    let message = match answer.reason {
        Reason::ClusterNotFound => {
            format!("The cloud does not know this cluster ({answered}). Correct projectID, clusterID or region")
        }
        Reason::PermissionDenied => format!(
            "The account may not read the cluster ({answered}). Grant it dws:openAPICluster:getDetail, or let the controller run without --check-cluster"
        ),
        Reason::NotFound => {
            format!("Nothing is found at the cluster's address ({answered}). Check projectID, region and endpoint")
        }
        Reason::BadRequest => {
            format!("The cloud refused the read of the cluster as invalid ({answered}). Correct projectID or clusterID")
        }
        _ => {
            let message = format!("Whether the cluster waits for a redistribution is not known: {answered}");
            return (Reason::ClusterNotWaiting, message);
        }
    };
    (answer.reason, message)
}

#[cfg(test)]
mod tests;
