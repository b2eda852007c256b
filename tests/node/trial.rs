//! The steps of a person who tries the operator with the simulated cloud: the three commands of
//! deploy/simulator/README.md.

use std::process::Output;

use libtest_mimic::Trial;
use serde_json::Value;
use testbed::eventually;

use crate::{cluster::Cluster, images, story::PATIENCE};

const GUIDE: &str = include_str!("../../deploy/simulator/README.md");
const NAMESPACE: &str = "dws-try";
const OBJECT: &str = "clusterredistribution/scale-out-2026-11";

/// Not in parallel with others: the CRD comes and goes with it.
pub fn stories() -> Vec<Trial> {
    vec![crate::story(
        "the three commands of the guide deliver a redistribution to the simulated cloud",
        three_commands,
    )]
}

/// The commands of the guide, word by word.
fn commands() -> Vec<Vec<&'static str>> {
    let block = GUIDE.split("```console\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    block.lines().map(|line| line.split_whitespace().collect()).collect()
}

fn said(output: &Output) -> String {
    let said = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

async fn three_commands() {
    let cluster = Cluster::shared();
    for (image, name) in [
        (format!("{}:{}", images::REPOSITORY, images::TAG), "localhost/redistribution-operator:try"),
        (images::SIMULATOR.to_owned(), "localhost/dws-simulator:try"),
    ] {
        cluster.node.tag(&image, name).unwrap();
    }
    let kubectl = |arguments: &[&str]| said(&cluster.kubectl(&[&["--namespace", NAMESPACE], arguments].concat()));
    let [simulator, operator, object] = &commands()[..] else { panic!("{:?}", commands()) };

    println!("{}", said(&cluster.kubectl(&simulator[1..])));
    let waits =
        ["wait", "--for=condition=Available", "--timeout=1m", "deployment/dws-simulator", "--namespace", NAMESPACE];
    let waited = cluster.kubectl(&waits);
    if !waited.status.success() {
        let (pods, logs) = (kubectl(&["describe", "pods"]), kubectl(&["logs", "deployment/dws-simulator"]));
        panic!("{}{pods}{logs}", String::from_utf8_lossy(&waited.stderr));
    }
    // This node has neither DNS nor kube-proxy: the pods get the Service's name in another way.
    let address = kubectl(&[
        "get",
        "pods",
        "--selector=app.kubernetes.io/name=dws-simulator",
        "--output=jsonpath={.items[0].status.podIP}",
    ]);
    let alias = format!("hostAliases[0].ip={address},hostAliases[0].hostnames[0]=dws-simulator.{NAMESPACE}.svc");
    println!("{}", said(&cluster.helm(&[&operator[1..], &["--timeout", "2m", "--set", &alias]].concat())));
    println!("{}", said(&cluster.kubectl(&object[1..])));

    kubectl(&["wait", "--for=condition=Ready", "--timeout=2m", OBJECT]);
    eventually(PATIENCE, "the redistribution is seen to its end", async || {
        let object: Value = serde_json::from_str(&kubectl(&["get", OBJECT, "--output=json"])).unwrap();
        let conditions = object["status"]["conditions"].as_array().unwrap();
        let redistributed = conditions.iter().find(|condition| condition["type"] == "Redistributed");
        let reason = redistributed.map(|condition| condition["reason"].clone());
        if reason == Some("Finished".into()) { Ok(()) } else { Err(format!("{reason:?}")) }
    })
    .await;
    println!("{}", kubectl(&["get", "clusterredistributions"]));
    let log = kubectl(&["logs", "deployment/dws-simulator"]);
    println!("{log}");

    said(&cluster.helm(&["uninstall", "dws", "--namespace", NAMESPACE, "--wait"]));
    said(&cluster.kubectl(&["delete", "namespace", NAMESPACE]));
    said(&cluster.kubectl(&["delete", "crd", "clusterredistributions.dws.huaweicloud.com"]));
}
