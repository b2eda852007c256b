//! Objects for unit tests: each function makes one situation.

use k8s_openapi::jiff::Timestamp;

use crate::{
    api::{
        Attempt, AttemptState, ClusterRedistribution, ClusterRedistributionSpec, ClusterRedistributionStatus, Reason,
        RedisMode,
    },
    protocol::conditions::set_at,
};

/// The uid of every sample.
pub const UID: &str = "0d0f4b6c-8f0e-4c57-9a55-2c1c7f0f7b11";

/// A point in time, `second` seconds after an arbitrary beginning.
pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

/// The spec of the example on the API page.
pub fn spec() -> ClusterRedistributionSpec {
    ClusterRedistributionSpec {
        project_id: "89cd04f168b84af6be287f71730fdb4b".to_owned(),
        cluster_id: "e59d6b86-9072-46eb-a996-13f8b44994c1".to_owned(),
        redis_mode: RedisMode::Online,
        parallel_jobs: 3,
        region: None,
        trigger: None,
    }
}

/// An object of this generation that was not reconciled yet.
pub fn fresh(generation: i64) -> ClusterRedistribution {
    let mut object = ClusterRedistribution::new("sample", spec());
    object.metadata.namespace = Some("team".to_owned());
    object.metadata.uid = Some(UID.to_owned());
    object.metadata.generation = Some(generation);
    object.metadata.resource_version = Some("1".to_owned());
    object.status = Some(ClusterRedistributionStatus { observed_generation: Some(-1), ..Default::default() });
    object
}

/// An attempt of the sample object.
pub fn attempt(id: &str, generation: i64, state: AttemptState) -> Attempt {
    Attempt {
        id: id.to_owned(),
        uid: UID.to_owned(),
        generation,
        state: state.as_str().to_owned(),
        grace_seconds: Some(75),
        ..Attempt::default()
    }
}

/// An object of generation `generation` whose journal holds that attempt.
pub fn attempted(generation: i64, attempt: Attempt) -> ClusterRedistribution {
    let mut object = fresh(generation);
    let reason = match attempt.known_state() {
        Some(AttemptState::Claimed) => Reason::RequestInFlight,
        Some(AttemptState::NotSent) => Reason::EndpointUnreachable,
        Some(AttemptState::Answered) => Reason::Delivered,
        Some(AttemptState::Unknown) | None => Reason::OutcomeUnknown,
    };
    let mut conditions = Vec::new();
    let _changed = set_at(&mut conditions, attempt.generation, reason, "", at(0));
    let status = ClusterRedistributionStatus {
        conditions,
        observed_generation: Some(attempt.generation),
        attempt: Some(Box::new(attempt)),
        ..ClusterRedistributionStatus::default()
    };
    object.status = Some(status);
    object
}
