//! One call, and its status.

use redistribution_operator::api::AttemptState;
use serde_json::json;
use testbed::simulator::Script;

use crate::support::world::{World, condition, message};

#[tokio::test]
async fn an_applied_object_is_delivered_once_and_its_status_shows_it() {
    let (world, cluster, _operator) = World::with_request(&[], None).await;
    let object = world.settled("request", "Delivered").await;
    let status = object.status.clone().unwrap();
    let attempt = status.attempt.unwrap();
    assert_eq!(status.status_code, Some(200));
    assert_eq!((attempt.state.as_str(), attempt.generation), (AttemptState::Answered.as_str(), 1));
    assert_eq!(attempt.uid, object.metadata.uid.clone().unwrap());
    assert_eq!(
        (attempt.region.as_deref(), attempt.credentials.as_deref()),
        (Some("lab"), Some("Namespace/dws-redistribution-credentials"))
    );
    assert_eq!(attempt.endpoint, Some(world.cloud.address().to_string()));
    assert!(attempt.request_id.unwrap().starts_with("simulator-"));
    assert_eq!(condition(&object, "Ready").as_deref(), Some("True"));
    assert_eq!((condition(&object, "Reconciling"), condition(&object, "Stalled")), (None, None));
    let entries = world.cloud.entries();
    assert_eq!((entries.len(), world.cloud.executions(&cluster)), (1, 1));
    assert_eq!(entries[0].body, r#"{"redis_mode":"online","parallel_jobs":3}"#);
    assert!(entries[0].verified);
}

#[tokio::test]
async fn a_lost_reply_is_outcome_unknown_and_never_sent_again() {
    let (world, cluster, operator) = World::with_request(&[], [Script::lost_reply()]).await;
    let object = world.settled("request", "OutcomeUnknown").await;
    assert_eq!(condition(&object, "Delivered").as_deref(), Some("Unknown"));
    assert_eq!(condition(&object, "Stalled").as_deref(), Some("True"));
    assert!(message(&object).contains("spec.trigger"), "{}", message(&object));
    operator.terminate().await.unwrap();
    let _next = world.operator().await;
    // A later object shows that the new operator has processed all earlier objects.
    let other = world.cluster();
    world.create("later", &other).await;
    world.settled("later", "Delivered").await;
    assert_eq!(world.calls(&cluster), 1);
    assert_eq!(world.api().get("request").await.unwrap().status, object.status);
    world.patch("request", json!({"spec": {"trigger": "again"}})).await;
    world.settled("request", "ClusterNotReady").await;
    assert_eq!(world.calls(&cluster), 2);
}
