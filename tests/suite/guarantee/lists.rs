//! The first list: streamed, or by pages where it cannot be, and whole before anything is called.

use redistribution_operator::api::crd_yaml;
use testbed::{
    ControlPlane, Operator, Options as PlaneOptions, Tools, apply_crd,
    fault_proxy::Record,
    simulator::{Options, Script},
};

use crate::{support::proxied::Proxied, support::world::World};

/// Answers to requests of this kind.
fn answers(record: &Record, kind: &str) -> usize {
    let of_kind = format!(" 1 {kind}#");
    record.lines().iter().filter(|line| line.contains(&of_kind) && line.contains(" -> ")).count()
}

async fn watch_errors(operator: &Operator) -> String {
    let metrics = operator.metrics().await.unwrap();
    let errors = metrics.lines().find_map(|line| line.strip_prefix("dws_redistribution_watch_errors_total "));
    errors.unwrap().to_owned()
}

#[tokio::test]
async fn a_list_is_streamed_and_the_same_request_goes_on_as_the_watch() {
    let world = World::new().await;
    let proxied = Proxied::new(&world, "nothing").await;
    let (first, second) = (world.cluster(), world.cluster());
    world.create("first", &first).await;
    let operator = proxied.operator(&world, &[]).await;
    world.settled("first", "Delivered").await;
    world.create("second", &second).await;
    world.settled("second", "Delivered").await;
    assert_eq!(["stream", "list"].map(|kind| answers(&proxied.record, kind)), [1, 0]);
    assert_eq!(watch_errors(&operator).await, "0");
}

#[tokio::test]
async fn a_streamed_list_that_breaks_off_is_replaced_by_pages() {
    let world = World::new().await;
    let proxied = Proxied::new(&world, "stream#1:torn").await;
    let cluster = world.cluster();
    world.cloud.script(&cluster, [Script::status(200)]);
    world.create("request", &cluster).await;
    let _operator = proxied.operator(&world, &[]).await;
    world.settled("request", "Delivered").await;
    assert_eq!((proxied.record.strikes(), answers(&proxied.record, "list")), (1, 1));
    assert_eq!((world.calls(&cluster), proxied.record.violations()), (1, Vec::new()));
}

#[tokio::test]
async fn large_objects_are_read_by_small_pages_where_lists_are_not_streamed() {
    const OBJECTS: usize = 201;
    let flags = vec!["--feature-gates=WatchList=false".to_owned()];
    let plane = ControlPlane::start(&Tools::new(), PlaneOptions { api_server_flags: flags, ..PlaneOptions::default() });
    // Its supervisor ends it with the process, like the shared one.
    let plane: &'static ControlPlane = Box::leak(Box::new(plane.unwrap()));
    apply_crd(&plane.client().await.unwrap(), &crd_yaml().unwrap()).await.unwrap();
    let world = World::on(plane, Options::default()).await;
    for number in 0..OBJECTS {
        let cluster = world.cluster();
        let annotations = [("dws.huaweicloud.com/suspend", "true".to_owned()), ("large", "x".repeat(30_000))];
        let annotations = annotations.map(|(key, value)| (key.to_owned(), value)).into();
        world
            .create_with(&format!("request-{number}"), &cluster, |object| {
                object.metadata.annotations = Some(annotations);
            })
            .await;
    }
    let proxied = Proxied::new(&world, "nothing").await;
    let operator = proxied.operator(&world, &[]).await;
    world.all_settled(&["Suspended"]).await;
    // One page of 200 objects, which is too long, and then pages of 50.
    assert_eq!(["stream", "list"].map(|kind| answers(&proxied.record, kind)), [1, 6]);
    assert_eq!(watch_errors(&operator).await, "0");
    let told = |words: &str| operator.output().lines().filter(|line| line.contains(words)).count();
    assert_eq!(["does not stream lists", "was too long", "a watch failed"].map(told), [1, 1, 0]);
    // What comes after the list is seen too.
    let cluster = world.cluster();
    world.create("next", &cluster).await;
    world.settled("next", "Delivered").await;
    assert_eq!(answers(&proxied.record, "stream"), 1);
}
