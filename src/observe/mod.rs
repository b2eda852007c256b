//! PURE: what is seen of a redistribution after its call, and what that proves. Absence proves nothing, and nothing that
//! is found here ever leads to a call. The clock is an argument; what is read is read elsewhere.

mod interval;
pub mod schedule;
pub mod status;

mod evidence;
mod judge;

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

pub use self::{
    interval::pause,
    judge::{judge, needs_cluster},
};
use crate::{
    api::{Baseline, ClusterRedistribution, ClusterRedistributionStatus, Phase, Reason, Redistribution},
    cloud::{ReadResult, RedistributionRequest, cluster::ClusterState, details::Details, outcome},
    protocol::conditions::{REDISTRIBUTED, condition_at, reason_at},
};

/// What is left standing for longer than this is not looked at any more.
const MAX: SignedDuration = SignedDuration::from_hours(30 * 24);

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
    /// Nothing any more; that is still to be said.
    Over,
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

/// What one look suggests. Only a second one in a row says it: what is read may be late, or between two states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// The cluster redistributes, and nothing tells with what.
    Moving,
    /// The cluster is idle.
    Idle,
    /// What was seen to run is not shown any more.
    Gone,
}

/// What a look means.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// Nothing that could be said.
    Nothing,
    /// The redistribution of this call, with its details where they are shown.
    Run(Phase, Option<Box<Details>>),
    /// It cannot be told, and why.
    Unseen(Unseen, String),
}

/// What one look showed. The cluster is looked at only where the details do not tell.
#[derive(Clone, Copy, Debug)]
pub struct Readings<'a> {
    /// The redistribution that the cloud shows.
    pub details: &'a ReadResult<Option<Details>>,
    /// The cluster.
    pub cluster: Option<&'a ReadResult<ClusterState>>,
}

impl Readings<'_> {
    /// Something of it could be read.
    pub fn is_readable(&self) -> bool {
        self.details.shown().is_some() || self.cluster.is_some_and(|cluster| cluster.seen().is_some())
    }
}

/// What was known before it.
#[derive(Clone, Copy, Debug)]
pub struct Past<'a> {
    /// Just before the claim.
    pub baseline: &'a Baseline,
    /// As last seen.
    pub known: Option<&'a Redistribution>,
    /// What was asked for.
    pub request: &'a RedistributionRequest,
    /// What the last look suggested.
    pub hint: Option<Hint>,
    /// Another request has called for this cluster so shortly before that what it began may not have shown yet.
    pub others_before: bool,
    /// Another request has called for it since.
    pub others_since: bool,
    /// The settle time is over.
    pub has_settled: bool,
    /// What status says of it, by its reason.
    pub said: Option<&'a str>,
}

/// What is still looked for. `None`: nothing, for ever, unless the spec is changed.
///
/// Only of an attempt that carries a baseline: without one, what is seen cannot be told from what was there before.
pub fn stage(object: &ClusterRedistribution, wall: Timestamp) -> Option<Stage> {
    let status = object.status.as_ref()?;
    let generation = object.metadata.generation?;
    let attempt = status.attempt.as_ref().filter(|attempt| attempt.generation == generation)?;
    attempt.baseline.as_ref()?;
    let said = condition_at(&status.conditions, REDISTRIBUTED, generation);
    if said.is_some_and(|said| said.status == "True" || Unseen::LAST.iter().any(|last| last.as_str() == said.reason)) {
        return None;
    }
    let reason = reason_at(&status.conditions, generation)?;
    let stage = if [Reason::Delivered, Reason::ConfirmedByObservation].iter().any(|one| one.as_str() == reason) {
        Stage::Following
    } else {
        unsettled(status, generation).map(|_| Stage::Settling)?
    };
    let since = attempt.finished_time.as_ref().or(attempt.claimed_time.as_ref()).map_or(wall, |time| time.0);
    Some(if wall.duration_since(since) > MAX { Stage::Over } else { stage })
}

/// The reason of a generation of which nobody knows whether the cloud accepted it, though its call may have left.
pub fn unsettled(status: &ClusterRedistributionStatus, generation: i64) -> Option<Reason> {
    let said = reason_at(&status.conditions, generation)?;
    [Reason::OutcomeUnknown, Reason::ServerError].into_iter().find(|reason| reason.as_str() == said)
}

/// What is said where nothing is looked for any more.
pub fn over() -> Finding {
    let message = "Not looked at any more, 30 days after the call: the end was not seen. Look at the cluster in the cloud's console";
    Finding::Unseen(Unseen::EndNotSeen, message.to_owned())
}

/// An answer that says that nothing began, as far as status tells: a 4xx with a code that proves it, and the two that are read in
/// any case. Without a code, a body that was not read whole may have held one that proves nothing.
pub fn is_refusal(status_code: Option<i32>, error_code: Option<&str>) -> bool {
    let proves = match status_code {
        Some(401 | 429) => true,
        Some(code) => (400..500).contains(&code) && code != 408 && error_code.is_some(),
        None => false,
    };
    proves && !error_code.is_some_and(outcome::proves_nothing)
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
