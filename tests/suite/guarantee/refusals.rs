//! An answer and its conditions, and how kubectl shows them.

use serde_json::json;
use testbed::simulator::{Act, Answer, Script, Shape};

use crate::support::world::{NO_TIMEOUT, World, condition, message, reason_of};

/// The table of answers is tested where they are classified, in `src/cloud`: here is one of each class.
#[tokio::test]
async fn an_answer_of_each_class_sets_its_conditions() {
    let world = World::new().await;
    let _operator = world.operator().await;
    let (refused, unknown) = (("False", "False", Some("True")), ("Unknown", "False", Some("True")));
    let empty = |status| Script::new(Act::Answer(Answer::empty(status)));
    let not_found = Script::error(Shape::Plain, 401, "DWS.0047", "gone");
    let failed = Script::error(Shape::CamelCase, 500, "DWS.0005", "Server failure.");
    for (name, script, status_code, code, reason, (delivered, ready, stalled)) in [
        ("created", Script::status(201), 201, None, "Delivered", ("True", "True", None)),
        ("no-cluster", not_found, 401, Some("DWS.0047"), "ClusterNotFound", refused),
        ("conflict", empty(409), 409, None, "Rejected", refused),
        (
            "ok-but-no",
            Script::error(Shape::In200, 200, "DWS.7023", "x"),
            200,
            Some("DWS.7023"),
            "ClusterNotReady",
            refused,
        ),
        ("timeout", empty(408), 408, None, "OutcomeUnknown", unknown),
        ("internal", failed, 500, Some("DWS.0005"), "ServerError", unknown),
    ] {
        let cluster = world.create_for(name, script).await;
        let object = world.settled(name, reason).await;
        let seen = ["Delivered", "Ready", "Stalled", "Reconciling"].map(|type_| condition(&object, type_));
        assert_eq!(seen.each_ref().map(Option::as_deref), [Some(delivered), Some(ready), stalled, None], "{name}");
        assert!(message(&object).chars().count() <= 256 && !message(&object).is_empty(), "{name}");
        let status = object.status.unwrap();
        let attempt = status.attempt.unwrap();
        assert_eq!((status.status_code, attempt.status_code), (Some(status_code), Some(status_code)), "{name}");
        assert_eq!((attempt.error_code.as_deref(), world.calls(&cluster)), (code, 1), "{name}");
    }
}

#[tokio::test]
async fn kubectl_wait_returns_at_the_right_time_even_right_after_an_edit() {
    let world = World::new().await;
    let cluster = world.cluster();
    world.cloud.script(&cluster, [Script::status(200), Script::held()]);
    let _operator = world.operator_with(&[NO_TIMEOUT]).await;
    let waits = |timeout: &str| {
        let mut command = world.plane.kubectl_command();
        command.args(["wait", "--for=condition=Ready", "clusterredistribution/request", "-n", &world.namespace]);
        command.arg(format!("--timeout={timeout}")).output().unwrap().status.success()
    };
    world.create("request", &cluster).await;
    assert!(waits("120s"));
    // The edit makes the True of the first generation stale at once: waiting for it must not succeed.
    world.patch("request", json!({"spec": {"trigger": "again"}})).await;
    assert!(!waits("1s"), "a stale True satisfied kubectl wait");
    world.cloud.arrived(&cluster, 2).await;
    assert!(!waits("1s"));
    world.cloud.release(&cluster);
    assert!(waits("120s"));
    let object = world.api().get("request").await.unwrap();
    assert_eq!((reason_of(&object).as_deref(), object.metadata.generation), (Some("Delivered"), Some(2)));
}

#[tokio::test]
async fn kubectl_get_shows_the_columns_a_person_needs() {
    let (world, cluster, _operator) = World::with_request(&[], None).await;
    world.settled("request", "Delivered").await;
    let get = |more: &[&str]| {
        let arguments = [&["get", "dwsredist", "-n", &world.namespace], more].concat();
        String::from_utf8(world.plane.kubectl(&arguments).unwrap().stdout).unwrap()
    };
    let plain = get(&[]);
    let header: Vec<_> = plain.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(header, ["NAME", "CLUSTER", "READY", "REASON", "HTTP", "PROGRESS", "CALLED", "AGE"]);
    let row: Vec<_> = plain.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row[..5], ["request", &cluster, "True", "Delivered", "200"]);
    let wide = get(&["-o", "wide"]);
    let header: Vec<_> = wide.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(header[8..], ["DELIVERED", "MODE", "JOBS", "LEFT", "REGION", "ENDPOINT", "REQUEST-ID", "MESSAGE"]);
    assert!(wide.contains("simulator-") && wide.contains("The cloud accepted"), "{wide}");
    let selected = get(&[&format!("--field-selector=spec.clusterID={cluster}")]);
    assert!(selected.contains("request"));
    let category =
        String::from_utf8(world.plane.kubectl(&["get", "dws", "-n", &world.namespace]).unwrap().stdout).unwrap();
    assert!(category.contains("request"), "{category}");
}
