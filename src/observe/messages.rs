//! PURE: the messages of findings without a known progress.

use super::{Finding, Past, Readings, Unseen};
use crate::{
    api::{NONE, Reason},
    cloud::{ReadResult, cluster::ClusterState, details::Details},
};

/// The last readings within the settle time. `shown`: a redistribution that was not there before the claim.
pub fn unconfirmed(past: &Past<'_>, readings: &Readings<'_>, shown: Option<&Details>) -> String {
    let cluster = match readings.cluster {
        None => "the cluster was not read".to_owned(),
        Some(ReadResult::Found(state)) => state.describe(),
        Some(other) => format!("the cluster could not be read ({})", why(other)),
    };
    let before = past.baseline.redistribution_id.as_deref().filter(|id| *id != NONE);
    let details = match (readings.details.shown(), shown) {
        (_, Some(details)) if past.others_before || past.others_since => {
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
