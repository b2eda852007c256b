//! Holds what was seen of a plan against the laws. What an operator wrote was judged by the record at the moment it was
//! written; here is what can only be said at the end. It touches nothing.

use std::collections::HashMap;

use super::scenario::{Settled, WISH};
use crate::{
    fault_proxy::{
        Law, Plan, Record,
        plan::{Fault, Kind},
        record::Call,
    },
    simulator::Entry,
};

/// Status writes of the main path without a fault: held, and claim and record for each of two generations.
const WRITES: usize = 5;
/// Further ones that a fault may cost: a claim given up and recalled, a hold on the way and its end, a settled claim.
const WRITES_FOR_A_FAULT: usize = 6;

/// Judges one generation by what the cloud said to it.
pub fn judge(record: &Record, plan: &Plan, settled: &Settled) {
    let Some(status) = &settled.status else { return };
    let calls: Vec<_> = record
        .calls()
        .into_iter()
        .filter(|call| call.cluster == settled.cluster && call.generation == Some(settled.generation))
        .collect();
    if let Err(what) = agrees(plan, settled.reason(), &calls) {
        let what = format!("{}, generation {}: {what}", settled.name, settled.generation);
        record.violated(Law::Unsettled, what);
    }
    let shown = status["statusCode"].as_u64();
    if let Some(code) = shown
        && !calls.iter().any(|call| call.said.map(u64::from) == Some(code))
    {
        record.violated(Law::FalseStatement, format!("{}: statusCode {code}, but {calls:?}", settled.name));
    }
}

/// Is this reason the one that it must be?
fn agrees(plan: &Plan, reason: &str, calls: &[Call]) -> Result<(), String> {
    let is_lost = plan.operators > 1 || plan.has(|step| step.fault.hits_the_process());
    let unread = plan.has(|step| {
        step.kind == Kind::Connect && matches!(step.fault, Fault::CloseUnread | Fault::ResetUnread | Fault::HangUnread)
    });
    // The answer is there, but not what it says; or the connection ends in the middle of it.
    let torn = plan
        .has(|step| matches!(step.fault, Fault::HalfBody | Fault::HalfChunks | Fault::LargeBody | Fault::AnswerEarly));
    let unknown = reason == "OutcomeUnknown";
    let said = calls.first().map(|call| call.said);
    let fine = match said {
        None => (unknown && (is_lost || unread)) || (reason == "NotSent" && is_lost),
        Some(None) => unknown,
        Some(Some(200..=299)) => reason == "Delivered" || (unknown && (is_lost || torn)),
        Some(Some(500..)) => reason == "ServerError" || (unknown && is_lost),
        Some(Some(_)) => is_refused(reason) || (unknown && (is_lost || torn)),
    };
    if fine { Ok(()) } else { Err(format!("it says {reason} after {calls:?}")) }
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
    if !settled.disturbed && settled.status.is_some() && settled.reason() != "Delivered" {
        record.violated(Law::Deaf, format!("{}, which met no fault, ends as {}", settled.name, settled.reason()));
    }
}

/// The whole plan: the cloud's own ledger, the number of writes, restarts without a reason.
pub fn judge_whole(record: &Record, plan: &Plan, ledger: &[Entry], probe_ended: usize) {
    let mut calls = HashMap::<(&str, &str), usize>::new();
    for entry in ledger {
        *calls.entry((&entry.cluster, &entry.body)).or_default() += 1;
    }
    for ((cluster, body), count) in calls.into_iter().filter(|&(_, count)| count > 1) {
        record.violated(Law::Duplicate, format!("the cloud's ledger has {count} calls for {cluster} with {body}"));
    }
    let (writes, bound) = (record.applied_writes(WISH), WRITES + WRITES_FOR_A_FAULT * plan.steps.len());
    let bound = bound * plan.operators.min(2);
    if writes > bound {
        record.violated(Law::TooManyWrites, format!("{writes} status writes, more than {bound}"));
    }
    let silent = plan.has(|step| {
        matches!(step.kind, Kind::List | Kind::Watch)
            && matches!(step.fault, Fault::Hang | Fault::HangReply | Fault::Late | Fault::BlackHole | Fault::Freeze)
    });
    if probe_ended > 0 && !silent {
        record.violated(Law::Deaf, format!("the liveness probe ended the operator {probe_ended} times"));
    }
}
