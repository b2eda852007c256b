//! Namespaces that share an operator, or a key, or a cluster: none keeps another one waiting, whatever it does. What counts is
//! the order in which requests arrive at the cloud, not how long they take.

use std::time::Instant;

use futures::{StreamExt, TryStreamExt, stream};
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use redistribution_operator::api::ClusterRedistribution;
use testbed::{
    Operator, eventually, fresh_namespace,
    simulator::{Entry, Options, Script},
};

use crate::support::world::{DEFAULT_SECRET, NO_TIMEOUT, PATIENCE, World, describe, reaches, reason_of, spec};

/// A namespace with credentials of its own choice.
struct Tenant<'a> {
    world: &'a World,
    namespace: String,
}

impl<'a> Tenant<'a> {
    async fn new(world: &'a World, (access, secret): (&str, &str)) -> Self {
        let namespace = fresh_namespace(&world.client, "tenant").await.unwrap();
        world.secret_in(&namespace, DEFAULT_SECRET, &[("accessKey", access), ("secretKey", secret)]).await;
        Self { world, namespace }
    }

    /// With a key of its own.
    async fn with_own_key(world: &'a World, number: usize) -> Self {
        let (access, secret) = (format!("TENANT{number}"), format!("secret{number}"));
        world.cloud.add_key(&access, &secret, None);
        Self::new(world, (&access, &secret)).await
    }

    fn api(&self) -> Api<ClusterRedistribution> {
        Api::namespaced(self.world.client.clone(), &self.namespace)
    }

    async fn create(&self, name: &str, cluster: &str, jobs: i32) {
        let mut object = ClusterRedistribution::new(name, spec(cluster));
        object.spec.parallel_jobs = jobs;
        self.api().create(&PostParams::default(), &object).await.unwrap();
    }

    /// This many objects, for clusters of their own or for that one.
    async fn create_many(&self, objects: usize, cluster: Option<&str>, script: impl Fn() -> Option<Script>) {
        let create = |number: usize| {
            let cluster = cluster.map_or_else(|| self.world.cluster(), str::to_owned);
            self.world.cloud.script(&cluster, script());
            async move {
                self.create(&format!("request-{number}"), &cluster, 4).await;
                Ok::<_, std::convert::Infallible>(())
            }
        };
        let created = stream::iter(0..objects).map(create).buffer_unordered(16);
        created.try_for_each(|()| async { Ok(()) }).await.unwrap();
    }

    async fn settled(&self, name: &str, reason: &str) {
        let api = self.api();
        eventually(PATIENCE, &format!("{name} says {reason}"), async || {
            let object = api.get(name).await.map_err(|error| error.to_string())?;
            if reason_of(&object).as_deref() == Some(reason) { Ok(()) } else { Err(describe(&object)) }
        })
        .await;
    }
}

