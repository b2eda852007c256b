//! The second kind of Secret: an IAM user, who logs in for a token. The costs of a login, the calls it holds, what it
//! never does, and that no call is spent on a fault that a login already shows.

use std::time::Duration;

use redistribution_operator::api::ClusterRedistribution;
use testbed::{
    Operator, eventually,
    simulator::{Act, Answer, Options, Read, Script, Shape},
};

use crate::{
    support::burst::{history, version_with_reason},
    support::world::{DEFAULT_SECRET, PATIENCE, World, message, reason_of, spec},
};

const USER: &str = "dws-operator 用户";
const DOMAIN: &str = "Warehouse ä GmbH";
const PASSWORD: &str = "right \"ß\\";
const OTHER_PROJECT: &str = "0123456789abcdef0123456789abcdef";

/// A world whose default Secret holds a user that IAM, at an address of its own, accepts.
async fn world() -> World {
    world_with(Options::default()).await
}

async fn world_with(options: Options) -> World {
    let iam = Some(std::net::SocketAddr::from(([127, 0, 0, 1], 0)));
    let world = World::with(Options { iam, ..options }).await;
    world.cloud.add_user(DOMAIN, USER, PASSWORD);
    user(&world, DEFAULT_SECRET, PASSWORD).await;
    world
}

async fn user(world: &World, secret: &str, password: &str) {
    world.secret(secret, &[("username", USER), ("password", password), ("domainName", DOMAIN)]).await;
}

async fn operator(world: &World, flags: &[&str]) -> Operator {
    let iam = format!("--iam-endpoint=lab={}", world.cloud.iam_url());
    world.operator_with(&[&[iam.as_str()], flags].concat()).await
}

async fn create_in_other_project(world: &World, name: &str, cluster: &str) {
    let other = |object: &mut ClusterRedistribution| {
        object.spec = spec(cluster);
        OTHER_PROJECT.clone_into(&mut object.spec.project_id);
    };
    world.create_with(name, cluster, other).await;
}

/// Creates an object for a new cluster and waits until it is delivered.
async fn delivered(world: &World, name: &str) {
    let cluster = world.delivered(name).await;
    assert_eq!(world.calls(&cluster), 1);
}

fn logins(world: &World) -> usize {
    world.cloud.logins(USER)
}

