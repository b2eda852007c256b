//! Faults without end: outcomes are kept, other objects go on, and neither requests nor log lines are made at full speed.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use kube::{
    Api,
    api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::json;
use testbed::{
    Operator, eventually,
    simulator::Script,
    sweep::{
        bench::Bench,
        endless::{self, Endless},
    },
};

use crate::{
    support::proxied::Proxied,
    support::world::{NO_TIMEOUT, PATIENCE, World, binary, wait_for_output},
};

/// How long a fault lasts here; in `sweep endless` it lasts for minutes.
const LASTS: Duration = Duration::from_secs(10);

fn lines(operator: &Operator, words: &str) -> usize {
    operator.output().lines().filter(|line| line.contains(words)).count()
}

#[tokio::test]
async fn an_operator_requests_and_logs_little_while_a_fault_lasts() {
    let bench = Bench::with(binary()).await.unwrap();
    for fault in Endless::ALL {
        let figures = endless::run(&bench, fault, LASTS).await.unwrap();
        println!("{figures}");
        assert!(figures.is_within(), "{figures}");
    }
}

#[tokio::test]
async fn outcomes_that_the_api_server_never_takes_delay_no_other_object() {
    // With one call at a time, each of them frees its place before it is recorded.
    const OUTCOMES: usize = 12;
    let world = World::new().await;
    let policy = Denial::of_answers(&world).await;
    let operator = world.operator_with(&[NO_TIMEOUT, "--concurrency=1"]).await;
    let clusters: Vec<_> = (0..OUTCOMES).map(|_| world.cluster()).collect();
    for (number, cluster) in clusters.iter().enumerate() {
        world.create(&format!("request-{number}"), cluster).await;
    }
    eventually(PATIENCE, "all of them are called", async || {
        let calls = world.cloud.total_calls();
        if calls == OUTCOMES { Ok(()) } else { Err(format!("{calls} calls")) }
    })
    .await;
    let suspend = [("dws.huaweicloud.com/suspend".to_owned(), "true".to_owned())].into();
    world.create_with("held", &world.cluster(), |object| object.metadata.annotations = Some(suspend)).await;
    world.settled("held", "Suspended").await;
    assert!(lines(&operator, "\"WARN\"") <= 4, "{}", operator.output());
    policy.delete().await;
    world.annotate("held", "dws.huaweicloud.com/suspend", None).await;
    world.all_settled(&["Delivered"]).await;
    assert!(clusters.iter().all(|cluster| world.calls(cluster) == 1));
}

/// A policy that refuses answers in the status of this namespace's objects.
struct Denial {
    policies: Api<DynamicObject>,
    bindings: Api<DynamicObject>,
    name: String,
}

