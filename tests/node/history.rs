//! Ten thousand finished objects: what their history costs a pod, while it grows and after a restart into it.

use futures::{StreamExt, stream};
use kube::api::PostParams;
use libtest_mimic::Trial;
use redistribution_operator::resource::ClusterRedistribution;
use serde_json::Value;
use testbed::eventually;

use crate::story::{PATIENCE, Story};

const OBJECTS: u64 = 10_000;
/// The chart's default limit.
const LIMIT: u64 = 128 << 20;

/// Alone: it takes all that the machine has.
pub fn stories() -> Vec<Trial> {
    vec![crate::story("ten thousand finished objects fit into the default memory limit", history)]
}

async fn history() {
    let story = Story::new().await;
    story.install(&["replicas=1", "pace.rateLimit=0", "pace.concurrency=32"]);
    let wishes = story.api();
    stream::iter(0..OBJECTS)
        .for_each_concurrent(16, |number| {
            let wish = story.wish(&format!("wish-{number}"), &Story::warehouse(number));
            let wishes = &wishes;
            async move {
                let wish: ClusterRedistribution = serde_json::from_value(wish).unwrap();
                wishes.create(&PostParams::default(), &wish).await.unwrap();
            }
        })
        .await;
    let delivered = |text: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix("dws_redistribution_objects{reason=\"Delivered\"} "));
        line.map_or(0, |count| count.parse::<u64>().unwrap())
    };
    let drained = async |what: &str| {
        eventually(PATIENCE * 3, what, async || {
            let pods = story.pods();
            let running = pods.iter().find(|pod| pod["status"]["containerStatuses"][0]["ready"] == true);
            let pod = running.filter(|_| pods.len() == 1).ok_or_else(|| format!("{} pods", pods.len()))?;
            let count = delivered(&story.metrics(pod));
            if count == OBJECTS { Ok(pod.clone()) } else { Err(format!("{count} delivered")) }
        })
        .await
    };
    let pod = drained("all are delivered").await;
    println!("memory of the pod after {OBJECTS} calls: {} KiB", memory(&story, &pod) >> 10);
    assert_eq!(story.cloud.total_calls(), usize::try_from(OBJECTS).unwrap());

    story.ok(&["delete", "pod", pod["metadata"]["name"].as_str().unwrap()]);
    let pod = drained("a new pod has seen all of them").await;
    let used = memory(&story, &pod);
    println!("memory of a new pod that found them: {} KiB", used >> 10);
    assert!(used < LIMIT, "{used}");
    assert_eq!(story.cloud.total_calls(), usize::try_from(OBJECTS).unwrap());
}

/// Bytes of the pod's working set, by which the kernel judges it, as kubelet tells them.
fn memory(story: &Story, pod: &Value) -> u64 {
    let summary: Value =
        serde_json::from_str(&story.ok(&["get", "--raw", "/api/v1/nodes/node/proxy/stats/summary"])).unwrap();
    let pods = summary["pods"].as_array().unwrap();
    let stats = pods.iter().find(|stats| stats["podRef"]["uid"] == pod["metadata"]["uid"]).expect("stats of the pod");
    stats["containers"][0]["memory"]["workingSetBytes"].as_u64().unwrap()
}
