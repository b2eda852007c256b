//! PURE: what a look after the call changes in a status. It never touches the journal: what was sent is said by the
//! attempt, and what is seen of the cloud is said beside it.

use k8s_openapi::jiff::Timestamp;

use crate::{
    api::{Attempt, ClusterRedistributionStatus, Phase, Reason, Redistribution, text::truncate},
    cloud::details::Details,
    observe::{Finding, Unseen, unsettled},
    protocol::conditions::{REDISTRIBUTED, condition_at, set_at, set_one_at, to_second},
};

/// What people are told besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusChange {
    /// It was not known whether the cloud accepted, and now it is.
    Confirmed(String),
    /// It was seen to run for the first time, or again after a pause or a failure.
    Started(String),
    /// It stands still.
    Paused {
        /// What is said of it.
        message: String,
        /// The cloud says that no user has done it, so that nobody meant it.
        by_cloud: bool,
    },
    /// It is over.
    Finished(String),
    /// It failed.
    Failed(String),
}

/// The status after a look, and what is new in it. `None` if nothing that is shown has moved.
pub fn observed(
    status: &ClusterRedistributionStatus,
    generation: i64,
    finding: &Finding,
    now: Timestamp,
) -> Option<(ClusterRedistributionStatus, Vec<StatusChange>)> {
    let mut next = status.clone();
    let mut news = Vec::new();
    let (moved, (word, reason, message)) = match finding {
        Finding::Nothing => return None,
        Finding::Unseen(unseen, what) => {
            let message = if *unseen == Unseen::Unconfirmed {
                unconfirmed(&mut next, generation, what, now)
            } else {
                what.clone()
            };
            (false, ("Unknown", unseen.as_str(), message))
        }
        Finding::Run(phase, details) => {
            let seen = redistribution(status.redistribution.as_ref(), *phase, details.as_deref(), now);
            let message = in_words(*phase, &seen);
            confirm(&mut next, generation, &seen, &mut news, now);
            tell(status, generation, (*phase, &seen), &message, &mut news);
            let moved = status.redistribution.as_ref().map(Redistribution::shown) != Some(seen.shown());
            if moved {
                next.redistribution = Some(seen);
            }
            (moved, (if *phase == Phase::Finished { "True" } else { "False" }, phase.as_str(), message))
        }
    };
    let changed = set_one_at(&mut next.conditions, REDISTRIBUTED, generation, (word, reason, &message), now);
    (moved || changed).then_some((next, news))
}

/// What was not known is known now: a redistribution began after the claim that was not there before. No status code is
/// invented for it.
fn confirm(
    next: &mut ClusterRedistributionStatus,
    generation: i64,
    seen: &Redistribution,
    news: &mut Vec<StatusChange>,
    now: Timestamp,
) {
    if unsettled(next, generation).is_none() {
        return;
    }
    let answer = match next.status_code {
        None => "No answer came".to_owned(),
        Some(code) => format!("HTTP {code} was answered, which does not tell whether the call was accepted"),
    };
    let which = seen.id.as_ref().map(|id| format!(" ({id})")).unwrap_or_default();
    let message = format!(
        "{answer}, but a redistribution began{which} that was not there before the claim: the cloud has accepted. Who else starts one for this cluster in these minutes is taken for it"
    );
    let _changed = set_at(&mut next.conditions, generation, Reason::ConfirmedByObservation, &message, now);
    news.push(StatusChange::Confirmed(message));
}

/// Nothing has shown it in time. The four conditions stay what they are; people are told what was seen.
fn unconfirmed(next: &mut ClusterRedistributionStatus, generation: i64, what: &str, now: Timestamp) -> String {
    let said = next.attempt.as_ref().and_then(|attempt: &Attempt| attempt.message.as_deref()).unwrap_or_default();
    let seen = format!(
        "Looked at since, until the settle time was over: {what}. That is no proof that the cloud did not accept"
    );
    if let Some(reason) = unsettled(next, generation) {
        let said = said.trim_end_matches('.');
        let _changed = set_at(&mut next.conditions, generation, reason, &format!("{said}. {seen}"), now);
    }
    seen
}

/// What is shown of it from now on. What only earlier looks showed is kept, unless the end says it.
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
    }
    match (phase, details) {
        // The cloud does not show what is over: all of it is done.
        (Phase::Finished, None) => {
            (next.progress_percent, next.tables_left, next.bytes_left) = (Some(100), Some(0), Some(0));
            next.tables_done = None;
            (next.rate, next.estimated_seconds) = (None, None);
            (next.paused_by_user, next.retryable) = (None, None);
        }
        // What was true of it before may not be any more.
        (_, None) => {
            (next.rate, next.estimated_seconds) = (None, None);
            (next.paused_by_user, next.retryable) = (None, None);
        }
        _ => {}
    }
    next
}

/// Holds nothing that moves while nothing shown moves.
fn in_words(phase: Phase, seen: &Redistribution) -> String {
    let percent = seen.progress_percent.map(|percent| format!("{percent} % is done")).unwrap_or_default();
    let left = seen.tables_left.map(|left| format!(", {left} tables are left")).unwrap_or_default();
    let far = if percent.is_empty() { String::new() } else { format!(": {percent}{left}") };
    let failures = seen.fail_count.filter(|count| *count > 0);
    let failed = failures.map(|count| format!(" after {count} failures")).unwrap_or_default();
    match phase {
        Phase::Running => format!("The redistribution is running{far}"),
        Phase::Paused if seen.paused_by_user == Some(true) => {
            format!("A user has paused the redistribution{far}. It is resumed in the cloud's console")
        }
        Phase::Paused if seen.paused_by_user == Some(false) => {
            format!("The cloud itself has paused the redistribution{failed}{far}. Look at the cluster in its console")
        }
        Phase::Paused => format!("The redistribution is paused{far}. Look at the cluster in the cloud's console"),
        Phase::Failed => {
            let again = if seen.retryable == Some(true) { "and try it again" } else { "for the cause" };
            format!("The redistribution has failed{failed}{far}. Look at the cluster in the cloud's console {again}")
        }
        Phase::Finished => "The redistribution is finished".to_owned(),
    }
}

/// Each once: when the condition turns.
fn tell(
    status: &ClusterRedistributionStatus,
    generation: i64,
    (phase, seen): (Phase, &Redistribution),
    message: &str,
    news: &mut Vec<StatusChange>,
) {
    let said = condition_at(&status.conditions, REDISTRIBUTED, generation);
    let before = said.filter(|said| said.status != "Unknown").map(|said| said.reason.as_str());
    if before == Some(phase.as_str()) {
        return;
    }
    let message = message.to_owned();
    news.push(match phase {
        Phase::Running => StatusChange::Started(message),
        Phase::Paused => StatusChange::Paused { message, by_cloud: seen.paused_by_user == Some(false) },
        Phase::Failed => StatusChange::Failed(message),
        Phase::Finished => StatusChange::Finished(message),
    });
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
