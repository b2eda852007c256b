//! One credential source is chosen, and any fault in it holds the call: no other account is used instead, and one wrong
//! key costs one call.

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, api::DeleteParams};
use testbed::simulator::{Options, Throttle};

use crate::support::world::{DEFAULT_SECRET, World, message, reason_of};

/// Default credentials, valid ones, with the newline that editors append.
fn default_credentials(world: &World) -> tempfile::TempDir {
    let own = tempfile::tempdir().unwrap();
    for (file, value) in [("accessKey", world.cloud.access_key()), ("secretKey", world.cloud.secret_key())] {
        std::fs::write(own.path().join(file), format!("{value}\n")).unwrap();
    }
    own
}

#[tokio::test]
async fn an_invalid_named_secret_is_never_replaced_by_another_source() {
    let world = World::new().await;
    let own = default_credentials(&world);
    let own = format!("--default-credentials-dir={}", own.path().display());
    let _operator = world.operator_with(&[&own, "--default-credentials-namespace=*"]).await;
    let cluster = world.cluster();
    let (access, secret) = (world.cloud.access_key().to_owned(), world.cloud.secret_key().to_owned());
    world.secret("no-secret-key", &[("accessKey", &access)]).await;
    world.secret("quoted", &[("accessKey", &access), ("secretKey", &format!("'{secret}'"))]).await;
    world
        .secret("expired", &[("accessKey", &access), ("secretKey", &secret), ("expiresAt", "2020-01-01T00:00:00Z")])
        .await;
    let cases = [
        ("missing", "CredentialsNotFound", "missing does not exist"),
        ("no-secret-key", "CredentialsInvalid", "secretKey is missing"),
        ("quoted", "CredentialsInvalid", "secretKey"),
        ("expired", "CredentialsExpired", "2020-01-01T00:00:00Z"),
    ];
    for (secret, reason, expected) in cases {
        world.create_annotated(secret, &cluster, &[("credentials-secret", secret)]).await;
        let object = world.settled(secret, reason).await;
        assert!(message(&object).contains(expected), "{}", message(&object));
        assert!(!message(&object).contains(world.cloud.secret_key()));
    }
    assert_eq!(world.cloud.total_calls(), 0);
    // With the fixed Secret it continues by itself, in the same generation; a newline at the end is what editors append.
    world.secret("quoted", &[("accessKey", &access), ("secretKey", &format!("{secret}\r\n"))]).await;
    let object = world.settled("quoted", "Delivered").await;
    assert_eq!((object.metadata.generation, world.calls(&cluster)), (Some(1), 1));
}

#[tokio::test]
async fn a_forbidden_secret_holds_the_call_and_no_other_source_is_used() {
    let world = World::new().await;
    let (cluster, other) = (world.cluster(), world.cluster());
    let own = default_credentials(&world);
    let _operator = world
        .operator_from(|options| {
            options.secrets = false;
            let directory = format!("--default-credentials-dir={}", own.path().display());
            options.arguments.extend([directory.into(), "--default-credentials-namespace=*".into()]);
        })
        .await;
    world.create_annotated("request", &cluster, &[("credentials-secret", DEFAULT_SECRET)]).await;
    let object = world.settled("request", "CredentialsForbidden").await;
    assert!(message(&object).contains(DEFAULT_SECRET), "{}", message(&object));
    // Default credentials exist and are valid, but only for objects that name no Secret.
    world.create("nameless", &other).await;
    world.settled("nameless", "Delivered").await;
    assert_eq!((world.calls(&cluster), world.calls(&other)), (0, 1));
}

#[tokio::test]
async fn default_credentials_are_for_listed_namespaces_only() {
    let world = World::new().await;
    let own = default_credentials(&world);
    let secrets = Api::<Secret>::namespaced(world.client.clone(), &world.namespace);
    secrets.delete(DEFAULT_SECRET, &DeleteParams::default()).await.unwrap();
    let directory = format!("--default-credentials-dir={}", own.path().display());
    let (cluster, other) = (world.cluster(), world.cluster());
    let operator = world.operator_with(&[&directory, "--default-credentials-namespace=elsewhere"]).await;
    world.create("unlisted", &cluster).await;
    world.settled("unlisted", "CredentialsNotFound").await;
    operator.terminate().await.unwrap();
    let listed = format!("--default-credentials-namespace={}", world.namespace);
    let _operator = world.operator_with(&[&directory, &listed]).await;
    world.create("listed", &other).await;
    let object = world.settled("listed", "Delivered").await;
    assert_eq!(object.status.unwrap().attempt.unwrap().credentials.as_deref(), Some("Controller"));
}

