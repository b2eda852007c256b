//! PURE: what polls find, from which facts, and in which words.

use crate::{
    api::{Baseline, ClusterRedistributionSpec, ClusterRedistributionStatus, NONE, Phase, Reason, Redistribution},
    cloud::{
        ReadResult,
        cluster::{ClusterState, Details},
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
    pub details: &'a ReadResult<Option<Details>>,
    pub cluster: Option<&'a ReadResult<ClusterState>>,
}

impl Readings<'_> {
    pub fn is_readable(&self) -> bool {
        self.details.shown().is_some() || self.cluster.is_some_and(|cluster| cluster.found().is_some())
    }
}

/// The facts that were known before a poll.
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

/// The reason of a generation whose call may have been sent, if it is unknown whether the cloud accepted it.
pub fn unsettled(status: &ClusterRedistributionStatus, generation: i64) -> Option<Reason> {
    let reported = reason_at(&status.conditions, generation)?;
    [Reason::OutcomeUnknown, Reason::ServerError].into_iter().find(|reason| reason.as_str() == reported)
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

/// The last readings within the settle time. `shown`: a redistribution that was not there before the claim.
pub fn unconfirmed(past: &Past<'_>, readings: &Readings<'_>, shown: Option<&Details>) -> String {
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

/// Neither the redistribution nor the cluster can be read. The message holds no varying cause, since each change would be a
/// write.
pub fn not_readable(readings: &Readings<'_>) -> Finding {
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

/// The cloud accepted, and the cluster does not show the redistribution.
pub fn not_started(state: &ClusterState) -> Finding {
    let message = format!("The cloud accepted, but shows no redistribution of this call yet: {}", state.describe());
    Finding::Unseen(Unseen::NotStarted, message)
}

/// The finding at the end of the polls.
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
