//! PURE: what is seen of a redistribution after its call, and what that proves. Absence proves nothing, and nothing that
//! is found here ever leads to a call. The clock is an argument; what is read is read elsewhere.

mod evidence;
mod pace;

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

pub use self::pace::pause;
use crate::{
    conditions::{REDISTRIBUTED, condition_at, reason_at},
    dws::{
        Looked, Wish,
        cluster::{ClusterState, Task},
        details::{Details, RunState},
    },
    resource::{
        Attempt, Baseline, ClusterRedistribution, ClusterRedistributionStatus, NONE, PastAttempt, Reason,
        Redistribution,
    },
};

/// What is left standing for longer than this is not looked at any more.
const LONGEST: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The administrator's choice.
#[derive(Clone, Copy, Debug)]
pub struct Observe {
    /// How often what moves is looked at.
    pub every: Duration,
    /// How long a redistribution may take to show before its absence is said.
    pub settle: Duration,
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nobody knows whether the cloud accepted: whether a redistribution began.
    Settling,
    /// It accepted: how far it has come.
    Following,
}

/// How far a redistribution is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It moves.
    Running,
    /// It stands still.
    Paused,
    /// It failed; somebody may try it again.
    Failed,
    /// It is over.
    Finished,
}

/// Why nothing can be said of how far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unseen {
    /// The cloud accepted, and does not show it yet.
    NotStarted,
    /// What the cloud shows cannot be read.
    NotReadable,
    /// Nobody knows whether the cloud accepted, and nothing has shown it in time. Not looked at any more.
    Unconfirmed,
    /// It was seen to run, and is not shown any more without having been seen to end. Not looked at any more.
    EndNotSeen,
}

/// What a look means.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// Nothing that could be said.
    Nothing,
    /// The redistribution of this call, with its details where they are shown.
    Run(Phase, Option<Details>),
    /// It cannot be told, and why.
    Unseen(Unseen, String),
}

/// What one look showed. The cluster is looked at only where the details do not tell.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// The redistribution that the cloud shows.
    pub details: &'a Looked<Option<Details>>,
    /// The cluster.
    pub cluster: Option<&'a Looked<ClusterState>>,
}

/// What was known before it.
#[derive(Clone, Copy, Debug)]
pub struct Past<'a> {
    /// Just before the claim.
    pub baseline: &'a Baseline,
    /// As last seen.
    pub known: Option<&'a Redistribution>,
    /// What was asked for.
    pub wish: &'a Wish,
    /// The last look showed an idle cluster too.
    pub was_idle: bool,
    /// Somebody else has called for this cluster not long ago: what is seen may be theirs.
    pub others_called: bool,
    /// The settle time is over.
    pub has_settled: bool,
    /// Status already says something of it.
    pub is_said: bool,
}

/// What is still looked for. `None`: nothing, for ever, unless the spec is changed.
///
/// Only of an attempt that carries a baseline: without one, what is seen cannot be told from what was there before.
pub fn stage(object: &ClusterRedistribution, wall: Timestamp) -> Option<Stage> {
    let status = object.status.as_ref()?;
    let generation = object.metadata.generation?;
    let attempt = status.attempt.as_ref().filter(|attempt| attempt.generation == generation)?;
    attempt.baseline.as_ref()?;
    let since = attempt.finished_time.as_ref().or(attempt.claimed_time.as_ref()).map_or(wall, |time| time.0);
    if wall.duration_since(since) > LONGEST {
        return None;
    }
    let said = condition_at(&status.conditions, REDISTRIBUTED, generation);
    if said.is_some_and(|said| said.status == "True" || Unseen::LAST.iter().any(|last| last.as_str() == said.reason)) {
        return None;
    }
    let reason = reason_at(&status.conditions, generation)?;
    let is = |among: &[Reason]| among.iter().any(|one| one.as_str() == reason);
    if is(&[Reason::Delivered, Reason::ConfirmedByObservation]) {
        return Some(Stage::Following);
    }
    is(&[Reason::OutcomeUnknown, Reason::ServerError]).then_some(Stage::Settling)
}

/// An older generation of the same object may have been accepted so shortly before this one that what it began may not
/// have shown before the claim. Unlike what the process remembers of others, this survives a restart.
pub fn follows_another(status: &ClusterRedistributionStatus, attempt: &Attempt, shortly: Duration) -> bool {
    let claimed = attempt.claimed_time.as_ref().map(|time| time.0);
    let may_have_begun = |past: &PastAttempt| {
        let is_refused = past.status_code.is_some_and(|code| (300..500).contains(&code));
        let since = claimed.zip(past.finished_time.as_ref()).map(|(claimed, past)| claimed.duration_since(past.0));
        !is_refused && since.is_none_or(|since| since.unsigned_abs() < shortly)
    };
    status.history.iter().any(may_have_begun)
}

/// Status says something of it for this generation.
pub fn is_said(status: &ClusterRedistributionStatus, generation: i64) -> bool {
    condition_at(&status.conditions, REDISTRIBUTED, generation).is_some()
}

/// Whether the cluster has to be looked at besides: not while the details tell all there is to know.
pub fn needs_cluster(stage: Stage, past: &Past<'_>, details: &Looked<Option<Details>>) -> bool {
    let alone = Sight { details, cluster: None };
    stage == Stage::Settling || !matches!(by_details(stage, past, &alone), Some(Finding::Run(..)))
}

/// Judges a look.
pub fn judge(stage: Stage, past: &Past<'_>, sight: &Sight<'_>) -> Finding {
    if let Some(finding) = by_details(stage, past, sight) {
        return finding;
    }
    match stage {
        Stage::Settling => settling(past, sight),
        Stage::Following => following(past, sight),
    }
}

