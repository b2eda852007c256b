//! PURE: judges a look by what was known before it.

use super::{Finding, Hint, Past, Readings, Stage, Unseen, evidence, over};
use crate::{
    api::{NONE, Phase},
    cloud::{
        ReadResult,
        cluster::{ClusterState, Task},
        details::{Details, RunState},
    },
};

type Judged = (Finding, Option<Hint>);

/// Judges a look: what it means, and what it suggests to the next one.
pub fn judge(stage: Stage, past: &Past<'_>, sight: &Readings<'_>) -> Judged {
    match stage {
        Stage::Settling => settling(past, sight),
        Stage::Following => following(past, sight),
        Stage::Over => (over(), None),
    }
}

/// Whether the cluster has to be looked at besides: not while the details tell all there is to know.
pub fn needs_cluster(stage: Stage, past: &Past<'_>, details: &ReadResult<Option<Details>>) -> bool {
    let alone = Readings { details, cluster: None };
    stage == Stage::Settling || !matches!(judge(stage, past, &alone).0, Finding::Run(..))
}

/// A redistribution that runs now where the cluster waited before the claim was started since.
fn settling(past: &Past<'_>, sight: &Readings<'_>) -> Judged {
    if !sight.is_readable() {
        return (evidence::not_readable(sight), None);
    }
    let task = task(sight);
    let new = sight.details.shown().flatten().filter(|details| is_new(Stage::Settling, past, details, task));
    let shown = sight.details.shown().flatten();
    // Also where it is not known whether it is new: what is under way with other parameters is no doing of this call.
    let foreign = new.or(shown.filter(|shown| shown.is_under_way())).filter(|shown| !is_as_asked(past, shown));
    let is_anothers = past.others_before || past.others_since || foreign.is_some();
    // While the cluster waits, nothing has begun, whatever its details show.
    let may_be = !is_anothers && task != Some(&Task::Waiting) && waited(past) != Some(false);
    if let Some(new) = new.filter(|_| may_be) {
        // Without the name of the one before, only a cluster that was seen to wait proves that this one is new.
        let is_proof = waited(past) == Some(true) || past.baseline.redistribution_id.as_deref() != Some(NONE);
        if let Some(phase) = phase_of_run(new).filter(|_| is_proof && new.state != RunState::Preparing) {
            return (Finding::Run(phase, Some(Box::new(new.clone()))), None);
        }
    }
    if let Some(phase) = sight
        .cluster
        .and_then(ReadResult::seen)
        .and_then(phase_of_cluster)
        .filter(|_| may_be && waited(past) == Some(true))
    {
        // The details may tell with what it runs a look later, and whether somebody else has started it.
        let finding = if past.hint == Some(Hint::Moving) { Finding::Run(phase, None) } else { Finding::Nothing };
        return (finding, Some(Hint::Moving));
    }
    if past.has_settled {
        return (Finding::Unseen(Unseen::Unconfirmed, evidence::of(past, sight, new.or(foreign))), None);
    }
    (Finding::Nothing, None)
}

fn following(past: &Past<'_>, sight: &Readings<'_>) -> Judged {
    let task = task(sight);
    if let Some(details) = sight.details.shown().flatten() {
        let known = past.known.and_then(|known| known.id.as_deref());
        let is_ours = known
            .map_or_else(|| !past.others_since && is_new(Stage::Following, past, details, task), |id| id == details.id);
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
    by_cluster(past, sight)
}

fn by_cluster(past: &Past<'_>, sight: &Readings<'_>) -> Judged {
    let is_known = past.known.is_some();
    let Some(state) = sight.cluster.and_then(ReadResult::seen) else {
        // What is said already is better than nothing.
        let is_better = past.said.is_some_and(|said| said != Unseen::NotReadable.as_str());
        return (if is_better { Finding::Nothing } else { evidence::not_readable(sight) }, None);
    };
    let may_be = is_known || (waited(past) != Some(false) && !past.others_since);
    match (phase_of_cluster(state), &state.task) {
        (Some(phase), _) if may_be => (Finding::Run(phase, None), None),
        (_, Task::Idle) if is_known && state.has_failed() => (Finding::Run(Phase::Failed, None), None),
        // Also one that was too quick to be seen running.
        (_, Task::Idle) if state.is_idle() && (is_known || waited(past) == Some(true)) => {
            let is_certain = past.hint == Some(Hint::Idle);
            let otherwise = if is_known { Finding::Nothing } else { evidence::not_started(state) };
            (if is_certain { Finding::Run(Phase::Finished, None) } else { otherwise }, Some(Hint::Idle))
        }
        (_, Task::Waiting) if is_known => {
            gone(past, "The cluster waits for a redistribution again: the end of the last one was not seen".to_owned())
        }
        // Whatever it is, it says nothing of a redistribution that was seen.
        _ if is_known => (Finding::Nothing, None),
        _ => (evidence::not_started(state), None),
    }
}

fn gone(past: &Past<'_>, message: String) -> Judged {
    let is_certain = past.hint == Some(Hint::Gone);
    let finding = if is_certain { Finding::Unseen(Unseen::EndNotSeen, message) } else { Finding::Nothing };
    (finding, Some(Hint::Gone))
}

fn task<'a>(sight: &Readings<'a>) -> Option<&'a Task> {
    sight.cluster.and_then(ReadResult::seen).map(|state| &state.task)
}

/// It was not there before the claim.
fn is_new(stage: Stage, past: &Past<'_>, details: &Details, task: Option<&Task>) -> bool {
    match past.baseline.redistribution_id.as_deref() {
        // One that ended long ago may be hidden while the cluster waits for the next one, and shown again later. What is
        // under way cannot have been hidden.
        Some(NONE) => details.is_under_way() || (details.state == RunState::Failed && task == Some(&Task::Failed)),
        // One that is tried again may keep its name.
        Some(before) => {
            let starts = past.baseline.start_time.as_ref().zip(details.start_time.as_ref());
            details.id != before || starts.is_some_and(|(before, now)| before != now)
        }
        // What is under way after an answer that accepted can only be that: a cluster has one redistribution at a time.
        // Of a call without such an answer it proves nothing.
        None => stage == Stage::Following && details.is_under_way(),
    }
}

/// It runs with what was asked for, as far as that is shown.
fn is_as_asked(past: &Past<'_>, details: &Details) -> bool {
    let same_mode = details.mode.as_deref().is_none_or(|mode| mode == past.request.redis_mode.as_str());
    same_mode && details.parallel_jobs.is_none_or(|jobs| jobs == i64::from(past.request.parallel_jobs))
}

/// Whether the cluster waited for a redistribution before the claim, if that was seen.
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