/// Nothing was claimed for it.
fn is_unclaimed(object: &ClusterRedistribution) {
    let status = object.status.clone().unwrap_or_default();
    assert_eq!((status.attempt, status.status_code), (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_objects_of_one_user_cost_one_login_and_are_each_called_once() {
    let world = world_with(Options { accept_any_cluster: true, ..Options::default() }).await;
    world.cloud.script_logins([Script::ordinary().after(Duration::from_secs(1))]);
    let clusters = world.create_many(100).await;
    let _operator = operator(&world, &[]).await;
    world.all_settled(&["Delivered"]).await;
    assert_eq!((logins(&world), world.cloud.max_logins_in_flight(USER)), (1, 1));
    assert!(clusters.iter().all(|cluster| world.calls(cluster) == 1));
    let entries = world.cloud.entries();
    let with_token = |entry: &&testbed::simulator::Entry| {
        entry.user == USER && entry.access_key.is_empty() && entry.date.is_empty() && entry.verified
    };
    assert_eq!(entries.iter().filter(with_token).count(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_costs_one_login_and_all_calls_follow_its_fix() {
    let world = world().await;
    user(&world, DEFAULT_SECRET, "wrong").await;
    let clusters = world.create_many(20).await;
    // Another Secret with the same values is the same wrong password.
    user(&world, "duplicate", "wrong").await;
    let cluster = world.cluster();
    world.create_annotated("duplicate", &cluster, &[("credentials-secret", "duplicate")]).await;
    let _operator = operator(&world, &[]).await;
    for object in world.all_settled(&["CredentialsRejected"]).await {
        is_unclaimed(&object);
        assert!(message(&object).contains("Correct username, password and domainName"), "{}", message(&object));
    }
    assert_eq!((world.cloud.total_calls(), logins(&world)), (0, 1));
    assert!(!world.cloud.is_user_locked(USER));
    for secret in [DEFAULT_SECRET, "duplicate"] {
        user(&world, secret, PASSWORD).await;
    }
    world.all_settled(&["Delivered"]).await;
    assert!(clusters.iter().all(|cluster| world.calls(cluster) == 1));
    assert_eq!(logins(&world), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_fails_one_call_and_the_others_get_a_new_one() {
    let world = world().await;
    let _operator = operator(&world, &[]).await;
    delivered(&world, "before").await;
    world.cloud.revoke_tokens(USER);
    let cluster = world.create_for("meets-it", None).await;
    let object = world.settled("meets-it", "AuthenticationFailed").await;
    assert!(message(&object).contains("refused the token"), "{}", message(&object));
    let attempt = object.status.unwrap().attempt.unwrap();
    assert_eq!((attempt.status_code, attempt.error_code.as_deref()), (Some(401), Some("APIGW.0307")));
    delivered(&world, "after").await;
    assert_eq!((world.calls(&cluster), logins(&world)), (1, 2));
    let object = world.settled("meets-it", "AuthenticationFailed").await;
    assert_eq!(object.status.unwrap().status_code, Some(401), "never sent again by itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_prechecks_a_revoked_token_fails_no_call() {
    let world = world().await;
    let _operator = operator(&world, &["--check-cluster=require", "--check-every=1s"]).await;
    delivered(&world, "before").await;
    world.cloud.revoke_tokens(USER);
    delivered(&world, "after").await;
    assert_eq!((logins(&world), world.cloud.total_calls()), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_token_does_not_blame_the_password() {
    let world = world().await;
    let _operator = operator(&world, &[]).await;
    delivered(&world, "before").await;
    world.create_for("refused", Script::error(Shape::WithRequestId, 401, "APIGW.0301", "decrypt token fail")).await;
    world.settled("refused", "AuthenticationFailed").await;
    // The next token is refused too: that costs one more call, and then none is made until the cause has been found.
    world
        .create_for("refused-too", Script::error(Shape::WithRequestId, 401, "APIGW.0307", "The token must be updated"))
        .await;
    world.settled("refused-too", "AuthenticationFailed").await;
    let cluster = world.create_for("waits", None).await;
    let held = world.settled("waits", "CredentialsRejected").await;
    is_unclaimed(&held);
    assert!(message(&held).contains("rejects the tokens"), "{}", message(&held));
    assert_eq!(world.calls(&cluster), 0);
    assert!(!world.cloud.is_user_locked(USER));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_accepts_tokens_for_reads_only_fails_two_calls() {
    let world = world().await;
    let clusters: Vec<_> = (0..10).map(|_| world.cluster()).collect();
    for (number, cluster) in clusters.iter().enumerate() {
        world.cloud.script(cluster, [Script::error(Shape::WithRequestId, 401, "APIGW.0301", "decrypt token fail")]);
        world.create(&format!("request-{number}"), cluster).await;
    }
    // One at a time: calls that are in flight together learn of the first refusal together.
    let _operator = operator(&world, &["--check-cluster=require", "--check-every=1s", "--concurrency=1"]).await;
    let refused = world.all_settled(&["AuthenticationFailed", "CredentialsRejected"]).await;
    eventually(PATIENCE, "the others are held", async || {
        let held = world.all_settled(&["AuthenticationFailed", "CredentialsRejected"]).await;
        let held = held.iter().filter(|object| reason_of(object).as_deref() == Some("CredentialsRejected")).count();
        if held == 8 { Ok(()) } else { Err(format!("{held} are held")) }
    })
    .await;
    assert_eq!(refused.len(), 10);
    assert_eq!(world.cloud.total_calls(), 2);
    assert!(logins(&world) <= 3, "{}", logins(&world));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_whose_iam_is_not_known_holds_and_no_password_leaves() {
    let world = world().await;
    let operator_without = world.operator().await;
    world.create_for("request", None).await;
    let held = world.settled("request", "CredentialsInvalid").await;
    assert!(message(&held).contains("--iam-endpoint lab=https://"), "{}", message(&held));
    is_unclaimed(&held);
    world.annotate("request", "dws.huaweicloud.com/suspend", Some("true")).await;
    let suspended = world.settled("request", "Suspended").await;
    assert!(message(&suspended).contains("--iam-endpoint"), "{}", message(&suspended));
    operator_without.terminate().await.unwrap();
    assert_eq!(world.cloud.login_entries().len(), 0);
    let _operator = operator(&world, &[]).await;
    eventually(PATIENCE, "the message is in order", async || {
        let said = message(&world.settled("request", "Suspended").await);
        if said.contains("--iam-endpoint") { Err(said) } else { Ok(()) }
    })
    .await;
    assert_eq!(world.cloud.login_entries().len(), 0, "a suspended object logs nobody in");
    world.annotate("request", "dws.huaweicloud.com/suspend", None).await;
    world.settled("request", "Delivered").await;
}

fn faults() -> [Script; 6] {
    [
        Script::new(Act::Cut),
        Script::new(Act::HalfHead),
        Script::new(Act::Hang),
        Script::status(503),
        Script::new(Act::Answer(Answer::with_body(201, "{}"))),
        Script::new(Act::Answer(Answer::empty(307).header("Location", "https://127.0.0.1:1/"))),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn while_iam_fails_nothing_is_claimed_and_a_known_user_resumes_soon() {
    for fault in faults() {
        let world = world().await;
        let _operator = operator(&world, &[]).await;
        delivered(&world, "before").await;
        world.cloud.script_logins([fault.clone()]);
        let cluster = world.cluster();
        world.cloud.add_cluster(OTHER_PROJECT, &cluster);
        let history = history(&world).await;
        create_in_other_project(&world, "request", &cluster).await;
        let held = version_with_reason(&history, "request", "EndpointUnreachable").await;
        is_unclaimed(&held);
        assert!(message(&held).starts_with("IAM at 127.0.0.1"), "{fault:?}: {}", message(&held));
        world.settled("request", "Delivered").await;
        assert_eq!((world.calls(&cluster), world.cloud.login_entries().len()), (1, 3), "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unproven_password_is_not_retried_soon_after_a_lost_answer() {
    for (fault, told) in faults().into_iter().zip(["broke", "broke", "in time", "HTTP 503", "no token", "not a login"])
    {
        let world = world().await;
        world.cloud.script_logins([fault.clone()]);
        let _operator = operator(&world, &[]).await;
        let (first, second) = (world.cluster(), world.cluster());
        world.create("first", &first).await;
        world.settled("first", "EndpointUnreachable").await;
        world.create("second", &second).await;
        for name in ["first", "second"] {
            let held = world.settled(name, "EndpointUnreachable").await;
            is_unclaimed(&held);
            assert!(message(&held).contains("may have counted") && message(&held).contains(told), "{}", message(&held));
        }
        // The refusal concerns neither another user nor the host.
        world.cloud.add_user(DOMAIN, "another", PASSWORD);
        let another = [("username", "another"), ("password", PASSWORD), ("domainName", DOMAIN)];
        world.secret("another", &another).await;
        let third = world.cluster();
        world.create_annotated("third", &third, &[("credentials-secret", "another")]).await;
        world.settled("third", "Delivered").await;
        assert_eq!((world.cloud.login_entries().len(), world.cloud.total_calls()), (2, 1), "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_iam_is_distinguished_from_the_endpoint() {
    let world = world().await;
    // No process listens at the discard port.
    let _operator = world.operator_with(&["--iam-endpoint=lab=https://127.0.0.1:9"]).await;
    let (cluster, other) = (world.cluster(), world.cluster());
    world.create("request", &cluster).await;
    let held = world.settled("request", "EndpointUnreachable").await;
    is_unclaimed(&held);
    assert!(message(&held).starts_with("IAM at 127.0.0.1:9 gives no token"), "{}", message(&held));
    // An access key needs no IAM.
    world.key("pair").await;
    world.create_annotated("with-a-key", &other, &[("credentials-secret", "pair")]).await;
    world.settled("with-a-key", "Delivered").await;
    assert_eq!((world.calls(&cluster), world.calls(&other)), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_iam_429_is_retried_when_its_time_is_over() {
    let world = world().await;
    let slow = Answer::error(Shape::Plain, 429, "IAM.0012", "Too many requests.").header("Retry-After", "4");
    world.cloud.script_logins([Script::new(Act::Answer(slow))]);
    let _operator = operator(&world, &[]).await;
    let (cluster, history) = (world.cluster(), history(&world).await);
    world.create("request", &cluster).await;
    let held = version_with_reason(&history, "request", "Throttled").await;
    is_unclaimed(&held);
    assert!(message(&held).contains("IAM at"), "{}", message(&held));
    world.settled("request", "Delivered").await;
    let arrived: Vec<_> = world.cloud.login_entries().iter().map(|entry| entry.arrived_millis).collect();
    assert!(arrived.len() == 2 && arrived[1] - arrived[0] >= 3_900, "{arrived:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_in_flight_is_cancelled_when_the_process_ends() {
    let world = world().await;
    world.cloud.script_logins([Script::ordinary().when_released()]);
    let operator = operator(&world, &["--request-timeout=300s"]).await;
    let cluster = world.create_for("request", None).await;
    world.cloud.logins_arrived(USER, 1).await;
    // It ends although the login is never answered.
    operator.terminate().await.unwrap();
    is_unclaimed(&world.api().get("request").await.unwrap());
    assert_eq!(world.calls(&cluster), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn default_credentials_may_be_an_iam_user_and_prechecks_use_its_token() {
    let world = world().await;
    let own = tempfile::tempdir().unwrap();
    for (file, value) in [("username", USER), ("password", PASSWORD), ("domainName", DOMAIN)] {
        std::fs::write(own.path().join(file), format!("{value}\n")).unwrap();
    }
    let own = format!("--default-credentials-dir={}", own.path().display());
    let flags = [&own, "--default-credentials-namespace=*", "--check-cluster=require"];
    let _operator = operator(&world, &flags).await;
    let cluster = world.create_for("request", None).await;
    let object = world.settled("request", "Delivered").await;
    assert_eq!(object.status.unwrap().attempt.unwrap().credentials.as_deref(), Some("Controller"));
    assert_eq!((logins(&world), world.cloud.reads_of(&cluster, Read::Cluster)), (1, 1));
}
