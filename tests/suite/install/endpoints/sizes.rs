//! Large answers of logins and reads, and answers above the limit.

use serde_json::json;
use testbed::simulator::{Act, Answer, Read, Script};

use crate::support::world::{DEFAULT_SECRET, World, message};

/// This many bytes of padding.
fn filled(bytes: usize) -> String {
    "x".repeat(bytes)
}

#[tokio::test]
async fn a_cluster_detail_of_67_kilobytes_is_read() {
    let world = World::new().await;
    let (cluster, huge) = (world.cluster(), world.cluster());
    let detail = json!({"cluster": {"status": "AVAILABLE", "task_status": "WAITING_REDISTRIBUTION", "nodes": filled(67 * 1024)}});
    let detail = Answer::with_body(200, detail.to_string());
    world.cloud.script_reads(&cluster, Read::Cluster, (0..20).map(|_| Script::new(Act::Answer(detail.clone()))));
    world.cloud.script_reads(&huge, Read::Cluster, (0..200).map(|_| Script::new(Act::LargeBody(200))));
    let _operator = world.operator_with(&["--check-cluster=require"]).await;
    world.create("request", &cluster).await;
    world.settled("request", "Delivered").await;
    world.create("huge", &huge).await;
    let held = world.settled("huge", "ClusterNotWaiting").await;
    assert!(message(&held).contains("the answer is larger than 1 MiB"), "{}", message(&held));
    assert_eq!((world.calls(&cluster), world.calls(&huge)), (1, 0));
}

#[tokio::test]
async fn a_login_whose_answer_has_214_kilobytes_gives_its_token() {
    let world = World::new().await;
    for name in [DEFAULT_SECRET, "huge"] {
        world.secret(name, &[("username", "user"), ("password", "password"), ("domainName", name)]).await;
    }
    let token = json!({"token": {"issued_at": "2026-12-01T18:00:00Z", "expires_at": "2026-12-02T18:00:00Z", "roles": filled(214 * 1024)}});
    let token = Answer::with_body(201, token.to_string()).header("X-Subject-Token", "token");
    world.cloud.script_logins([Script::new(Act::Answer(token)), Script::new(Act::LargeBody(201))]);
    let cluster = world.cluster();
    // The cloud does not know that token.
    world.cloud.script(&cluster, [Script::new(Act::BeforeBody(Answer::empty(200))).executed()]);
    let iam = format!("--iam-endpoint=lab={}", world.cloud.iam_url());
    let _operator = world.operator_with(&[&iam]).await;
    world.create("request", &cluster).await;
    world.settled("request", "Delivered").await;
    world.create_annotated("huge", &world.cluster(), &[("credentials-secret", "huge")]).await;
    let held = world.settled("huge", "EndpointUnreachable").await;
    assert!(message(&held).contains("the answer is larger than 1 MiB"), "{}", message(&held));
    assert_eq!(world.calls(&cluster), 1);
}
