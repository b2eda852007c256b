//! PURE: the status of an object that has lost a part of its journal.

use k8s_openapi::jiff::Timestamp;

use crate::{
    api::{Attempt, AttemptState, ClusterRedistributionStatus, Reason, text::truncate},
    protocol::{
        journal::{LOST, is_complete},
        transitions::held,
    },
};

/// The status of an object that has lost a part of its journal: held as `JournalInvalid`, and with an attempt of this
/// generation whose outcome is unknown in place of one that is not there. Without it managed fields would go on naming what is
/// absent, and whatever is written for the next generation would look as if it hid something. `None` if status says it.
pub fn held_as_lost(
    status: Option<&ClusterRedistributionStatus>,
    (uid, generation): (&str, i64),
    message: &str,
    now: Timestamp,
) -> Option<ClusterRedistributionStatus> {
    let mut next = held(status, generation, Reason::JournalInvalid, message, now)?;
    match &mut next.attempt {
        Some(attempt) if is_complete(attempt) => {
            attempt.closed.get_or_insert(true);
        }
        attempt => {
            *attempt = Some(Attempt {
                // The name by which the next generation waits for what was lost.
                id: format!("{LOST}{generation}"),
                uid: uid.to_owned(),
                generation,
                state: AttemptState::Unknown.as_str().to_owned(),
                closed: Some(true),
                message: Some(truncate(message, 256)),
                ..Attempt::default()
            });
        }
    }
    Some(next)
}
