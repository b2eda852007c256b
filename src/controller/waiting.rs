//! What a call waits for, when that is written to status, and in which words. A wait that is short costs no write.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    Work,
    report::{is_reported, reported_reason},
};
use crate::{
    api::{ClusterRedistribution, Reason},
    credentials::CredentialSource,
    protocol::{
        decide::Plan,
        hold::{Hold, RECHECK_AFTER},
    },
    runtime::throttle::{WriteLimit, jittered},
};

/// A wait is not reported before, unless it is reported after [`SHORT`].
const QUIET: Duration = Duration::from_secs(30);
/// The same if status shows another reason, or another call for the cluster is in flight.
const SHORT: Duration = Duration::from_secs(2);
/// An object's wait is written at most once in this time.
const EACH: Duration = Duration::from_secs(30);
/// All waits together are written at most once in this time, after a burst.
const ALL: (u32, Duration) = (10, Duration::from_millis(100));

/// How often a reported wait is checked again.
pub const WAIT_RECHECK: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Another request of its namespace to the same cluster.
    Cluster,
    /// A place among the requests in flight.
    Place,
    /// The endpoint, its credentials or a login.
    Preparation,
    /// Another request to the same cluster with the same credential.
    Credential,
    /// A slot of the rate limit, or an answer.
    Slot,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub on: Wait,
    pub since: Instant,
    /// The reason of the hold that the last task of the same work ended with: status may still show it.
    pub last: Option<Reason>,
    /// When the wait was last written to status.
    pub reported: Option<Instant>,
}

#[derive(Debug)]
pub struct WaitReports(Mutex<WriteLimit>);

impl Default for WaitReports {
    fn default() -> Self {
        Self(Mutex::new(WriteLimit::new(ALL.0, ALL.1)))
    }
}

impl WaitReports {
    /// What status is to show of the wait of this plan now. The error: nothing, or not yet; look again after this time.
    pub fn due(
        &self,
        object: &ClusterRedistribution,
        (plan, source): (&Plan, &CredentialSource),
        waiting: &Waiting,
        ahead: impl FnOnce() -> Option<Work>,
    ) -> Result<Hold, Duration> {
        let now = Instant::now();
        let since = now.saturating_duration_since(waiting.since);
        let shown = reported_reason(object);
        // What the last try found is the best information until the next one is over.
        let is_last = shown.is_some() && shown == waiting.last.map(Reason::as_str);
        let is_of_a_wait =
            |reason| [Reason::Throttled.as_str(), Reason::AnotherCallInFlight.as_str()].contains(&reason);
        let shows_another = shown.is_some_and(|shown| !is_of_a_wait(shown)) && !is_last;
        let is_busy = matches!(waiting.on, Wait::Cluster | Wait::Credential);
        let quiet = if shows_another || is_busy { SHORT } else { QUIET };
        if since < quiet {
            return Err(quiet.saturating_sub(since));
        }
        if let Some(next) = waiting.reported.map(|reported| reported + EACH).filter(|next| *next > now) {
            return Err(next.duration_since(now));
        }
        let hold = hold((plan, source), waiting.on, ahead);
        if is_reported(object, hold.reason, &hold.message) {
            return Err(jittered(WAIT_RECHECK));
        }
        if self.0.lock().allows(now.into_std()) { Ok(hold) } else { Err(jittered(QUIET)) }
    }
}

pub fn is_for_same_cluster(work: &Work, plan: &Plan) -> bool {
    let Work::Call(other) = work else { return false };
    other.object.namespace == plan.object.namespace
        && other.endpoint.host == plan.endpoint.host
        && other.spec.project_id == plan.spec.project_id
        && other.spec.cluster_id.eq_ignore_ascii_case(&plan.spec.cluster_id)
}

fn hold((plan, source): (&Plan, &CredentialSource), on: Wait, ahead: impl FnOnce() -> Option<Work>) -> Hold {
    let (source, host) = (source.in_message(), &plan.endpoint.host);
    let message = match on {
        Wait::Cluster => {
            let by = match ahead() {
                Some(Work::Call(ahead)) => format!("{}/{}", ahead.object.namespace, ahead.object.name),
                _ => "Another object".to_owned(),
            };
            format!("{by} comes first for the same DWS cluster. This object continues when that call has ended")
        }
        Wait::Credential => format!(
            "Another object comes first for the same DWS cluster, with the same values as {source}. This object continues when that call has ended"
        ),
        Wait::Place => "Waiting for its turn: all places for calls (--concurrency) are taken, or the share of this namespace. This object continues automatically".to_owned(),
        Wait::Preparation => format!(
            "Preparing the call: {host}, {source} or a login has not answered yet. This object continues automatically"
        ),
        Wait::Slot => format!(
            "Waiting for a slot of the rate limit (--rate-limit) of {source}, or for an answer to an earlier request with it. This object continues automatically"
        ),
    };
    let is_cluster_busy = matches!(on, Wait::Cluster | Wait::Credential);
    let reason = if is_cluster_busy { Reason::AnotherCallInFlight } else { Reason::Throttled };
    Hold { reason, message, retry_after: RECHECK_AFTER }
}
