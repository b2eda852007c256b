//! PURE: what a poll finds: judges its readings by the facts that were known before.

use super::Stage;
use crate::{
    api::{Baseline, ClusterRedistributionSpec, ClusterRedistributionStatus, NONE, Phase, Reason, Redistribution},
    cloud::{
        ReadResult,
        cluster::{ClusterState, Details, RunState, Task},
    },
    protocol::conditions::reason_at,
};

/// Why the progress cannot be reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unseen {
    /// The cloud accepted, and does not show the redistribution yet.
    NotStarted,
    /// The cloud's answers cannot be read.
    NotReadable,
    /// The outcome is unknown, and no poll within the settle time has confirmed it. Polling has ended.
    Unconfirmed,
    /// It ran, and is not shown any more, without a poll that showed its end. Polling has ended.
    EndNotSeen,
}

/// A result that is reported by the second poll in a row: a read may be late, or between two states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// The cluster redistributes, with unknown parameters.
    Moving,
    Idle,
    /// The redistribution that ran is not shown any more.
    Gone,
}

/// Whether other requests called for the same cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OtherCalls {
    /// So shortly before this request that their redistribution may not be in its baseline.
    pub before: bool,
    /// After this request.
    pub since: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    Nothing,
    /// Of this call, with its details if they are shown.
    Run(Phase, Option<Box<Details>>),
    Unseen(Unseen, String),
}

/// The reads of one poll. The cluster is read only if the details are not sufficient.
#[derive(Clone, Copy, Debug)]
pub struct Readings<'a> {
    pub details: &'a ReadResult<Option<Details>>,
    pub cluster: Option<&'a ReadResult<ClusterState>>,
}

impl Readings<'_> {
    pub fn is_readable(&self) -> bool {
        self.details.shown().is_some() || self.cluster.is_some_and(|cluster| cluster.found().is_some())
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Past<'a> {
    pub baseline: &'a Baseline,
    /// The redistribution as the last poll found it.
    pub known: Option<&'a Redistribution>,
    pub request: &'a ClusterRedistributionSpec,
    pub hint: Option<Hint>,
    pub others: OtherCalls,
    pub has_settled: bool,
    /// The reason that condition `Redistributed` reports.
    pub reported: Option<&'a str>,
}

/// The reported reason, if it says that it is unknown whether the cloud accepted.
pub fn unsettled(status: &ClusterRedistributionStatus, generation: i64) -> Option<Reason> {
    let reported = reason_at(&status.conditions, generation)?;
    [Reason::OutcomeUnknown, Reason::ServerError].into_iter().find(|reason| reason.as_str() == reported)
}

impl Unseen {
    /// After these, polling ends.
    pub const FINAL: [Self; 2] = [Self::Unconfirmed, Self::EndNotSeen];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotStarted => "NotStarted",
            Self::NotReadable => "NotReadable",
            Self::Unconfirmed => "Unconfirmed",
            Self::EndNotSeen => "EndNotSeen",
        }
    }
}

type Judged = (Finding, Option<Hint>);

pub fn judge(stage: Stage, past: &Past<'_>, readings: &Readings<'_>) -> Judged {
    match stage {
        Stage::Settling => settling(past, readings),
        Stage::Following => following(past, readings),
        Stage::Over => (over(), None),
    }
}

/// Not if the details are sufficient.
pub fn needs_cluster(stage: Stage, past: &Past<'_>, details: &ReadResult<Option<Details>>) -> bool {
    let details_only = Readings { details, cluster: None };
    stage == Stage::Settling || !matches!(judge(stage, past, &details_only).0, Finding::Run(..))
}

