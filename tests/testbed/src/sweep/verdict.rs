//! Checks the results of a plan against the properties. The record judged every status at the moment it was written;
//! this module makes the checks that are possible only at the end. It changes nothing.

use std::{collections::HashMap, time::Duration};

use super::scenario::{REQUEST, Settled};
use crate::{
    fault_proxy::{
        Plan, Property, Record,
        plan::{Fault, Kind},
        record::Call,
    },
    simulator::Entry,
};

/// Status writes of the main path without a fault: held, and claim and record for each of two generations.
const WRITES: usize = 5;
/// Further writes for the results of observation: confirmed or not, running.
const WRITES_FOR_OBSERVATION: usize = 6;
/// Further writes that a fault may cost: an expired and a retracted claim, a hold on the way and its end, a settled
/// claim.
const WRITES_FOR_A_FAULT: usize = 6;

/// Writes of a claim that legitimately was not used, because the machine paused for longer than its send budget: the
/// claim and its end.
const WRITES_FOR_AN_UNUSED_CLAIM: usize = 2;

/// Send budget of the operators of a plan, and how long they may take to connect.
pub const SEND_BUDGET: Duration = Duration::from_secs(1);
/// Their request timeout. An attempt abandoned sooner than this after its claim was abandoned without a reason; one
/// abandoned later may have been answered too late for the operator, however soon that was for the proxy.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// Judges one generation by the cloud's answer, and by what the cloud carried out.
pub fn judge(record: &Record, plan: &Plan, settled: &Settled, executed: &[Entry]) {
    let Some(status) = &settled.status else { return };
    let calls: Vec<_> = record
        .calls()
        .into_iter()
        .filter(|call| call.cluster == settled.cluster && call.generation == Some(settled.generation))
        .collect();
    if let Err(what) = agrees(plan, settled.reason(), &calls, false) {
        let is_excused = may_be_late(record, settled) && agrees(plan, settled.reason(), &calls, true).is_ok();
        if is_excused {
            record.trace(format_args!("the answer for {} may have come too late", settled.name));
            record.was_late();
        } else {
            record
                .violated(Property::Unsettled, format!("{}, generation {}: {what}", settled.name, settled.generation));
        }
    }
    if settled.reason() == CONFIRMED && executed.is_empty() {
        let what =
            format!("{}, generation {}: {CONFIRMED}, but nothing was carried out", settled.name, settled.generation);
        record.violated(Property::FalseStatement, what);
    }
    let shown = status["statusCode"].as_u64();
    if let Some(code) = shown
        && !calls.iter().any(|call| call.said.map(u64::from) == Some(code))
    {
        record.violated(Property::FalseStatement, format!("{}: statusCode {code}, but {calls:?}", settled.name));
    }
}

/// A confirmation by observation, which is judged by what was carried out.
pub const CONFIRMED: &str = "ConfirmedByObservation";

/// The operator may have seen no answer in time, judging by the clock, and it had never come to write one. For one plan
/// that is an excuse; the report over all plans checks that an operator does not lose answers.
fn may_be_late(record: &Record, settled: &Settled) -> bool {
    let id = settled.status.as_ref().and_then(|status| status["attempt"]["id"].as_str()).unwrap_or_default();
    let (unknown, answered) = (record.after_its_claim(id, "Unknown"), record.after_its_claim(id, "Answered"));
    unknown.is_some_and(|unknown| unknown >= REQUEST_TIMEOUT && answered.is_none_or(|answered| answered > unknown))
}

/// Whether this is the expected reason.
fn agrees(plan: &Plan, reason: &str, calls: &[Call], is_late: bool) -> Result<(), String> {
    let is_lost = plan.operators > 1 || plan.has(|step| step.fault.hits_the_process());
    let unread = plan.has(|step| {
        step.kind == Kind::Connect && matches!(step.fault, Fault::CloseUnread | Fault::ResetUnread | Fault::HangUnread)
    });
    // The answer exists, but not its content; or the connection ends in the middle of it.
    let torn = plan
        .has(|step| matches!(step.fault, Fault::HalfBody | Fault::HalfChunks | Fault::LargeBody | Fault::AnswerEarly));
    let may_not_know = is_lost || is_late;
    let unknown = matches!(reason, "OutcomeUnknown" | CONFIRMED);
    let said = calls.first().map(|call| call.said);
    let fine = match said {
        None => (unknown && (is_lost || unread)) || (reason == "NotSent" && is_lost),
        // Whether a redirected call was carried out before is not known either.
        Some(None | Some(300..=399)) => unknown,
        Some(Some(200..=299)) => reason == "Delivered" || (unknown && (may_not_know || torn)),
        Some(Some(500..)) => matches!(reason, "ServerError" | CONFIRMED) || (unknown && may_not_know),
        Some(Some(_)) => is_refused(reason) || (unknown && (may_not_know || torn)),
    };
    if fine { Ok(()) } else { Err(format!("its reason is {reason} after {calls:?}")) }
}

fn is_refused(reason: &str) -> bool {
    [
        "BadRequest",
        "AuthenticationFailed",
        "PermissionDenied",
        "NotFound",
        "TooManyRequests",
        "ClusterNotFound",
        "ClusterNotReady",
        "Rejected",
    ]
    .contains(&reason)
}

/// A fresh object that met no fault must be delivered like any other.
pub fn judge_fresh(record: &Record, settled: &Settled) {
    let is_late = matches!(settled.reason(), "OutcomeUnknown" | CONFIRMED) && may_be_late(record, settled);
    if !settled.disturbed && settled.status.is_some() && settled.reason() != "Delivered" && !is_late {
        record.violated(Property::Deaf, format!("{}, which met no fault, ends as {}", settled.name, settled.reason()));
    }
}

/// The whole plan: the cloud's own ledger, the number of writes, restarts without a reason.
pub fn judge_whole(record: &Record, plan: &Plan, ledger: &[Entry], probe_ended: usize, observe: bool) {
    let mut calls = HashMap::<(&str, &str), usize>::new();
    for entry in ledger {
        *calls.entry((&entry.cluster, &entry.body)).or_default() += 1;
    }
    for ((cluster, body), count) in calls.into_iter().filter(|&(_, count)| count > 1) {
        record.violated(Property::Duplicate, format!("the cloud's ledger has {count} calls for {cluster} with {body}"));
    }
    let (writes, bound) = (record.applied_writes(REQUEST), WRITES + WRITES_FOR_A_FAULT * plan.steps.len());
    let bound = (bound + if observe { WRITES_FOR_OBSERVATION } else { 0 }) * plan.operators.min(2);
    let bound = bound + WRITES_FOR_AN_UNUSED_CLAIM * record.unused_after(REQUEST, SEND_BUDGET);
    if writes > bound {
        record.violated(Property::TooManyWrites, format!("{writes} status writes, more than {bound}"));
    }
    let silent = plan.has(|step| {
        matches!(step.kind, Kind::List | Kind::Watch | Kind::Stream)
            && matches!(step.fault, Fault::Hang | Fault::HangReply | Fault::Late | Fault::BlackHole | Fault::Freeze)
    });
    if probe_ended > 0 && !silent {
        record.violated(Property::Deaf, format!("the liveness probe ended the operator {probe_ended} times"));
    }
}

#[cfg(test)]
mod tests;
