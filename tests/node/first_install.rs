//! The steps of a person who installs the chart for the first time, and removes it again.

use std::fs;

use libtest_mimic::Trial;
use serde_json::Value;
use testbed::eventually;

use crate::story::{PATIENCE, Story};

/// In this order, and not in parallel: the CRD comes and goes with them.
pub fn stories() -> Vec<Trial> {
    vec![crate::story(
        "an installation with the defaults delivers the example and nothing twice when it is removed and made again",
        life_of_an_installation,
    )]
}

async fn life_of_an_installation() {
    let story = Story::without_crd().await;
    // The default selector: all objects.
    let defaults = ["crds.install=true", "selector="];
    println!("helm install to ready: {:.1} s", story.install(&defaults).as_secs_f64());
    println!("{}", story.ok(&["get", "pods", "--output", "wide"]));
    assert_eq!(story.pods().len(), 2);

    let sample = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/samples/clusterredistribution.yaml"));
    let sample: Value = serde_saphyr::from_str(&sample.unwrap()).unwrap();
    let warehouse = sample["spec"]["clusterID"].as_str().unwrap();
    let name = sample["metadata"]["name"].as_str().unwrap();
    let object = format!("clusterredistribution/{name}");
    story.apply(&sample);
    println!("{}", story.ok(&["wait", "--for=condition=Ready", "--timeout=1m", &object]));
    println!("{}", story.ok(&["get", "clusterredistributions", "--output", "wide"]));
    eventually(PATIENCE, "describe shows the event", async || {
        let described = story.ok(&["describe", &object]);
        let events = described.split("Events:").nth(1).unwrap_or_default();
        if events.contains("Delivered") { Ok(()) } else { Err(described) }
    })
    .await;
    println!("{}", story.ok(&["describe", &object]));
    assert_eq!(story.cloud.calls(warehouse), 1);

    story.helm(&["uninstall", &story.namespace, "--wait"]);
    story.ok(&["get", &object]);
    story.ok(&["get", "crd", "clusterredistributions.dws.huaweicloud.com"]);
    story.install(&defaults);
    // The new installation has seen the old object: it delivers another one that was created later.
    story.apply(&story.request("another", &Story::warehouse(1)));
    story.ok(&["wait", "--for=condition=Ready", "--timeout=1m", "clusterredistribution/another"]);
    assert_eq!((story.cloud.calls(warehouse), story.cloud.calls(&Story::warehouse(1))), (1, 1));

    let upgraded = story.release("upgrade", &[&defaults[..], &["crds.keep=false"]].concat());
    assert!(upgraded.status.success(), "{}", String::from_utf8_lossy(&upgraded.stderr));
    story.helm(&["uninstall", &story.namespace, "--wait"]);
    story.ok(&["wait", "--for=delete", "--timeout=1m", "crd/clusterredistributions.dws.huaweicloud.com"]);
    assert_eq!((story.cloud.calls(warehouse), story.cloud.calls(&Story::warehouse(1))), (1, 1));
}