/// If the cluster waited before the claim and a redistribution runs now, it was started since.
fn settling(past: &Past<'_>, readings: &Readings<'_>) -> Judged {
    if !readings.is_readable() {
        return (not_readable(readings), None);
    }
    let task = task(readings);
    let new = readings.details.shown().flatten().filter(|details| is_new(Stage::Settling, past, details, task));
    let shown = readings.details.shown().flatten();
    // Also if it is not known whether it is new: a running redistribution with other parameters is not of this call.
    let foreign = new.or(shown.filter(|shown| shown.is_under_way())).filter(|shown| !is_as_requested(past, shown));
    let may_be_anothers = past.others.before || past.others.since || foreign.is_some();
    // While the cluster waits, nothing has begun, whatever its details show.
    let may_be_ours = !may_be_anothers && task != Some(&Task::Waiting) && waited(past) != Some(false);
    if let Some(new) = new.filter(|_| may_be_ours) {
        // Without the id of the previous one, only a baseline of a waiting cluster proves that this one is new.
        let is_proof = waited(past) == Some(true) || past.baseline.redistribution_id.as_deref() != Some(NONE);
        if let Some(phase) = phase_of_run(new).filter(|_| is_proof && new.state != RunState::Preparing) {
            return (Finding::Run(phase, Some(Box::new(new.clone()))), None);
        }
    }
    if let Some(phase) = readings
        .cluster
        .and_then(ReadResult::found)
        .and_then(phase_of_cluster)
        .filter(|_| may_be_ours && waited(past) == Some(true))
    {
        // At the next poll the details may show its parameters, and so whether another user has started it.
        let finding = if past.hint == Some(Hint::Moving) { Finding::Run(phase, None) } else { Finding::Nothing };
        return (finding, Some(Hint::Moving));
    }
    if past.has_settled {
        return (Finding::Unseen(Unseen::Unconfirmed, unconfirmed(past, readings, new.or(foreign))), None);
    }
    (Finding::Nothing, None)
}

fn following(past: &Past<'_>, readings: &Readings<'_>) -> Judged {
    let task = task(readings);
    if let Some(details) = readings.details.shown().flatten() {
        let known = past.known.and_then(|known| known.id.as_deref());
        let is_ours = known
            .map_or_else(|| !past.others.since && is_new(Stage::Following, past, details, task), |id| id == details.id);
        if let Some(phase) = phase_of_run(details).filter(|_| is_ours) {
            return (Finding::Run(phase, Some(Box::new(details.clone()))), None);
        }
        let is_old = past.baseline.redistribution_id.as_ref() == Some(&details.id);
        if let Some(id) = known.filter(|id| *id != details.id && !is_old) {
            return gone(
                past,
                format!("Redistribution {id} is not shown any more, but another one: its end was not seen"),
            );
        }
    }
    by_cluster(past, readings)
}

fn by_cluster(past: &Past<'_>, readings: &Readings<'_>) -> Judged {
    let is_known = past.known.is_some();
    let Some(state) = readings.cluster.and_then(ReadResult::found) else {
        // An earlier finding in status is more useful.
        let is_reported = past.reported.is_some_and(|reason| reason != Unseen::NotReadable.as_str());
        return (if is_reported { Finding::Nothing } else { not_readable(readings) }, None);
    };
    let may_be_ours = is_known || (waited(past) != Some(false) && !past.others.since);
    match (phase_of_cluster(state), &state.task) {
        (Some(phase), _) if may_be_ours => (Finding::Run(phase, None), None),
        (_, Task::Idle) if is_known && state.has_failed() => (Finding::Run(Phase::Failed, None), None),
        // Also one that began and ended between two polls.
        (_, Task::Idle) if state.is_idle() && (is_known || waited(past) == Some(true)) => {
            let is_certain = past.hint == Some(Hint::Idle);
            let otherwise = if is_known { Finding::Nothing } else { not_started(state) };
            (if is_certain { Finding::Run(Phase::Finished, None) } else { otherwise }, Some(Hint::Idle))
        }
        (_, Task::Waiting) if is_known => {
            gone(past, "The cluster waits for a redistribution again: the end of the last one was not seen".to_owned())
        }
        // Any other task proves nothing about a known redistribution.
        _ if is_known => (Finding::Nothing, None),
        _ => (not_started(state), None),
    }
}

fn gone(past: &Past<'_>, message: String) -> Judged {
    let is_certain = past.hint == Some(Hint::Gone);
    let finding = if is_certain { Finding::Unseen(Unseen::EndNotSeen, message) } else { Finding::Nothing };
    (finding, Some(Hint::Gone))
}

fn task<'a>(readings: &Readings<'a>) -> Option<&'a Task> {
    readings.cluster.and_then(ReadResult::found).map(|state| &state.task)
}

/// Whether the redistribution was not there before the claim.
fn is_new(stage: Stage, past: &Past<'_>, details: &Details, task: Option<&Task>) -> bool {
    match past.baseline.redistribution_id.as_deref() {
        // The cloud may hide an ended redistribution while the cluster waits for the next one, and show it again later. A
        // running one cannot have been hidden.
        Some(NONE) => details.is_under_way() || (details.state == RunState::Failed && task == Some(&Task::Failed)),
        // A redistribution that is tried again may keep its id.
        Some(before) => {
            let starts = past.baseline.start_time.as_ref().zip(details.start_time.as_ref());
            details.id != before || starts.is_some_and(|(before, now)| before != now)
        }
        // After an answer that accepted, a running redistribution can only be that of this call, since a cluster has one
        // at a time. Without such an answer it proves nothing.
        None => stage == Stage::Following && details.is_under_way(),
    }
}