#[tokio::test]
async fn a_temporary_key_is_sent_with_its_token() {
    let world = World::new().await;
    let cluster = world.cluster();
    world.cloud.add_key("TEMPORARY", "temporary-secret", Some("temporary-token"));
    let key =
        [("accessKey", "TEMPORARY"), ("secretKey", "temporary-secret"), ("expiresAt", "2999-01-01T00:00:00.123456Z")];
    world.secret("good", &[key[0], key[1], key[2], ("securityToken", "temporary-token\n")]).await;
    let _operator = world.operator().await;
    world.create_annotated("request", &cluster, &[("credentials-secret", "good")]).await;
    world.settled("request", "Delivered").await;
}

#[tokio::test]
async fn a_wrong_key_costs_one_call_and_all_calls_follow_its_fix() {
    let world = World::with(Options { accept_any_cluster: true, ..Options::default() }).await;
    world.wrong_key().await;
    world.create_many(100).await;
    let _operator = world.operator().await;
    let objects = world.all_settled(&["AuthenticationFailed", "CredentialsRejected"]).await;
    let failed: Vec<_> =
        objects.iter().filter(|object| reason_of(object).as_deref() == Some("AuthenticationFailed")).collect();
    assert_eq!((failed.len(), world.cloud.total_calls()), (1, 1));
    assert!(message(failed[0]).contains("secret key does not belong"), "{}", message(failed[0]));
    assert!(!world.cloud.is_locked(world.cloud.access_key()));
    world.key(DEFAULT_SECRET).await;
    let objects = world.all_settled(&["AuthenticationFailed", "Delivered"]).await;
    let delivered = objects.iter().filter(|object| reason_of(object).as_deref() == Some("Delivered")).count();
    assert_eq!((delivered, world.cloud.total_calls()), (99, 100));
}

#[tokio::test]
async fn a_wrong_clock_is_reported_and_locks_no_key() {
    for offset in [-3600, 3600] {
        let world = World::with(Options { clock_offset: offset, ..Options::default() }).await;
        let (cluster, other) = (world.cluster(), world.cluster());
        let _operator = world.operator().await;
        world.create("request", &cluster).await;
        let object = world.settled("request", "ClockSkew").await;
        assert!(message(&object).contains("60 minutes off"), "{}", message(&object));
        world.create("other", &other).await;
        world.settled("other", "CredentialsRejected").await;
        assert_eq!(world.cloud.total_calls(), 1);
    }
}

#[tokio::test]
async fn after_a_429_the_others_wait_as_long_as_it_says() {
    for retry_after in [true, false] {
        let world = World::with(Options { accept_any_cluster: true, ..Options::default() }).await;
        world.cloud.throttle(Some(Throttle { limit: 3, seconds: 15, retry_after }));
        let _operator = world.operator_with(&["--concurrency=1"]).await;
        world.create_many(6).await;
        let objects = world.all_settled(&["Delivered", "TooManyRequests"]).await;
        let refused = objects.iter().filter(|object| reason_of(object).as_deref() == Some("TooManyRequests")).count();
        assert_eq!((refused, world.cloud.total_calls()), (1, 6), "one call meets the limit, the others wait");
        // The fourth call met the limit, and the next one came when the window was over and not before.
        let arrived: Vec<_> = world.cloud.entries().iter().map(|entry| entry.arrived_millis).collect();
        // A header states the rest of the window since the first call; the text states the whole window from now on.
        let begins_at = if retry_after { arrived[0] } else { arrived[3] };
        assert!(arrived[4] - begins_at >= 15_000, "{arrived:?}");
    }
}
