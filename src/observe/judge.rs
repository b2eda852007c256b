//! PURE: judges the readings of a poll by the facts that were known before.

use super::{
    Stage,
    finding::{Finding, Hint, Past, Readings, Unseen, not_readable, not_started, over, unconfirmed},
};
use crate::{
    api::{NONE, Phase},
    cloud::{
        ReadResult,
        cluster::{ClusterState, Details, RunState, Task},
    },
};

type Judged = (Finding, Option<Hint>);

/// Judges a poll: its finding, and its hint for the next one.
pub fn judge(stage: Stage, past: &Past<'_>, readings: &Readings<'_>) -> Judged {
    match stage {
        Stage::Settling => settling(past, readings),
        Stage::Following => following(past, readings),
        Stage::Over => (over(), None),
    }
}

/// Whether the cluster must be read too: not if the details are sufficient.
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

/// Whether it runs with the parameters of the request, as far as they are shown.
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
