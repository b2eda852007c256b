//! PURE: the status that a dry run asks the API server to keep.

use k8s_openapi::jiff::Timestamp;

use crate::{
    api::{Attempt, AttemptState, ClusterRedistribution, ClusterRedistributionStatus, PastAttempt, Reason},
    protocol::conditions::set_at,
};

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
