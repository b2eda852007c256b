//! PURE: what was seen, in words, where it does not tell what people want to know.

use super::{Finding, Past, Sight, Unseen};
use crate::{
    dws::{Looked, details::Details},
    resource::{NONE, Reason},
};

/// What was seen until the settle time was over. `shown`: a redistribution that was not there before the claim.
pub fn of(past: &Past<'_>, sight: &Sight<'_>, shown: Option<&Details>) -> String {
    let cluster = match sight.cluster {
        None => "the cluster was not looked at".to_owned(),
        Some(Looked::Seen(state)) => state.in_words(),
        Some(other) => format!("the cluster could not be read ({})", why(other)),
    };
    let before = past.baseline.redistribution_id.as_deref().filter(|id| *id != NONE);
    let details = match (sight.details, shown) {
        (_, Some(details)) if past.others_called => {
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
        (Looked::Seen(Some(details)), None) if before == Some(details.id.as_str()) => {
            format!("redistribution {} is shown, which was there before", details.id)
        }
        (Looked::Seen(Some(details)), None) => {
            format!("redistribution {} is shown, of which it is not known whether it was there before", details.id)
        }
        (Looked::Seen(None), None) => "no redistribution is shown".to_owned(),
        (other, None) => format!("the redistribution could not be read ({})", why(other)),
    };
    format!("{cluster}; {details}")
}

/// Neither can be read.
pub fn not_readable(sight: &Sight<'_>) -> Finding {
    let denied = |denied: bool| if denied { "; grant the account dws:redistributionInfo:list" } else { "" };
    let message = format!(
        "How far the redistribution is cannot be read: {}{}",
        why(sight.details),
        denied(matches!(sight.details, Looked::Refused(answer) if answer.reason == Reason::PermissionDenied))
    );
    Finding::Unseen(Unseen::NotReadable, message)
}

fn why<T>(looked: &Looked<T>) -> String {
    match looked {
        Looked::Seen(_) => "nothing is shown".to_owned(),
        Looked::Refused(answer) => {
            let code = answer.error_code.as_deref().map(|code| format!(" {code}")).unwrap_or_default();
            format!("the cloud answered HTTP {}{code}", answer.status_code)
        }
        Looked::Unreachable => "the cloud could not be reached".to_owned(),
        Looked::Unreadable(why) => (*why).to_owned(),
    }
}
