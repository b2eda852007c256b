//! PURE: the status of an object that has lost a part of its journal.

use k8s_openapi::jiff::Timestamp;

use crate::{
    api::{Attempt, AttemptState, ClusterRedistributionStatus, Reason, text::truncate},
    protocol::{
        journal::{ATTEMPT_LOST, is_complete},
        transitions::held,
    },
};

/// The status of an object that has lost a part of its journal: held as `JournalInvalid`, and an attempt of this generation
/// with an unknown outcome replaces the missing one. Without it managed fields would keep naming the missing attempt, and
/// the status of the next generation would look as if it hid something. `None` if status shows this already.
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
            *attempt = Some(Box::new(Attempt {
                // The key by which the next generation waits for the lost attempt.
                id: format!("{ATTEMPT_LOST}{generation}"),
                uid: uid.to_owned(),
                generation,
                state: AttemptState::Unknown.as_str().to_owned(),
                closed: Some(true),
                message: Some(truncate(message, 256)),
                ..Attempt::default()
            }));
        }
    }
    Some(next)
}
