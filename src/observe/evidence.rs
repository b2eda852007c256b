//! PURE: what was seen, in words, where it does not tell what people want to know.

use super::{Finding, Past, Readings, Unseen};
use crate::{
    api::{NONE, Reason},
    cloud::{ReadResult, cluster::ClusterState, details::Details},
};

/// What was seen until the settle time was over. `shown`: a redistribution that was not there before the claim.
pub fn of(past: &Past<'_>, sight: &Readings<'_>, shown: Option<&Details>) -> String {
    let cluster = match sight.cluster {
        None => "the cluster was not looked at".to_owned(),
        Some(ReadResult::Found(state)) => state.in_words(),
        Some(other) => format!("the cluster could not be read ({})", why(other)),
    };
    let before = past.baseline.redistribution_id.as_deref().filter(|id| *id != NONE);
    let details = match (sight.details.shown(), shown) {
        (_, Some(details)) if past.others_before || past.others_since => {
            format!("redistribution {} is shown, but others have called for this cluster too", details.id)
        }
        (_, Some(details)) => {
            let mode = details.mode.as_deref().unwrap_or("unknown");
            let jobs = details.parallel_jobs.map_or_else(|| "unknown".to_owned(), |jobs| jobs.to_string());
            format!(
                "redistribution {} is shown (redis_mode {mode}, parallel_jobs {jobs}), which somebody else may have started",
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
        (None, None) => format!("the redistribution could not be read ({})", why(sight.details)),
    };
    format!("{cluster}; {details}")
}

/// Neither can be read. Holds no cause that comes and goes: each change would be a write.
pub fn not_readable(sight: &Readings<'_>) -> Finding {
    let message = match sight.details {
        ReadResult::Refused(answer) if answer.reason == Reason::PermissionDenied => format!(
            "How far the redistribution is may not be read: {}. Grant the account dws:redistributionInfo:list and dws:openAPICluster:getDetail",
            why(sight.details)
        ),
        _ => "How far the redistribution is cannot be read at the moment. It is tried again by itself".to_owned(),
    };
    Finding::Unseen(Unseen::NotReadable, message)
}

/// It was accepted, and the cluster shows nothing of it.
pub fn not_started(state: &ClusterState) -> Finding {
    let message = format!("The cloud accepted, but shows no redistribution of this call yet: {}", state.in_words());
    Finding::Unseen(Unseen::NotStarted, message)
}

fn why<T>(looked: &ReadResult<T>) -> String {
    match looked {
        ReadResult::Found(_) => "nothing is shown".to_owned(),
        ReadResult::Refused(answer) => {
            let code = answer.error_code.as_deref().map(|code| format!(" {code}")).unwrap_or_default();
            format!("the cloud answered HTTP {}{code}", answer.status_code)
        }
        ReadResult::Unreachable => "the cloud could not be reached".to_owned(),
        ReadResult::Unreadable(why) => (*why).to_owned(),
    }
}
