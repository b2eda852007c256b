//! PURE: the status that a dry run asks the API server to keep, and the one of an object that has lost a part of its
//! journal.

use k8s_openapi::jiff::Timestamp;

use crate::{
    api::{
        Attempt, AttemptState, ClusterRedistribution, ClusterRedistributionStatus, PastAttempt, Reason, text::truncate,
    },
    protocol::{
        conditions::set_at,
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

/// A status that sets every field that is evidence of a call; for a dry run only.
pub fn full_status(object: &ClusterRedistribution, now: Timestamp) -> ClusterRedistributionStatus {
    let (uid, generation) =
        (object.metadata.uid.clone().unwrap_or_default(), object.metadata.generation.unwrap_or_default());
    let attempt = Attempt {
        id: "dry-run".to_owned(),
        uid,
        generation,
        state: AttemptState::Answered.as_str().to_owned(),
        closed: Some(true),
        ..Attempt::default()
    };
    let past = PastAttempt {
        id: "dry-run".to_owned(),
        generation,
        state: AttemptState::Answered.as_str().to_owned(),
        ..PastAttempt::default()
    };
    let mut conditions = Vec::new();
    let _changed = set_at(&mut conditions, generation, Reason::Delivered, "dry run", now);
    ClusterRedistributionStatus {
        conditions,
        observed_generation: Some(generation),
        status_code: Some(200),
        attempt: Some(Box::new(attempt)),
        history: vec![past],
        ..ClusterRedistributionStatus::default()
    }
}
