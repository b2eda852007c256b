//! Other ways to install: with Roles only, with no replica, and without any object.

use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};
use testbed::eventually;

use crate::story::{PATIENCE, Story};

pub fn stories() -> Vec<Trial> {
    vec![
        crate::story("with watchNamespaces it works by Roles alone", namespaced),
        crate::story("without a replica objects can be made and edited and deleted", no_replica),
        crate::story("a cluster without objects is no reason to restart", || {
            // Four times the silence after which a watch counts as dead.
            quiet(&["liveness.staleAfter=30s", "livenessProbe.periodSeconds=2"], 120.0)
        }),
    ]
}

/// Too long for every run, and therefore only by name: `cargo test --test node -- --ignored "ten minutes"`.
pub fn by_hand() -> Vec<Trial> {
    vec![crate::story("ten minutes without an object are no reason to restart", || quiet(&[], 600.0))]
}

async fn namespaced() {
    let story = Story::new().await;
    let watch = format!("watchNamespaces={{{}}}", story.namespace);
    story.install(&[&watch, "selector="]);
    let manifest = story.helm(&["get", "manifest", &story.namespace]);
    let kinds: Vec<_> = manifest.lines().filter_map(|line| line.strip_prefix("kind: ")).collect();
    assert!(kinds.contains(&"Role"), "{kinds:?}");
    assert!(!kinds.iter().any(|kind| kind.starts_with("Cluster") || kind.contains("AdmissionPolicy")), "{kinds:?}");

    story.apply(&story.request("request", &Story::warehouse(1)));
    story.wait_for_reason("Delivered").await;
    assert_eq!(story.cloud.calls(&Story::warehouse(1)), 1);
}

async fn no_replica() {
    let story = Story::new().await;
    story.install(&[]);
    story.ok(&["scale", "deployment", "--all", "--replicas=0"]);
    story.ok(&["wait", "--for=delete", "pods", "--all", "--timeout=2m"]);
    story.apply(&story.request("request", &Story::warehouse(1)));
    story.trigger("request", "again");
    story.ok(&["annotate", "clusterredistribution", "request", "dws.huaweicloud.com/suspend=true"]);
    let seen: Value =
        serde_json::from_str(&story.ok(&["get", "clusterredistribution", "request", "--output=json"])).unwrap();
    assert_eq!((&seen["metadata"]["generation"], &seen["status"]), (&json!(2), &json!({"observedGeneration": -1})));
    story.ok(&["delete", "clusterredistribution", "request", "--timeout=1m"]);
    assert_eq!(story.cloud.calls(&Story::warehouse(1)), 0);
}

/// Two replicas with these values run for this many seconds.
async fn quiet(values: &[&str], seconds: f64) {
    let story = Story::new().await;
    story.install(values);
    let within = PATIENCE + Duration::from_secs_f64(seconds);
    eventually(within, &format!("both have run for {seconds} s"), async || {
        let pods = story.pods();
        assert_eq!(pods.len(), 2);
        for pod in &pods {
            assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], 0, "{pod:#}");
        }
        let ages: Vec<_> = pods.iter().map(|pod| age(&story.metrics(pod))).collect();
        if ages.iter().all(|age| *age >= seconds) { Ok(()) } else { Err(format!("{ages:?}")) }
    })
    .await;
}

/// Seconds since the start of the process.
fn age(metrics: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix("process_start_time_seconds "));
    let start: f64 = line.expect("a start time").parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    now.as_secs_f64() - start
}
