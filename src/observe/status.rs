//! PURE: the changes of status by a poll. Never changes the journal: the attempt records what was sent.

use k8s_openapi::jiff::Timestamp;

use super::{Finding, Unseen, unsettled};
use crate::{
    api::{Attempt, ClusterRedistributionStatus, Phase, Reason, Redistribution, text::truncate},
    cloud::cluster::Details,
    protocol::conditions::{REDISTRIBUTED, condition_at, set_at, set_one_at, to_second},
};

/// A change that is also reported by an event and in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusChange {
    pub reason: &'static str,
    pub is_warning: bool,
    pub message: String,
}

/// `None` if nothing that status shows has changed.
pub fn observed(
    status: &ClusterRedistributionStatus,
    generation: i64,
    finding: &Finding,
    now: Timestamp,
) -> Option<(ClusterRedistributionStatus, Vec<StatusChange>)> {
    let mut next = status.clone();
    let mut changes = Vec::new();
    let (moved, (word, reason, message)) = match finding {
        Finding::Nothing => return None,
        Finding::Unseen(unseen, evidence) => {
            let message = if *unseen == Unseen::Unconfirmed {
                unconfirmed(&mut next, generation, evidence, now)
            } else {
                evidence.clone()
            };
            (false, ("Unknown", unseen.as_str(), message))
        }
        Finding::Run(phase, details) => {
            let seen = redistribution(status.redistribution.as_deref(), *phase, details.as_deref(), now);
            let message = message(*phase, &seen);
            confirm(&mut next, generation, &seen, &mut changes, now);
            report_phase(status, generation, (*phase, &seen), &message, &mut changes);
            let moved = status.redistribution.as_deref().map(Redistribution::shown) != Some(seen.shown());
            if moved {
                next.redistribution = Some(Box::new(seen));
            }
            (moved, (if *phase == Phase::Finished { "True" } else { "False" }, phase.as_str(), message))
        }
    };
    let is_new = set_one_at(&mut next.conditions, REDISTRIBUTED, generation, (word, reason, &message), now);
    (moved || is_new).then_some((next, changes))
}

/// An unknown outcome is confirmed by a redistribution that was not there before the claim. No status code is invented.
fn confirm(
    next: &mut ClusterRedistributionStatus,
    generation: i64,
    seen: &Redistribution,
    changes: &mut Vec<StatusChange>,
    now: Timestamp,
) {
    if unsettled(next, generation).is_none() {
        return;
    }
    let answer = match next.status_code {
        None => "No answer came".to_owned(),
        Some(code) => format!("HTTP {code} was answered, which does not prove whether the call was accepted"),
    };
    let which = seen.id.as_ref().map(|id| format!(" ({id})")).unwrap_or_default();
    let message = format!(
        "{answer}, but a redistribution began{which} that was not there before the claim: the cloud has accepted. One that another user started for this cluster within these minutes cannot be distinguished from it"
    );
    let _changed = set_at(&mut next.conditions, generation, Reason::ConfirmedByObservation, &message, now);
    changes.push(StatusChange { reason: "ConfirmedByObservation", is_warning: false, message });
}

/// The four conditions keep their values; their message adds the evidence.
fn unconfirmed(next: &mut ClusterRedistributionStatus, generation: i64, evidence: &str, now: Timestamp) -> String {
    let outcome = next.attempt.as_deref().and_then(|attempt: &Attempt| attempt.message.as_deref()).unwrap_or_default();
    let polled =
        format!("Polled until the settle time was over: {evidence}. That is no proof that the cloud did not accept");
    if let Some(reason) = unsettled(next, generation) {
        let outcome = outcome.trim_end_matches('.');
        let _changed = set_at(&mut next.conditions, generation, reason, &format!("{outcome}. {polled}"), now);
    }
    polled
}

/// Values that only earlier polls showed are kept, unless the end implies other ones.
fn redistribution(
    before: Option<&Redistribution>,
    phase: Phase,
    details: Option<&Details>,
    now: Timestamp,
) -> Redistribution {
    let mut next = before.cloned().unwrap_or_default();
    phase.as_str().clone_into(&mut next.state);
    next.observed_time = Some(to_second(now));
    if let Some(details) = details {
        next.id = Some(truncate(&details.id, 64));
        next.progress_percent = details.percent;
        (next.tables_done, next.tables_left) = (details.tables_done, details.tables_left);
        (next.bytes_left, next.estimated_seconds) = (details.bytes_left, details.estimated_seconds);
        (next.rate, next.fail_count) = (details.rate.clone(), details.fail_count);
        (next.start_time, next.end_time) = (details.start_time.clone(), details.end_time.clone());
        (next.paused_by_user, next.retryable) = (details.paused_by_user, details.retryable);
    } else {
        // These values may have changed since.
        (next.rate, next.estimated_seconds) = (None, None);
        (next.paused_by_user, next.retryable) = (None, None);
        if phase == Phase::Finished {
            // The cloud does not show an ended redistribution: all of it is done.
            (next.progress_percent, next.tables_left, next.bytes_left) = (Some(100), Some(0), Some(0));
            next.tables_done = None;
        }
    }
    next
}

/// Changes only when a value that status shows changes.
fn message(phase: Phase, seen: &Redistribution) -> String {
    let percent = seen.progress_percent.map(|percent| format!("{percent} % is done")).unwrap_or_default();
    let left = seen.tables_left.map(|left| format!(", {left} tables are left")).unwrap_or_default();
    let progress = if percent.is_empty() { String::new() } else { format!(": {percent}{left}") };
    let failures = seen.fail_count.filter(|count| *count > 0);
    let failed = failures.map(|count| format!(" after {count} failures")).unwrap_or_default();
    match phase {
        Phase::Running => format!("The redistribution is running{progress}"),
        Phase::Paused if seen.paused_by_user == Some(true) => {
            format!("A user has paused the redistribution{progress}. It is resumed in the cloud's console")
        }
        Phase::Paused if seen.paused_by_user == Some(false) => {
            format!(
                "The cloud itself has paused the redistribution{failed}{progress}. Look at the cluster in its console"
            )
        }
        Phase::Paused => format!("The redistribution is paused{progress}. Look at the cluster in the cloud's console"),
        Phase::Failed => {
            let again = if seen.retryable == Some(true) { "and try it again" } else { "for the cause" };
            format!(
                "The redistribution has failed{failed}{progress}. Look at the cluster in the cloud's console {again}"
            )
        }
        Phase::Finished => "The redistribution is finished".to_owned(),
    }
}

/// Once: when the condition changes.
fn report_phase(
    status: &ClusterRedistributionStatus,
    generation: i64,
    (phase, seen): (Phase, &Redistribution),
    message: &str,
    changes: &mut Vec<StatusChange>,
) {
    let condition = condition_at(&status.conditions, REDISTRIBUTED, generation);
    let before = condition.filter(|before| before.status != "Unknown").map(|before| before.reason.as_str());
    if before == Some(phase.as_str()) {
        return;
    }
    let (reason, is_warning) = match phase {
        Phase::Running => ("RedistributionStarted", false),
        // A user who paused it knows of the pause; a pause by the cloud needs a person.
        Phase::Paused => ("RedistributionPaused", seen.paused_by_user == Some(false)),
        Phase::Failed => ("RedistributionFailed", true),
        Phase::Finished => ("RedistributionFinished", false),
    };
    changes.push(StatusChange { reason, is_warning, message: message.to_owned() });
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
