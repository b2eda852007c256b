//! Every documented answer has its documented reason, and generic tools read it correctly.

use std::process::Command;

use k8s_openapi::api::events::v1::Event;
use kube::{Api, api::ListParams};
use serde_json::json;
use testbed::{
    eventually,
    simulator::{Act, Answer, Script, Shape},
};

use crate::support::world::{NO_TIMEOUT, PATIENCE, World, condition, message, reason_of};

#[tokio::test]
async fn every_documented_answer_has_its_documented_reason() {
    let world = World::new().await;
    let _operator = world.operator().await;
    let dws = |status, code, text| Script::error(Shape::Plain, status, code, text);
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
        ("teapot", Script::error(Shape::In417, 417, "DWS.1", "x"), 417, "Rejected", refused),
        (
            "see-other",
            Script::new(Act::Answer(Answer::empty(303).header("Location", "/x"))),
            303,
            "OutcomeUnknown",
            unknown,
        ),
        ("timeout", Script::new(Act::Answer(Answer::empty(408))), 408, "OutcomeUnknown", unknown),
        ("ok-but-no", Script::error(Shape::In200, 200, "DWS.7023", "x"), 200, "ClusterNotReady", refused),
        ("internal", Script::error(Shape::CamelCase, 500, "DWS.0005", "Server failure."), 500, "ServerError", unknown),
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

/// `{"error_code":"DWS.7023","error_msg":"x"}`, compressed.
const GZIP: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\x4a\x2d\x2a\xca\x2f\x8a\x4f\xce\x4f\x49\x55\xb2\x52\x72\x09\x0f\xd6\x33\x37\x30\x32\x56\xd2\x81\x8a\xe7\x16\xa7\x03\x85\x2b\x94\x6a\x01\x76\xde\x18\xb4\x29\x00\x00\x00";

#[tokio::test]
async fn a_200_is_delivered_only_if_its_body_says_nothing_else() {
    let world = World::new().await;
    let _operator = world.operator().await;
    // A key without a first answer carries one call: the rows would wait for each other.
    world.create("first", &world.cluster()).await;
    world.settled("first", "Delivered").await;
    let deep = format!(r#"{{"details":{}{},"error_code":"DWS.7023"}}"#, "[".repeat(200), "]".repeat(200));
    let (refused, unknown, delivered) = ("ClusterNotReady", "OutcomeUnknown", "Delivered");
    let rows: [(&str, &[u8], &str); 21] = [
        ("surrogate", br#"{"error_code":"DWS.7023","error_msg":"x\ud83d"}"#, refused),
        ("deep", deep.as_bytes(), refused),
        ("nan", br#"{"error_code":"DWS.7023","wait":NaN}"#, refused),
        ("two-documents", br#"{} {"error_code":"DWS.7023"}"#, refused),
        ("no-utf8", b"{\"error_msg\":\"\xff\",\"error_code\":\"DWS.7023\"}", refused),
        ("list-of-codes", br#"{"error_code":["DWS.7023"]}"#, refused),
        ("key-twice", br#"{"error_code":"DWS.7023","error_code":"DWS.0000"}"#, refused),
        ("in-a-list", br#"[{"error_code":"DWS.7023"}]"#, refused),
        ("among-errors", br#"{"errors":[{"code":"DWS.7023"}]}"#, refused),
        ("cut", br#"{"error_code":"DWS.70"#, unknown),
        ("gzip", GZIP, unknown),
        ("number", br#"{"error_code":7023}"#, unknown),
        ("no-success", br#"{"success":false}"#, unknown),
        ("page", b"<html><body>Welcome</body></html>", unknown),
        ("several", br#"{"error_code":"DWS.7023","details":[{"code":"DWS.0047"}]}"#, unknown),
        ("catch-all", br#"{"error_code":"DWS.9999","error_msg":"failed"}"#, unknown),
        ("zero", br#"{"code":"0"}"#, delivered),
        ("ok", br#"{"code":"OK"}"#, delivered),
        ("err-zero", br#"{"errCode":"0"}"#, delivered),
        ("success", br#"{"code":"SUCCESS"}"#, delivered),
        ("own-status", br#"{"code":200,"message":"done"}"#, delivered),
    ];
    let clusters: Vec<_> = rows.iter().map(|_| world.cluster()).collect();
    for ((name, body, _), cluster) in rows.iter().zip(&clusters) {
        world.cloud.script(cluster, [Script::new(Act::Bytes(200, body.to_vec()))]);
        world.create(name, cluster).await;
    }
    for ((name, _, reason), cluster) in rows.iter().zip(&clusters) {
        let object = world.settled(name, reason).await;
        let said = match *reason {
            "Delivered" => "True",
            "OutcomeUnknown" => "Unknown",
            _ => "False",
        };
        assert_eq!(condition(&object, "Delivered").as_deref(), Some(said), "{name}");
        assert_eq!((object.status.unwrap().status_code, world.calls(cluster)), (Some(200), 1), "{name}");
    }
}

#[tokio::test]
async fn a_401_or_403_in_a_damaged_body_locks_no_key_and_blames_no_right() {
    let world = World::new().await;
    let _operator = world.operator().await;
    let not_utf8 = b"{\"error_msg\":\"\xff\",\"error_code\":\"DWS.0047\"}";
    // The first answers that this key gets: five refusals of the gateway would have locked it, the first one held all
    // others.
    for (name, status, body, reason) in [
        ("surrogate", 401, &br#"{"error_code":"DWS.0047","error_msg":"x\ud83d"}"#[..], "ClusterNotFound"),
        ("no-utf8", 401, &not_utf8[..], "ClusterNotFound"),
        ("trailing", 401, br#"{"error_code":"DWS.0047"}x"#, "ClusterNotFound"),
        ("cut-401", 401, br#"{"error_code":"DWS.00"#, "AuthenticationFailed"),
        ("gzip-401", 401, GZIP, "AuthenticationFailed"),
        ("nan", 403, br#"{"error_code":"DWS.7023","wait":NaN}"#, "ClusterNotReady"),
        ("cut-403", 403, br#"{"error_code":"DWS.70"#, "OutcomeUnknown"),
        ("gzip-403", 403, GZIP, "OutcomeUnknown"),
    ] {
        let cluster = world.cluster();
        world.cloud.script(&cluster, [Script::new(Act::Bytes(status, body.to_vec()))]);
        world.create(name, &cluster).await;
        let object = world.settled(name, reason).await;
        assert_eq!((object.status.unwrap().status_code, world.calls(&cluster)), (Some(i32::from(status)), 1), "{name}");
    }
    world.create("next", &world.cluster()).await;
    world.settled("next", "Delivered").await;
}

#[tokio::test]
async fn bidirectional_characters_reach_neither_status_nor_event() {
    let world = World::new().await;
    let _operator = world.operator().await;
    let cluster = world.cluster();
    let text = "Cluster \u{202e}ydaer ton\u{202c} \u{2066}is\u{2069} \u{200b}busy\u{7}\u{85} now";
    world.cloud.script(&cluster, [Script::error(Shape::Plain, 403, "DWS.7023", text)]);
    world.create("request", &cluster).await;
    let told = message(&world.settled("request", "ClusterNotReady").await);
    let is_clean = |text: &str| {
        let hides = |character| matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        !text.chars().any(|character| character.is_control() || hides(character))
    };
    assert!(told.contains("busy") && is_clean(&told), "{told:?}");
    let events = Api::<Event>::namespaced(world.client.clone(), &world.namespace);
    eventually(PATIENCE, "the event of the refusal", async || {
        let events = events.list(&ListParams::default()).await.map_err(|error| error.to_string())?.items;
        let notes: Vec<_> = events.into_iter().filter_map(|event| event.note).collect();
        assert!(notes.iter().all(|note| is_clean(note)), "{notes:?}");
        if notes.iter().any(|note| note.contains("busy")) { Ok(()) } else { Err(format!("{notes:?}")) }
    })
    .await;
}

#[tokio::test]
async fn a_redirect_is_named_with_its_host_and_is_not_followed() {
    let world = World::new().await;
    let _operator = world.operator().await;
    let cluster = world.cluster();
    let answer = Answer::empty(307).header("Location", "https://elsewhere.example/v2?token=canary");
    world.cloud.script(&cluster, [Script::new(Act::Answer(answer))]);
    world.create("request", &cluster).await;
    let object = world.settled("request", "OutcomeUnknown").await;
    let told = message(&object);
    assert!(told.contains("HTTP 307") && told.contains("a redirect to elsewhere.example,"), "{told}");
    assert!(!told.contains("canary") && !told.contains("v2"), "{told}");
    assert_eq!((object.status.unwrap().status_code, world.calls(&cluster)), (Some(307), 1));
}

#[tokio::test]
async fn an_unknown_cluster_is_reported() {
    let world = World::new().await;
    let _operator = world.operator().await;
    world.create("request", &crate::support::world::random_uuid()).await;
    let object = world.settled("request", "ClusterNotFound").await;
    assert_eq!(object.status.unwrap().attempt.unwrap().error_code.as_deref(), Some("DWS.0047"));
    let known = world.cluster();
    world.create("other", &known).await;
    world.settled("other", "Delivered").await;
}

#[tokio::test]
async fn kubectl_wait_returns_at_the_right_time_even_right_after_an_edit() {
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
            "clusterredistribution/request",
        ]);
        command
    };
    world.create("request", &cluster).await;
    let output = tokio::task::spawn_blocking({
        let mut command = wait("120s");
        move || command.output()
    });
    let output = output.await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // The edit makes the True of the first generation stale at once: waiting for it must not succeed.
    world.patch("request", json!({"spec": {"trigger": "again"}})).await;
    let mut stale = wait("1s");
    assert!(!stale.output().unwrap().status.success(), "a stale True satisfied kubectl wait");
    world.cloud.arrived(&cluster, 2).await;
    let mut in_flight = wait("1s");
    assert!(!in_flight.output().unwrap().status.success());
    world.cloud.release(&cluster);
    assert!(wait("120s").output().unwrap().status.success());
    let object = world.api().get("request").await.unwrap();
    assert_eq!((reason_of(&object).as_deref(), object.metadata.generation), (Some("Delivered"), Some(2)));
}

#[tokio::test]
async fn kubectl_get_shows_the_columns_a_person_needs() {
    let world = World::new().await;
    let cluster = world.cluster();
    let _operator = world.operator().await;
    world.create("request", &cluster).await;
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