async fn operator(world: &World, tenants: &[&Tenant<'_>], flags: &[&str]) -> Operator {
    let namespaces = tenants.iter().map(|tenant| tenant.namespace.clone()).collect();
    world
        .operator_from(|options| {
            options.watch = namespaces;
            // A call that is put off because the machine paused legitimately gives its turn away; that is not tested here.
            options.arguments.push("--connect-timeout=30s".into());
            options.arguments.extend(flags.iter().map(std::ffi::OsString::from));
        })
        .await
}

/// The calls that arrived from this number on, and before the one with these parallel jobs.
fn before(world: &World, from: usize, jobs: i32) -> Vec<Entry> {
    let is_it = |entry: &Entry| entry.body.contains(&format!("\"parallel_jobs\":{jobs}}}"));
    world.cloud.entries().into_iter().skip(from).take_while(|entry| !is_it(entry)).collect()
}

/// Waits until so many calls have arrived whole: their bodies tell them apart.
async fn arrived_whole(world: &World, wanted: usize) {
    reaches(wanted, "whole calls", || world.cloud.entries().iter().filter(|entry| entry.whole_body).count()).await;
}

#[tokio::test]
async fn a_healthy_namespace_is_called_next_beside_ten_whose_calls_never_end() {
    let world = World::with(Options { accept_any_cluster: true, ..Options::default() }).await;
    let healthy = Tenant::with_own_key(&world, 0).await;
    let mut others = Vec::new();
    for number in 1..=10 {
        others.push(Tenant::with_own_key(&world, number).await);
    }
    let all: Vec<_> = others.iter().chain([&healthy]).collect();
    let _operator = operator(&world, &all, &[NO_TIMEOUT]).await;
    // A key that has not worked yet has one request without an answer.
    for other in &others {
        other.create("first", &world.cluster(), 4).await;
        other.settled("first", "Delivered").await;
    }
    for other in &others {
        other.create_many(12, None, || Some(Script::held())).await;
    }
    // Of the 64 places each of them has one of the 32 reserved ones, and all of them together the 32 shared ones.
    world.cloud.any_arrived(10 + 10 + 32).await;
    let from = world.cloud.total_calls();
    healthy.create("request", &world.cluster(), 7).await;
    healthy.settled("request", "Delivered").await;
    assert_eq!(before(&world, from, 7).len(), 0, "it is the next call");
    assert_eq!(world.cloud.total_calls(), 10 + 10 + 32 + 1);
}

#[tokio::test]
async fn a_namespace_waits_one_slot_for_another_with_three_thousand_objects() {
    let world = World::with(Options { accept_any_cluster: true, ..Options::default() }).await;
    let key = (world.cloud.access_key().to_owned(), world.cloud.secret_key().to_owned());
    let many = Tenant::new(&world, (&key.0, &key.1)).await;
    let one = Tenant::new(&world, (&key.0, &key.1)).await;
    many.create_many(3000, None, || None).await;
    // Two seconds from slot to slot.
    let _operator = operator(&world, &[&many, &one], &["--rate-limit=0.5"]).await;
    world.cloud.any_arrived(3).await;
    one.create("request", &world.cluster(), 7).await;
    let from = world.cloud.total_calls();
    one.settled("request", "Delivered").await;
    // One was waiting for its slot, and one may have been sent while the new object was on its way there.
    let before = before(&world, from, 7).len();
    assert!(before <= 2, "{before} calls of the other namespace came first");
}

#[tokio::test]
async fn a_cluster_is_shared_in_turns_by_namespaces_with_one_credential() {
    let world = World::new().await;
    let key = (world.cloud.access_key().to_owned(), world.cloud.secret_key().to_owned());
    let many = Tenant::new(&world, (&key.0, &key.1)).await;
    let same = Tenant::new(&world, (&key.0, &key.1)).await;
    let other = Tenant::with_own_key(&world, 1).await;
    let cluster = world.cluster();
    let _operator = operator(&world, &[&many, &same, &other], &[NO_TIMEOUT]).await;
    many.create_many(500, Some(&cluster), || Some(Script::held())).await;
    world.cloud.script(&cluster, (0..2).map(|_| Script::held()));
    world.cloud.arrived(&cluster, 1).await;
    other.create("request", &cluster, 9).await;
    arrived_whole(&world, 2).await;
    assert_eq!(before(&world, 1, 9).len(), 0, "another credential waits for nobody");
    same.create("request", &cluster, 7).await;
    same.settled("request", "AnotherCallInFlight").await;
    world.cloud.release(&cluster);
    arrived_whole(&world, 3).await;
    let before = before(&world, 2, 7);
    let object = same.api().get("request").await.unwrap();
    assert!(
        before.is_empty(),
        "it is the next one after the call that was under way: {before:?}, {}",
        describe(&object)
    );
}

#[tokio::test]
async fn an_edited_suspended_or_deleted_waiting_object_is_not_called_as_it_was() {
    let world = World::new().await;
    let _operator = world.operator_with(&[NO_TIMEOUT]).await;
    // A key that has not worked yet has one request without an answer.
    world.delivered("first").await;
    let (busy, free) = (world.cluster(), world.cluster());
    world.cloud.script(&busy, [Script::held()]);
    world.create("request", &busy).await;
    world.cloud.arrived(&busy, 1).await;
    for name in ["edited", "suspended", "deleted"] {
        world.create(name, &busy).await;
    }
    let edited = Instant::now();
    world.patch("edited", serde_json::json!({"spec": {"clusterID": free}})).await;
    // While the call in flight still has no answer.
    world.cloud.arrived(&free, 1).await;
    println!("the edited object was called after {:.3} s", edited.elapsed().as_secs_f64());
    let suspended = Instant::now();
    world.annotate("suspended", "dws.huaweicloud.com/suspend", Some("true")).await;
    world.settled("suspended", "Suspended").await;
    println!("the suspended object said so after {:.3} s", suspended.elapsed().as_secs_f64());
    world.api().delete("deleted", &DeleteParams::default()).await.unwrap();
    world.settled("edited", "Delivered").await;
    assert_eq!((world.calls(&free), world.calls(&busy)), (1, 1));
    world.cloud.release(&busy);
    world.settled("request", "Delivered").await;
    world.create("last", &busy).await;
    // The cluster redistributes already.
    world.settled("last", "ClusterNotReady").await;
    assert_eq!(world.calls(&busy), 2, "the call that was in flight and the last one");
}