/// What the details say by themselves.
fn by_details(stage: Stage, past: &Past<'_>, sight: &Sight<'_>) -> Option<Finding> {
    let details = sight.details.seen()?.as_ref()?;
    if let Some(id) = past.known.and_then(|known| known.id.as_ref()) {
        if *id != details.id {
            let message = format!("Redistribution {id} is not shown any more, but another one; its end was not seen");
            return Some(Finding::Unseen(Unseen::EndNotSeen, message));
        }
    } else if !is_new(stage, past, details, sight.cluster) || (stage == Stage::Settling && !may_be_ours(past, details))
    {
        return None;
    }
    let phase = match details.state {
        RunState::Running => Phase::Running,
        RunState::Paused => Phase::Paused,
        RunState::Failed => Phase::Failed,
        RunState::Finished => Phase::Finished,
        RunState::Other => return None,
    };
    Some(Finding::Run(phase, Some(details.clone())))
}

/// It was not there before the claim.
fn is_new(stage: Stage, past: &Past<'_>, details: &Details, cluster: Option<&Looked<ClusterState>>) -> bool {
    match past.baseline.redistribution_id.as_deref() {
        // One that ended long ago may be hidden while the cluster waits for the next one, and shown again later. What is
        // under way cannot have been hidden.
        Some(NONE) => {
            let task = cluster.and_then(Looked::seen).map(|state| &state.task);
            let has_moved_on = matches!(task, Some(Task::Redistributing | Task::Paused | Task::Failed));
            details.is_under_way() || has_moved_on
        }
        Some(before) => details.id != before,
        // After an answer that accepted, what is under way can only be that: a cluster has one redistribution at a time.
        None => stage == Stage::Following && details.is_under_way(),
    }
}

/// The cluster was seen to wait before the claim, nobody else has called for it, and it runs with what was asked for.
fn may_be_ours(past: &Past<'_>, details: &Details) -> bool {
    let same_mode = details.mode.as_deref().is_none_or(|mode| mode == past.wish.redis_mode.as_str());
    let same_jobs = details.parallel_jobs.is_none_or(|jobs| jobs == i64::from(past.wish.parallel_jobs));
    same_mode && same_jobs && !past.others_called && waited(past.baseline) != Some(false)
}

/// Whether the cluster waited for a redistribution before the claim, if that was seen.
fn waited(baseline: &Baseline) -> Option<bool> {
    baseline.task_status.as_deref().map(|word| word == Task::Waiting.word())
}

/// A redistribution that runs now where the cluster waited before the claim was started since.
fn settling(past: &Past<'_>, sight: &Sight<'_>) -> Finding {
    let task = sight.cluster.and_then(Looked::seen).map(|state| &state.task);
    let is_new = |details: &Details| is_new(Stage::Settling, past, details, sight.cluster);
    let shown = sight.details.seen().and_then(Option::as_ref).filter(|details| is_new(details));
    let is_anothers = past.others_called || shown.is_some_and(|details| !may_be_ours(past, details));
    match task.and_then(phase_of) {
        Some(phase) if waited(past.baseline) == Some(true) && !is_anothers => Finding::Run(phase, None),
        _ if past.has_settled => Finding::Unseen(Unseen::Unconfirmed, evidence::of(past, sight, shown)),
        _ => Finding::Nothing,
    }
}

fn following(past: &Past<'_>, sight: &Sight<'_>) -> Finding {
    let (known, Some(state)) = (past.known.is_some(), sight.cluster.and_then(Looked::seen)) else {
        return if past.is_said { Finding::Nothing } else { evidence::not_readable(sight) };
    };
    let not_started = || {
        let message = format!("The cloud accepted, but shows no redistribution of this call yet: {}", state.in_words());
        Finding::Unseen(Unseen::NotStarted, message)
    };
    match (phase_of(&state.task), &state.task) {
        (Some(phase), _) if known || waited(past.baseline) != Some(false) => Finding::Run(phase, None),
        (_, Task::Idle) if known && state.has_failed() => Finding::Run(Phase::Failed, None),
        (_, Task::Idle) if known => Finding::Run(Phase::Finished, None),
        // Too quick to be seen running. Twice, since a state that is read may be late or between two others.
        (_, Task::Idle) if waited(past.baseline) == Some(true) && past.was_idle && state.is_idle() => {
            Finding::Run(Phase::Finished, None)
        }
        (_, Task::Waiting) if known => Finding::Unseen(
            Unseen::EndNotSeen,
            "The cluster waits for a redistribution again; the end of the last one was not seen".to_owned(),
        ),
        // Whatever it is, it says nothing of a redistribution that was seen.
        _ if known => Finding::Nothing,
        _ => not_started(),
    }
}

fn phase_of(task: &Task) -> Option<Phase> {
    match task {
        Task::Redistributing => Some(Phase::Running),
        Task::Paused => Some(Phase::Paused),
        Task::Failed => Some(Phase::Failed),
        Task::Waiting | Task::Idle | Task::Other(_) => None,
    }
}

impl Phase {
    /// As `status.redistribution.state` and the condition's reason show it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Paused => "Paused",
            Self::Failed => "Failed",
            Self::Finished => "Finished",
        }
    }
}

impl Unseen {
    /// After these nothing is looked at any more.
    pub const LAST: [Self; 2] = [Self::Unconfirmed, Self::EndNotSeen];

    /// The condition's reason.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotStarted => "NotStarted",
            Self::NotReadable => "NotReadable",
            Self::Unconfirmed => "Unconfirmed",
            Self::EndNotSeen => "EndNotSeen",
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