impl Denial {
    async fn of_answers(world: &World) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!("{}-{}", world.namespace, NUMBER.fetch_add(1, Ordering::SeqCst));
        let api = |kind: &str, plural: &str| {
            let kind = kube::core::GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind);
            Api::<DynamicObject>::all_with(world.client.clone(), &ApiResource::from_gvk_with_plural(&kind, plural))
        };
        let policies = api("ValidatingAdmissionPolicy", "validatingadmissionpolicies");
        let bindings = api("ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings");
        let rule = json!({
            "apiGroups": ["dws.huaweicloud.com"], "apiVersions": ["*"], "operations": ["UPDATE"],
            "resources": ["clusterredistributions/status"],
        });
        let is_no_answer = "!has(object.status.attempt) || object.status.attempt.state != 'Answered'";
        let policy = json!({
            "metadata": {"name": name},
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {"resourceRules": [rule]},
                "validations": [{"expression": is_no_answer, "message": "no answers here"}],
            },
        });
        let selector = json!({"matchLabels": {"kubernetes.io/metadata.name": world.namespace}});
        let binding = json!({
            "metadata": {"name": name},
            "spec": {
                "policyName": name, "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": selector},
            },
        });
        let create = async |api: &Api<DynamicObject>, kind: &str, mut object: serde_json::Value| {
            object["apiVersion"] = json!("admissionregistration.k8s.io/v1");
            object["kind"] = json!(kind);
            api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
        };
        create(&policies, "ValidatingAdmissionPolicy", policy).await;
        create(&bindings, "ValidatingAdmissionPolicyBinding", binding).await;
        let denial = Self { policies, bindings, name };
        denial.holds(world).await;
        denial
    }

    /// Waits until it has its effect, a moment after it was made.
    async fn holds(&self, world: &World) {
        world.create("probe", &world.cluster()).await;
        let answer = json!({"status": {"attempt": {"id": "a", "uid": "u", "generation": 1, "state": "Answered"}}});
        let dry_run = PatchParams { dry_run: true, ..PatchParams::default() };
        eventually(PATIENCE, "the policy holds", async || {
            match world.api().patch_status("probe", &dry_run, &Patch::Merge(&answer)).await {
                Err(kube::Error::Api(status)) if status.message.contains("no answers here") => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        world.api().delete("probe", &kube::api::DeleteParams::default()).await.unwrap();
    }

    async fn delete(&self) {
        self.bindings.delete(&self.name, &kube::api::DeleteParams::default()).await.unwrap();
        self.policies.delete(&self.name, &kube::api::DeleteParams::default()).await.unwrap();
    }
}

#[tokio::test]
async fn a_failing_watch_is_logged_once_and_so_is_its_recovery() {
    let world = World::new().await;
    let proxied = Proxied::new(&world, "nothing").await;
    let operator = proxied.operator(&world, &[]).await;
    proxied.proxy.outage().set(true);
    wait_for_output(&operator, "a watch failed again").await;
    let before = proxied.proxy.requests();
    eventually(PATIENCE, "it is tried four times more", async || {
        let tries = proxied.proxy.requests() - before;
        if tries >= 4 { Ok(()) } else { Err(format!("{tries} tries")) }
    })
    .await;
    proxied.proxy.outage().set(false);
    // The connection may have been cut once while no watch was open.
    let said = lines(&operator, "\"a watch failed;");
    assert!((1..=2).contains(&said), "{said}: {}", operator.output());
    wait_for_output(&operator, "the watch works again").await;
    assert_eq!(lines(&operator, "\"ERROR\""), 0, "{}", operator.output());
    let cluster = world.cluster();
    world.create("request", &cluster).await;
    world.settled("request", "Delivered").await;
}

/// An operator that watches this namespace and this many others that it has no right to.
async fn beside_forbidden(world: &World, proxied: &Proxied, forbidden: usize, flags: &[&str]) -> Operator {
    let operator = proxied
        .start(world, |options| {
            let others = (0..forbidden).map(|number| format!("--namespace=forbidden-{number}"));
            options.arguments.extend(flags.iter().map(|flag| (*flag).to_owned()).chain(others).map(Into::into));
        })
        .await;
    eventually(PATIENCE, "it listens", async || operator.address().map(drop).ok_or("not yet".to_owned())).await;
    operator
}

#[tokio::test]
async fn twenty_forbidden_namespaces_are_retried_ever_slower_with_few_log_lines() {
    let world = World::new().await;
    let proxied = Proxied::new(&world, "nothing").await;
    let operator = beside_forbidden(&world, &proxied, 20, &[]).await;
    let cluster = world.cluster();
    world.create("request", &cluster).await;
    world.settled("request", "Delivered").await;
    let before = proxied.proxy.requests();
    // The rate over this time is the subject of the test.
    tokio::time::sleep(LASTS).await;
    let requests = proxied.proxy.requests() - before;
    assert!(requests <= 20 * 6, "{requests} requests in {LASTS:?}");
    let said = lines(&operator, "a watch failed;") + lines(&operator, "watch initlist error with 403");
    assert!((1..=4).contains(&said), "{said} lines: {}", operator.output());
}

#[tokio::test]
async fn a_forbidden_namespace_stops_no_other_namespaces_watch() {
    let world = World::new().await;
    let proxied = Proxied::new(&world, "nothing").await;
    let flags = ["--observe", "--observe-every=1s", "--settle-time=4s"];
    let _operator = beside_forbidden(&world, &proxied, 1, &flags).await;
    let cluster = world.cluster();
    world.create("request", &cluster).await;
    eventually(PATIENCE, "the redistribution is shown", async || {
        let object = world.api().get("request").await.map_err(|error| error.to_string())?;
        let status = object.status.unwrap_or_default();
        status.redistribution.map(drop).ok_or(format!("{:?}", status.conditions))
    })
    .await;
}

#[tokio::test]
async fn a_list_whose_second_page_fails_is_not_begun_again_at_full_speed() {
    let world = World::new().await;
    let plan = ["list#2:500"; 8].join("+");
    let proxied = Proxied::new(&world, &plan).await;
    // Two pages.
    crate::support::burst::burst(&world, 201, |_| Some(Script::status(200))).await;
    let begun = std::time::Instant::now();
    let operator = proxied.operator(&world, &["--concurrency=50"]).await;
    assert_eq!(proxied.record.strikes(), 8);
    assert!(begun.elapsed() > Duration::from_secs(20), "{:?}", begun.elapsed());
    assert!(lines(&operator, "a watch failed;") <= 1, "{}", operator.output());
}
