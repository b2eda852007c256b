//! The wire, row by row, through the whole operator and over TLS: the status for each behaviour of a cloud, and the
//! number of requests in the cloud's ledger. The operator's own unit tests cover the same rows for plain sockets.

use testbed::simulator::{Act, Answer, Script};

use crate::support::world::{World, condition};

/// The beginning of a body, which includes the code.
const CODE: &str = r#"{"error_code":"DWS.7023","#;

#[tokio::test]
async fn every_wire_fault_is_classified_correctly_and_sent_once() {
    let world = World::new().await;
    // Two rows wait for the timeout; on all others the answer comes at once, or when the test releases it.
    let _operator = world.operator_with(&["--request-timeout=30s"]).await;
    // A key without a first answer carries one call: the rows would wait for each other.
    world.delivered("first").await;
    let (ok, refused, unknown) = (|| Answer::empty(200), || Answer::empty(403), "OutcomeUnknown");
    let rows = [
        ("closed-after-reading", Act::Cut, unknown, None),
        ("reset-after-reading", Act::Reset, unknown, None),
        ("no-answer", Act::Hang, unknown, None),
        ("half-a-head", Act::HalfHead, unknown, None),
        ("half-a-head-reset", Act::HalfHeadReset, unknown, None),
        ("half-a-body", Act::HalfBody(Answer::with_body(200, "{")), unknown, Some(200)),
        ("half-the-chunks", Act::HalfChunks(Answer::with_body(200, "{")), unknown, Some(200)),
        ("half-a-refusal", Act::HalfBody(Answer::with_body(403, "{")), unknown, Some(403)),
        ("half-a-refusal-with-its-code", Act::HalfBody(Answer::with_body(403, CODE)), "ClusterNotReady", Some(403)),
        ("half-an-ok-with-a-code", Act::HalfChunks(Answer::with_body(200, CODE)), "ClusterNotReady", Some(200)),
        ("half-a-401", Act::HalfBody(Answer::with_body(401, CODE)), "ClusterNotReady", Some(401)),
        ("large-refusal", Act::LargeBody(403), unknown, Some(403)),
        ("large-body", Act::LargeBody(200), unknown, Some(200)),
        ("redirect-301", Act::Answer(Answer::empty(301).header("Location", "/again")), unknown, Some(301)),
        ("redirect-307", Act::Answer(Answer::empty(307).header("Location", "/again")), unknown, Some(307)),
        ("redirect-308", Act::Answer(Answer::empty(308).header("Location", "/again")), unknown, Some(308)),
        ("redirect-303", Act::Answer(Answer::empty(303).header("Location", "/done")), unknown, Some(303)),
        ("control-in-a-header", Act::Answer(ok().header("X-Trace", "a\u{1b}[31mb")), "Delivered", Some(200)),
        ("control-in-a-name", Act::Answer(refused().header("X-\u{7}", "b")), "PermissionDenied", Some(403)),
        ("continue-100", Act::Interim(100, ok()), "Delivered", Some(200)),
        ("early-hints-103", Act::Interim(103, ok()), "Delivered", Some(200)),
        ("answered-early", Act::BeforeBody(refused()), "PermissionDenied", Some(403)),
        // These two are held until the test releases them.
        ("slow", Act::Ordinary, "Delivered", Some(200)),
        ("too-slow", Act::Ordinary, unknown, None),
    ];
    let mut expected = Vec::new();
    for (name, act, reason, status_code) in rows {
        let script = if name.ends_with("slow") { Script::held() } else { Script::new(act) };
        let cluster = world.create_for(name, script).await;
        if name == "slow" {
            world.cloud.arrived(&cluster, 1).await;
            world.cloud.release(&cluster);
        }
        expected.push((name, cluster, reason, status_code));
    }
    for (name, cluster, reason, status_code) in expected {
        let object = world.settled(name, reason).await;
        assert_eq!(object.status.clone().unwrap().status_code, status_code, "{name}");
        let delivered = match reason {
            "Delivered" => "True",
            "OutcomeUnknown" => "Unknown",
            _ => "False",
        };
        assert_eq!(condition(&object, "Delivered").as_deref(), Some(delivered), "{name}");
        assert_eq!(world.calls(&cluster), 1, "{name}");
        if name == "too-slow" {
            // The answer has no receiver any more.
            world.cloud.release(&cluster);
        }
    }
}

#[tokio::test]
async fn a_connection_that_ends_unread_is_unknown_or_proven_unsent() {
    let world = World::new().await;
    let _operator = world.operator_with(&["--request-timeout=20s", "--connect-timeout=10s"]).await;
    for (name, act) in [("closed-unread", Act::Cut), ("silent", Act::Hang)] {
        let cluster = world.cluster();
        world.cloud.script_connections([act]);
        world.create(name, &cluster).await;
        world.settled(name, "OutcomeUnknown").await;
        assert_eq!(world.calls(&cluster), 0, "{name}: not a byte was read, but nobody on this side can know");
    }
    // A reset at the end of the handshake proves that nothing was sent, one a moment later does not: either is correct.
    let cluster = world.cluster();
    world.cloud.script_connections([Act::Reset]);
    world.create("reset-unread", &cluster).await;
    let objects = world.all_settled(&["OutcomeUnknown", "Delivered"]).await;
    assert_eq!(objects.len(), 3);
    assert!(world.calls(&cluster) <= 1);
}
