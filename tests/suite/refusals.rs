//! Every documented answer ends in its row of the table of conditions, and generic tools read it rightly.

use std::process::Command;

use serde_json::json;
use testbed::simulator::{Act, Answer, Script, Shape};

use crate::world::{NO_TIMEOUT, World, condition, message, reason_of};

#[tokio::test]
async fn every_documented_answer_ends_in_its_row() {
    let world = World::new().await;
    let _operator = world.operator().await;
    let dws = |status, code, text| Script::error(Shape::A, status, code, text);
    let (refused, unknown) = (("False", "False", Some("True")), ("Unknown", "False", Some("True")));
    let rows = [
        ("ok", Script::status(200), 200, "Delivered", ("True", "True", None)),
        ("created", Script::status(201), 201, "Delivered", ("True", "True", None)),
        ("bad-request", dws(400, "DWS.5038", "out of range"), 400, "BadRequest", refused),
        ("no-cluster-401", dws(401, "DWS.0047", "gone"), 401, "ClusterNotFound", refused),
        ("no-cluster-403", dws(403, "DWS.0015", "gone"), 403, "ClusterNotFound", refused),
        ("forbidden", dws(403, "DWS.5036", "no permission"), 403, "PermissionDenied", refused),
        ("not-ready", dws(403, "DWS.7023", "not allowed"), 403, "ClusterNotReady", refused),
        ("not-found", Script::new(Act::Answer(Answer::empty(404))), 404, "NotFound", refused),
        ("conflict", Script::new(Act::Answer(Answer::empty(409))), 409, "Rejected", refused),
        ("teapot", Script::error(Shape::I, 417, "DWS.1", "x"), 417, "Rejected", refused),
        ("ok-but-no", Script::error(Shape::H, 200, "DWS.7023", "x"), 200, "ClusterNotReady", refused),
        ("internal", Script::error(Shape::B, 500, "DWS.0005", "Server failure."), 500, "ServerError", unknown),
        ("unavailable", Script::status(503), 503, "ServerError", unknown),
        ("gateway-timeout", Script::status(504), 504, "ServerError", unknown),
    ];
    for (name, script, status_code, reason, (delivered, ready, stalled)) in rows {
        let cluster = world.cluster();
        world.cloud.script(&cluster, [script]);
        world.create(name, &cluster).await;
        let object = world.settled(name, reason).await;
        let status = object.status.clone().unwrap();
        assert_eq!(status.status_code, Some(status_code), "{name}");
        assert_eq!(status.attempt.unwrap().status_code, Some(status_code), "{name}");
        assert_eq!(condition(&object, "Delivered").as_deref(), Some(delivered), "{name}");
        assert_eq!(condition(&object, "Ready").as_deref(), Some(ready), "{name}");
        assert_eq!(condition(&object, "Stalled").as_deref(), stalled, "{name}");
        assert_eq!(condition(&object, "Reconciling"), None, "{name}");
        assert_eq!(world.calls(&cluster), 1, "{name}");
        assert!(message(&object).chars().count() <= 256 && !message(&object).is_empty(), "{name}");
    }
}

#[tokio::test]
async fn a_cluster_the_cloud_does_not_know_is_said_so() {
    let world = World::new().await;
    let _operator = world.operator().await;
    world.create("wish", &crate::world::random_uuid()).await;
    let object = world.settled("wish", "ClusterNotFound").await;
    assert_eq!(object.status.unwrap().attempt.unwrap().error_code.as_deref(), Some("DWS.0047"));
    let known = world.cluster();
    world.create("other", &known).await;
    world.settled("other", "Delivered").await;
}

#[tokio::test]
async fn kubectl_wait_returns_exactly_when_it_should_also_right_after_an_edit() {
    let world = World::new().await;
    let cluster = world.cluster();
    world.cloud.script(&cluster, [Script::status(200), Script::held()]);
    let _operator = world.operator_with(&[NO_TIMEOUT]).await;
    let wait = |timeout: &str| {
        let mut command: Command = world.plane.kubectl_command();
        command.args([
            "wait",
            "--for=condition=Ready",
            &format!("--timeout={timeout}"),
            "-n",
            &world.namespace,
            "clusterredistribution/wish",
        ]);
        command
    };
    world.create("wish", &cluster).await;
    let output = tokio::task::spawn_blocking({
        let mut command = wait("120s");
        move || command.output()
    });
    let output = output.await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // The edit makes the True of the first generation stale at once: waiting for it must not succeed.
    world.patch("wish", json!({"spec": {"trigger": "again"}})).await;
    let mut stale = wait("1s");
    assert!(!stale.output().unwrap().status.success(), "a stale True satisfied kubectl wait");
    world.cloud.arrived(&cluster, 2).await;
    let mut in_flight = wait("1s");
    assert!(!in_flight.output().unwrap().status.success());
    world.cloud.release(&cluster);
    assert!(wait("120s").output().unwrap().status.success());
    let object = world.api().get("wish").await.unwrap();
    assert_eq!((reason_of(&object).as_deref(), object.metadata.generation), (Some("Delivered"), Some(2)));
}

#[tokio::test]
async fn kubectl_get_shows_the_columns_a_person_needs() {
    let world = World::new().await;
    let cluster = world.cluster();
    let _operator = world.operator().await;
    world.create("wish", &cluster).await;
    world.settled("wish", "Delivered").await;
    let get = |more: &[&str]| {
        let arguments = [&["get", "dwsredist", "-n", &world.namespace], more].concat();
        String::from_utf8(world.plane.kubectl(&arguments).unwrap().stdout).unwrap()
    };
    let plain = get(&[]);
    let header: Vec<_> = plain.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(header, ["NAME", "CLUSTER", "READY", "REASON", "HTTP", "PROGRESS", "CALLED", "AGE"]);
    let row: Vec<_> = plain.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row[..5], ["wish", &cluster, "True", "Delivered", "200"]);
    let wide = get(&["-o", "wide"]);
    let header: Vec<_> = wide.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(header[8..], ["DELIVERED", "MODE", "JOBS", "LEFT", "REGION", "ENDPOINT", "REQUEST-ID", "MESSAGE"]);
    assert!(wide.contains("simulator-") && wide.contains("The cloud accepted"), "{wide}");
    let selected = get(&[&format!("--field-selector=spec.clusterID={cluster}")]);
    assert!(selected.contains("wish"));
    let category =
        String::from_utf8(world.plane.kubectl(&["get", "dws", "-n", &world.namespace]).unwrap().stdout).unwrap();
    assert!(category.contains("wish"), "{category}");
}
