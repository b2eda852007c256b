//! No key, password, token or signed header appears in any output of the process, at any log level.

use testbed::simulator::{Act, Answer, Options, Script};

use crate::support::world::{DEFAULT_SECRET, World};

const ACCESS: &str = "CANARYACCESSKEY0001";
const SECRET: &str = "canary-secret-key-Zm9vYmFy";
const TOKEN: &str = "canary-security-token-YmF6cXV4";
const PASSWORD: &str = "canary-password pässword";
const IAM_TOKEN: &str = "canary-iam-token-MIIEcGFzc3dvcmQ";

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
    for secret in ["user", "user-wrong"] {
        // The third value distinguishes one from the other.
        world.secret(secret, &[("username", "canary-user"), ("password", PASSWORD), ("domainName", secret)]).await;
    }
    let iam = format!("--iam-endpoint=lab={}", world.cloud.iam_url());
    // Every filter that a person might try.
    let operator = world
        .operator_from(|options| {
            options.arguments.push(iam.into());
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
        world.create_for(name, script).await;
    }
    let cluster = world.cluster();
    for secret in ["broken", "wrong"] {
        world.create_annotated(secret, &cluster, &[("credentials-secret", secret)]).await;
    }
    log_in(&world).await;
    let objects = world
        .all_settled(&[
            "Delivered",
            "BadRequest",
            "ServerError",
            "OutcomeUnknown",
            "CredentialsInvalid",
            "CredentialsRejected",
            "AuthenticationFailed",
        ])
        .await;
    assert_eq!(objects.len(), 9);
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
        for canary in
            [SECRET, TOKEN, "canary-secret", "canary-security", ACCESS, PASSWORD, "canary-password", "canary-iam"]
        {
            let at = text.find(canary);
            let around = at.map(|at| &text[at.saturating_sub(200)..(at + 60).min(text.len())]);
            assert_eq!(around, None, "{canary} is in the {place}");
        }
    }
}

/// One user gets a token, which the cloud echoes in all its answers; IAM echoes another user's password.
async fn log_in(world: &World) {
    let token = r#"{"token": {"issued_at": "2026-12-01T18:00:00Z", "expires_at": "2026-12-02T18:00:00Z"}}"#;
    let token = Answer::with_body(201, token).header("X-Subject-Token", IAM_TOKEN);
    let echo = format!("{{\"error_code\":\"DWS.5038\",\"error_msg\":\"you sent {IAM_TOKEN}\"}}");
    let echo = Answer::with_body(400, echo).header("X-Request-Id", IAM_TOKEN);
    let refusal =
        format!("{{\"error\":{{\"code\":401,\"message\":\"{PASSWORD} is wrong\",\"title\":\"{PASSWORD}\"}}}}");
    let of_wrong = Answer::with_body(401, refusal).header("X-Request-Id", "canary-password");
    for (name, login, reason) in [("user", token, "BadRequest"), ("user-wrong", of_wrong, "CredentialsRejected")] {
        world.cloud.script_logins([Script::new(Act::Answer(login))]);
        let cluster = world.cluster();
        world.cloud.script(&cluster, [Script::new(Act::BeforeBody(echo.clone()))]);
        world.create_annotated(name, &cluster, &[("credentials-secret", name)]).await;
        world.settled(name, reason).await;
    }
}