/// As far as they are shown.
fn is_as_requested(past: &Past<'_>, details: &Details) -> bool {
    let same_mode = details.mode.as_deref().is_none_or(|mode| mode == past.request.redis_mode.as_str());
    same_mode && details.parallel_jobs.is_none_or(|jobs| jobs == i64::from(past.request.parallel_jobs))
}

/// Whether the cluster waited for a redistribution before the claim, if that was read.
fn waited(past: &Past<'_>) -> Option<bool> {
    past.baseline.task_status.as_deref().map(|word| word == Task::Waiting.word())
}

fn phase_of_cluster(state: &ClusterState) -> Option<Phase> {
    match state.task {
        Task::Redistributing => Some(Phase::Running),
        Task::Paused => Some(Phase::Paused),
        Task::Failed => Some(Phase::Failed),
        Task::Idle if state.is_redistributing() => Some(Phase::Running),
        Task::Waiting | Task::Idle | Task::Other(_) => None,
    }
}

fn phase_of_run(details: &Details) -> Option<Phase> {
    match details.state {
        RunState::Preparing | RunState::Running => Some(Phase::Running),
        RunState::Paused => Some(Phase::Paused),
        RunState::Failed => Some(Phase::Failed),
        RunState::Finished => Some(Phase::Finished),
        RunState::Other => None,
    }
}

/// The last readings within the settle time. `shown`: a redistribution that was not there before the claim.
fn unconfirmed(past: &Past<'_>, readings: &Readings<'_>, shown: Option<&Details>) -> String {
    let cluster = match readings.cluster {
        None => "the cluster was not read".to_owned(),
        Some(ReadResult::Found(state)) => state.describe(),
        Some(other) => format!("the cluster could not be read ({})", why(other)),
    };
    let before = past.baseline.redistribution_id.as_deref().filter(|id| *id != NONE);
    let details = match (readings.details.shown(), shown) {
        (_, Some(details)) if past.others.before || past.others.since => {
            format!("redistribution {} is shown, but others have called for this cluster too", details.id)
        }
        (_, Some(details)) => {
            let mode = details.mode.as_deref().unwrap_or("unknown");
            let jobs = details.parallel_jobs.map_or_else(|| "unknown".to_owned(), |jobs| jobs.to_string());
            format!(
                "redistribution {} is shown (redis_mode {mode}, parallel_jobs {jobs}), which another user may have started",
                details.id
            )
        }
        (Some(Some(details)), None) if before == Some(details.id.as_str()) => {
            format!("redistribution {} is shown, which was there before", details.id)
        }
        (Some(Some(details)), None) => {
            format!("redistribution {} is shown, of which it is not known whether it was there before", details.id)
        }
        (Some(None), None) => "no redistribution is shown".to_owned(),
        (None, None) => format!("the redistribution could not be read ({})", why(readings.details)),
    };
    format!("{cluster}; {details}")
}

/// The message holds no varying cause, since each change would be a write.
fn not_readable(readings: &Readings<'_>) -> Finding {
    let message = match readings.details {
        ReadResult::Refused(answer) if answer.reason == Reason::PermissionDenied => format!(
            "The account may not read the progress of the redistribution: {}. Grant it dws:redistributionInfo:list and dws:openAPICluster:getDetail",
            why(readings.details)
        ),
        _ => "The progress of the redistribution cannot be read at the moment. The read is retried automatically"
            .to_owned(),
    };
    Finding::Unseen(Unseen::NotReadable, message)
}

fn not_started(state: &ClusterState) -> Finding {
    let message = format!("The cloud accepted, but shows no redistribution of this call yet: {}", state.describe());
    Finding::Unseen(Unseen::NotStarted, message)
}

pub fn over() -> Finding {
    let message =
        "Polling ended 30 days after the call: the end was not seen. Look at the cluster in the cloud's console";
    Finding::Unseen(Unseen::EndNotSeen, message.to_owned())
}

fn why<T>(result: &ReadResult<T>) -> String {
    match result {
        ReadResult::Found(_) => "nothing is shown".to_owned(),
        ReadResult::Refused(answer) => {
            let code = answer.error_code.as_deref().map(|code| format!(" {code}")).unwrap_or_default();
            format!("the cloud answered HTTP {}{code}", answer.status_code)
        }
        ReadResult::Unreachable => "the cloud could not be reached".to_owned(),
        ReadResult::Unreadable(why) => (*why).to_owned(),
    }
}
