//! PURE: the polls of a redistribution after its call, and what their results prove. Absence proves nothing, and no
//! result ever leads to a call. The clock is an argument; the cloud is read elsewhere.

mod interval;
pub mod schedule;
pub mod status;

mod judge;
mod messages;

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

pub use self::{
    interval::pause,
    judge::{judge, needs_cluster},
};
use crate::{
    api::{Baseline, ClusterRedistribution, ClusterRedistributionStatus, Phase, Reason, Redistribution},
    cloud::{ReadResult, RedistributionRequest, cluster::ClusterState, details::Details, outcome},
    protocol::{
        conditions::{REDISTRIBUTED, condition_at, reason_at},
        decide::Step,
    },
};

/// A redistribution is polled for no longer than this after its call.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The administrator's settings.
#[derive(Clone, Copy, Debug)]
pub struct Observe {
    /// Interval between the polls of a redistribution that progresses.
    pub every: Duration,
    /// How long a redistribution may take to appear before it is reported as unconfirmed.
    pub settle: Duration,
}

/// The question that the polls answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It is unknown whether the cloud accepted: has a redistribution begun?
    Settling,
    /// The cloud accepted: how far is the redistribution?
    Following,
    /// Polling has ended; status does not report that yet.
    Over,
}

/// Why the progress cannot be reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unseen {
    /// The cloud accepted, and does not show the redistribution yet.
    NotStarted,
    /// The cloud's answers cannot be read.
    NotReadable,
    /// It is unknown whether the cloud accepted, and no poll within the settle time has confirmed it. Polling has ended.
    Unconfirmed,
    /// The redistribution ran, and is not shown any more, without a poll that showed its end. Polling has ended.
    EndNotSeen,
}

/// A result that needs a second poll in a row to be reported: a read may be late, or between two states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// The cluster redistributes, with unknown parameters.
    Moving,
    /// The cluster is idle.
    Idle,
    /// The redistribution that ran is not shown any more.
    Gone,
}

/// The finding of a poll.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// Nothing to report.
    Nothing,
    /// The redistribution of this call, with its details if they are shown.
    Run(Phase, Option<Box<Details>>),
    /// The progress is not known, and why.
    Unseen(Unseen, String),
}

/// The reads of one poll. The cluster is read only if the details are not sufficient.
#[derive(Clone, Copy, Debug)]
pub struct Readings<'a> {
    /// The redistribution that the cloud shows.
    pub details: &'a ReadResult<Option<Details>>,
    /// The state of the cluster, if it was read.
    pub cluster: Option<&'a ReadResult<ClusterState>>,
}

impl Readings<'_> {
    /// Whether any of the reads succeeded.
    pub fn is_readable(&self) -> bool {
        self.details.shown().is_some() || self.cluster.is_some_and(|cluster| cluster.found().is_some())
    }
}

/// The facts that were known before a poll.
#[derive(Clone, Copy, Debug)]
pub struct Past<'a> {
    /// The state of the cluster just before the claim.
    pub baseline: &'a Baseline,
    /// The redistribution as the last poll found it.
    pub known: Option<&'a Redistribution>,
    /// The request of the call.
    pub request: &'a RedistributionRequest,
    /// The hint of the last poll.
    pub hint: Option<Hint>,
    /// Another request called for this cluster so shortly before that its redistribution may not be in the baseline.
    pub others_before: bool,
    /// Another request has called for this cluster since.
    pub others_since: bool,
    /// The settle time is over.
    pub has_settled: bool,
    /// The reason that condition `Redistributed` reports.
    pub reported: Option<&'a str>,
}

/// The stage of the polls. `None`: none are due, unless the spec is changed.
///
/// Only an attempt with a baseline is polled: without one, a redistribution of this call cannot be distinguished from an
/// earlier one.
pub fn stage(object: &ClusterRedistribution, wall: Timestamp) -> Option<Stage> {
    let status = object.status.as_ref()?;
    let generation = object.metadata.generation?;
    let attempt = status.attempt.as_ref().filter(|attempt| attempt.generation == generation)?;
    attempt.baseline.as_ref()?;
    let is_final = |reason: &str| Unseen::FINAL.iter().any(|unseen| unseen.as_str() == reason);
    let redistributed = condition_at(&status.conditions, REDISTRIBUTED, generation);
    if redistributed.is_some_and(|condition| condition.status == "True" || is_final(&condition.reason)) {
        return None;
    }
    let reason = reason_at(&status.conditions, generation)?;
    let stage = if [Reason::Delivered, Reason::ConfirmedByObservation].iter().any(|one| one.as_str() == reason) {
        Stage::Following
    } else {
        unsettled(status, generation).map(|_| Stage::Settling)?
    };
    let since = attempt.finished_time.as_ref().or(attempt.claimed_time.as_ref()).map_or(wall, |time| time.0);
    Some(if wall.duration_since(since) > MAX_AGE { Stage::Over } else { stage })
}

/// The stage of the polls of an object whose next step is this one: they are due only where nothing else is.
pub fn due(object: &ClusterRedistribution, step: &Step, wall: Timestamp) -> Option<Stage> {
    let is_deleted = object.metadata.deletion_timestamp.is_some();
    stage(object, wall).filter(|_| *step == Step::Done && !is_deleted)
}

/// The reason of a generation whose call may have been sent, if it is unknown whether the cloud accepted it.
pub fn unsettled(status: &ClusterRedistributionStatus, generation: i64) -> Option<Reason> {
    let reported = reason_at(&status.conditions, generation)?;
    [Reason::OutcomeUnknown, Reason::ServerError].into_iter().find(|reason| reason.as_str() == reported)
}

/// The finding at the end of the polls.
pub fn over() -> Finding {
    let message =
        "Polling ended 30 days after the call: the end was not seen. Look at the cluster in the cloud's console";
    Finding::Unseen(Unseen::EndNotSeen, message.to_owned())
}

/// Whether an answer in status proves that nothing began: a 4xx with a code that proves it, or a 401 or 429, which prove
/// it in any case. Without a code, a body that was not read whole may have held one that proves nothing.
pub fn is_refusal(status_code: Option<i32>, error_code: Option<&str>) -> bool {
    let proves = match status_code {
        Some(401 | 429) => true,
        Some(code) => (400..500).contains(&code) && code != 408 && error_code.is_some(),
        None => false,
    };
    proves && !error_code.is_some_and(outcome::proves_nothing)
}

impl Unseen {
    /// After these, polling ends.
    pub const FINAL: [Self; 2] = [Self::Unconfirmed, Self::EndNotSeen];

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
