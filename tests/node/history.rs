//! Ten thousand finished objects: the memory that their history costs a pod, while it grows and after a restart.

use futures::{StreamExt, stream};
use kube::api::PostParams;
use libtest_mimic::Trial;
use redistribution_operator::api::ClusterRedistribution;
use serde_json::Value;
use testbed::eventually;

use crate::story::{PATIENCE, Story};

const OBJECTS: u32 = 10_000;

/// Not in parallel with others: it uses the whole machine.
pub fn stories() -> Vec<Trial> {
    vec![crate::story("ten thousand finished objects fit into the default memory limit", history)]
}

async fn history() {
    let story = Story::new().await;
    story.install(&["replicaCount=1", "pace.rateLimit=0", "pace.concurrency=100"]);
    let requests = story.api();
    stream::iter(0..OBJECTS)
        .for_each_concurrent(16, |number| {
            let request = story.request(&format!("request-{number}"), &Story::warehouse(number.into()));
            let requests = &requests;
            async move {
                let request: ClusterRedistribution = serde_json::from_value(request).unwrap();
                requests.create(&PostParams::default(), &request).await.unwrap();
            }
        })
        .await;
    let drained = async |what: &str| {
        eventually(PATIENCE * 3, what, async || {
            let pods = story.pods();
            let running = pods.iter().find(|pod| pod["status"]["containerStatuses"][0]["ready"] == true);
            let pod = running.filter(|_| pods.len() == 1).ok_or_else(|| format!("{} pods", pods.len()))?;
            let metrics = story.metrics(pod);
            let count = value(&metrics, r#"dws_redistribution_objects{reason="Delivered"}"#);
            if count >= f64::from(OBJECTS) { Ok((pod.clone(), metrics)) } else { Err(format!("{count} delivered")) }
        })
        .await
    };
    let memory = |(pod, metrics): &(Value, String)| {
        // The kernel ends a process that exceeds its limit.
        assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], 0);
        let limit = &pod["spec"]["containers"][0]["resources"]["limits"]["memory"];
        format!("{:.1} MiB of {limit}", value(metrics, "process_resident_memory_bytes") / f64::from(1 << 20))
    };
    let first = drained("all are delivered").await;
    println!("memory after {OBJECTS} calls: {}", memory(&first));
    assert_eq!(story.cloud.total_calls(), OBJECTS as usize);

    story.ok(&["delete", "pod", first.0["metadata"]["name"].as_str().unwrap()]);
    let second = drained("a new pod has seen all of them").await;
    println!("memory of a new pod that found {OBJECTS} finished objects: {}", memory(&second));
    assert_eq!(story.cloud.total_calls(), OBJECTS as usize);
}

/// The value of a series; 0 if there is none.
fn value(metrics: &str, series: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series));
    line.map_or(0.0, |value| value.trim().parse().unwrap())
}
