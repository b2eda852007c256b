//! Switches and settings that hold a call: each fails closed, reports why, and releases the call when it is fixed.

use serde_json::json;
use testbed::{
    eventually,
    simulator::{Mode, Options, Simulator},
};

use crate::support::world::{DEFAULT_SECRET, PATIENCE, World, condition, message, set_endpoint};

const SUSPEND: &str = "dws.huaweicloud.com/suspend";
const NOT_AFTER: &str = "dws.huaweicloud.com/not-after";

#[tokio::test]
async fn no_misspelt_or_unreadable_switch_lets_a_call_through() {
    let world = World::new().await;
    let cluster = world.cluster();
    let _operator = world.operator().await;
    let wrong = [
        ("suspended", "true"),
        ("Suspend", "true"),
        ("not-afer", "2999-01-01T00:00:00Z"),
        ("anything", ""),
        ("suspend", "maybe"),
        ("not-after", "tomorrow"),
        ("credentials-secret", "No Such Name"),
    ];
    for (number, (key, value)) in wrong.into_iter().enumerate() {
        let name = format!("request-{number}");
        world.create_annotated(&name, &cluster, &[(key, value)]).await;
        let object = world.settled(&name, "InvalidAnnotation").await;
        for known in [SUSPEND, NOT_AFTER, "credentials-secret"].into_iter().filter(|_| number < 4) {
            assert!(message(&object).contains(known), "{}", message(&object));
        }
        assert_eq!(condition(&object, "Reconciling").as_deref(), Some("True"));
    }
    assert_eq!(world.cloud.total_calls(), 0);
    world.annotate("request-0", "dws.huaweicloud.com/suspended", None).await;
    world.settled("request-0", "Delivered").await;
    assert_eq!(world.cloud.total_calls(), 1);
}

#[tokio::test]
async fn a_suspended_object_shows_its_request_and_is_sent_once_when_released() {
    let world = World::new().await;
    let cluster = world.cluster();
    let _operator = world.operator().await;
    world.create_annotated("request", &cluster, &[("suspend", "true")]).await;
    let object = world.settled("request", "Suspended").await;
    let message = message(&object);
    let told = ["online", "3 parallel_jobs", &cluster, &world.cloud.address().to_string(), DEFAULT_SECRET];
    assert!(told.iter().all(|piece| message.contains(piece)), "{message}");
    assert!(!message.contains("Not in order"), "{message}");
    assert_eq!(world.cloud.total_calls(), 0);
    world.annotate("request", SUSPEND, Some("false")).await;
    world.settled("request", "Delivered").await;
    assert_eq!(world.calls(&cluster), 1);
}

#[tokio::test]
async fn a_suspended_object_also_reports_a_missing_secret() {
    let world = World::new().await;
    let cluster = world.cluster();
    let _operator = world.operator().await;
    world.create_annotated("request", &cluster, &[("suspend", "true"), ("credentials-secret", "absent")]).await;
    let object = world.settled("request", "Suspended").await;
    assert!(message(&object).contains("absent does not exist"), "{}", message(&object));
}

#[tokio::test]
async fn not_after_can_be_required() {
    let (world, cluster, _operator) = World::with_request(&["--require-not-after"], None).await;
    world.settled("request", "NotAfterMissing").await;
    world.annotate("request", NOT_AFTER, Some("2020-01-01T00:00:00Z")).await;
    world.settled("request", "Expired").await;
    assert_eq!(world.cloud.total_calls(), 0);
    world.annotate("request", NOT_AFTER, Some("2999-01-01T00:00:00Z")).await;
    world.settled("request", "Delivered").await;
    assert_eq!(world.calls(&cluster), 1);
}

#[tokio::test]
async fn only_regions_the_administrator_allows_are_called() {
    let world = World::new().await;
    let cluster = world.cluster();
    let _operator = world.operator().await;
    world.create_with("request", &cluster, |object| object.spec.region = Some("cn-north-4".to_owned())).await;
    let object = world.settled("request", "RegionNotAllowed").await;
    assert!(message(&object).contains("allowed are: lab"), "{}", message(&object));
    assert_eq!(world.cloud.total_calls(), 0);
    world.patch("request", json!({"spec": {"region": "lab"}})).await;
    world.settled("request", "Delivered").await;
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_reached_costs_no_attempt_but_the_first() {
    let world = World::new().await;
    let cluster = world.cluster();
    for (name, mode) in [("not-tls", Some(Mode::NotTls)), ("stalled", Some(Mode::StalledTls)), ("foreign", None)] {
        // Without a mode it is another cloud, with an authority that is not trusted.
        let other = mode.map_or_else(|| Simulator::start(&Options::default()), Simulator::start_mode).unwrap();
        let operator = world
            .operator_from(|options| {
                set_endpoint(options, &other.url());
                options.arguments.push("--connect-timeout=1s".into());
            })
            .await;
        world.create(name, &cluster).await;
        let object = world.settled(name, "EndpointUnreachable").await;
        assert_eq!(condition(&object, "Delivered").as_deref(), Some("False"));
        assert_eq!(condition(&object, "Reconciling").as_deref(), Some("True"));
        // A second object meets an endpoint that is known to be unreachable: no claim, only a hold.
        let second = format!("{name}-second");
        world.create(&second, &cluster).await;
        let second = world.settled(&second, "EndpointUnreachable").await;
        assert_eq!(second.status.unwrap().attempt, None);
        // The outcome of the one attempt is followed by one hold; from then on probes cost no write.
        let held = eventually(PATIENCE, "the first object is held", async || {
            let object = world.api().get(name).await.map_err(|error| error.to_string())?;
            if message(&object).contains("cannot be reached") { Ok(object) } else { Err(message(&object)) }
        })
        .await;
        let probes = || operator.output().matches("the endpoint cannot be reached").count();
        let before = probes();
        eventually(PATIENCE, "the endpoint is probed once more", async || {
            if probes() > before { Ok(()) } else { Err(format!("{} probes", probes())) }
        })
        .await;
        let after = world.api().get(name).await.unwrap();
        let states = (after.status.clone().unwrap().attempt.unwrap().state, after.metadata.generation);
        assert_eq!(states, ("NotSent".to_owned(), Some(1)));
        assert_eq!(after.metadata.resource_version, held.metadata.resource_version, "{name}");
        operator.terminate().await.unwrap();
        for name in [name.to_owned(), format!("{name}-second")] {
            world.annotate(&name, SUSPEND, Some("true")).await;
        }
    }
    assert_eq!(world.cloud.total_calls(), 0);
    // With the right endpoint the unsent requests are sent: once each, since the cluster accepts one.
    let _operator = world.operator().await;
    world.annotate("stalled", SUSPEND, None).await;
    world.settled("stalled", "Delivered").await;
    assert_eq!(world.calls(&cluster), 1);
}
