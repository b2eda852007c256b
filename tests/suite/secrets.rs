//! No key, token or signed header gets out, at any level, in any way the process speaks.

use testbed::simulator::{Act, Answer, Options, Script};

use crate::world::{DEFAULT_SECRET, World};

const ACCESS: &str = "CANARYACCESSKEY0001";
const SECRET: &str = "canary-secret-key-Zm9vYmFy";
const TOKEN: &str = "canary-security-token-YmF6cXV4";

#[tokio::test]
async fn canaries_appear_nowhere_at_trace_level_whatever_the_cloud_answers() {
    let world = World::with(Options::default()).await;
    world.cloud.add_key(ACCESS, SECRET, Some(TOKEN));
    let good = [("accessKey", ACCESS), ("secretKey", SECRET), ("securityToken", TOKEN)];
    world.secret(DEFAULT_SECRET, &good).await;
    world.secret("broken", &[("accessKey", ACCESS), ("secretKey", "canary-secret-key-Zm9v YmFy")]).await;
    world
        .secret("wrong", &[("accessKey", ACCESS), ("secretKey", "canary-secret-key-wrong"), ("securityToken", TOKEN)])
        .await;
    // Every filter a person might try.
    let operator = world
        .operator_from(|options| {
            "trace,hyper=trace,hyper_util=trace,rustls=trace,reqwest=trace,kube_client=trace,tower=trace"
                .clone_into(&mut options.log_level);
        })
        .await;
    let echo = format!("{{\"error_code\":\"DWS.5038\",\"error_msg\":\"you sent {SECRET} and {TOKEN} with {ACCESS}\"}}");
    let scripts = [
        ("delivered", None),
        ("echo", Some(Script::new(Act::Answer(Answer::with_body(400, echo.clone()).header("X-Request-Id", SECRET))))),
        ("echo-500", Some(Script::new(Act::Answer(Answer::with_body(500, echo))))),
        ("cut", Some(Script::lost_reply())),
        ("half", Some(Script::new(Act::HalfHead))),
    ];
    for (name, script) in scripts {
        let cluster = world.cluster();
        world.cloud.script(&cluster, script);
        world.create(name, &cluster).await;
    }
    let cluster = world.cluster();
    for secret in ["broken", "wrong"] {
        let annotations = [("dws.huaweicloud.com/credentials-secret".to_owned(), secret.to_owned())].into();
        world.create_with(secret, &cluster, |object| object.metadata.annotations = Some(annotations)).await;
    }
    let objects = world
        .all_settled(&[
            "Delivered",
            "BadRequest",
            "ServerError",
            "OutcomeUnknown",
            "CredentialsInvalid",
            "AuthenticationFailed",
        ])
        .await;
    assert_eq!(objects.len(), 7);
    let metrics = operator.metrics().await.unwrap();
    operator.terminate().await.unwrap();
    let events = world.plane.kubectl(&["get", "events.events.k8s.io", "-o", "yaml", "-n", &world.namespace]).unwrap();
    let statuses: String = objects.iter().map(|object| serde_json::to_string(&object.status).unwrap()).collect();
    let signatures = operator.output().matches("SDK-HMAC").count();
    assert_eq!(signatures, 0, "a signed header is in the log");
    assert!(operator.output().contains("TRACE"), "the level was not what it should be");
    for (place, text) in [
        ("log", operator.output()),
        ("status", statuses),
        ("events", String::from_utf8_lossy(&events.stdout).into_owned()),
        ("metrics", metrics),
    ] {
        for canary in [SECRET, TOKEN, "canary-secret", "canary-security", ACCESS] {
            let at = text.find(canary);
            let around = at.map(|at| &text[at.saturating_sub(200)..(at + 60).min(text.len())]);
            assert_eq!(around, None, "{canary} is in the {place}");
        }
    }
}
