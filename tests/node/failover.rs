//! Two replicas, of which the leader goes away: by the deletion of its pod, and by SIGKILL of its process.

use std::{fs, process::Command, time::Instant};

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    jiff::Timestamp,
};
use kube::{Api, api::ListParams};
use libtest_mimic::Trial;
use redistribution_operator::api::Attempt;
use testbed::eventually;

use crate::story::{PATIENCE, PROJECT, Story};

pub fn stories() -> Vec<Trial> {
    let name = "after the leader goes the next generation is called once, by the one that has the Lease next";
    vec![crate::story(name, failover)]
}

async fn failover() {
    let story = Story::new().await;
    story.install(&[]);
    let warehouse = Story::warehouse(1);
    story.apply(&story.request("request", &warehouse));
    story.wait_for_reason("Delivered").await;

    let deleted = leader(&story);
    let begin = Instant::now();
    story.ok(&["delete", "pod", &deleted, "--wait=false"]);
    // Until it notices that, it works on, and would make the call itself.
    let given_back = eventually(PATIENCE, "the deleted pod gives the Lease back", async || match leader(&story) {
        holder if holder == deleted => Err("it holds it"),
        _ => Ok(begin.elapsed()),
    });
    println!("pod of the leader deleted to the Lease given back: {:.1} s", given_back.await.as_secs_f64());
    let (attempt, called) = next_call(&story, &warehouse, 2).await;
    let took = called.duration_since(begin);
    println!("pod of the leader deleted to the next generation's call: {:.1} s", took.as_secs_f64());
    assert_ne!(attempt.holder.as_ref(), Some(&deleted));
    was_called_by_the_leader(&story, &attempt).await;

    let killed = eventually(PATIENCE, "another replica leads and all are ready", async || {
        let (leader, pods) = (leader(&story), story.pods());
        let ready = pods.iter().filter(|pod| pod["status"]["containerStatuses"][0]["ready"] == true).count();
        let leads = !leader.is_empty() && leader != deleted;
        if leads && pods.len() == 2 && ready == 2 { Ok(leader) } else { Err(format!("{leader:?}, {ready}")) }
    })
    .await;
    let lease = lease(&story).await;
    let begin = Instant::now();
    kill(&story, &killed);
    let (attempt, called) = next_call(&story, &warehouse, 3).await;
    let took = called.duration_since(begin);
    println!("process of the leader killed to the next generation's call: {:.1} s", took.as_secs_f64());
    // The Lease was not given back: its new holder, even a restarted container, has waited until it expired.
    let (renewed, seconds) = (lease.renew_time.unwrap().0, lease.lease_duration_seconds.unwrap());
    let acquired = was_called_by_the_leader(&story, &attempt).await;
    let waited = acquired.duration_since(renewed).as_secs_f64();
    assert!(waited >= f64::from(seconds), "the Lease was taken {waited:.1} s after a renewal, for {seconds} s");
    assert_eq!(story.cloud.calls(&warehouse), 3);
}

/// Checks that the Lease's holder claimed the call, and not before it held the Lease. Returns since when it holds it.
async fn was_called_by_the_leader(story: &Story, attempt: &Attempt) -> Timestamp {
    let lease = lease(story).await;
    let (holder, acquired) = (lease.holder_identity.unwrap(), lease.acquire_time.unwrap().0);
    assert_eq!(holder.rsplit_once('_').map(|(pod, _)| pod), attempt.holder.as_deref());
    // Status records the claim's time in whole seconds.
    let claimed = attempt.claimed_time.as_ref().unwrap().0;
    assert!(claimed.as_second() >= acquired.as_second(), "claimed {claimed}, led from {acquired} on");
    acquired
}

/// The only Lease, as it is now.
async fn lease(story: &Story) -> LeaseSpec {
    let leases = Api::<Lease>::namespaced(story.client.clone(), &story.namespace);
    leases.list(&ListParams::default()).await.unwrap().items[0].spec.clone().unwrap()
}

/// Changes the trigger, and waits until the call has arrived and its outcome is written. Returns the request's number
/// and when the call arrived.
async fn next_call(story: &Story, warehouse: &str, calls: usize) -> (Attempt, Instant) {
    // As if the warehouse had been scaled out again.
    story.cloud.add_cluster(PROJECT, warehouse);
    story.trigger("request", &calls.to_string());
    story.cloud.arrived(warehouse, calls).await;
    let called = Instant::now();
    let objects = story.wait_for_reason("Delivered").await;
    (*objects[0].status.clone().unwrap().attempt.unwrap(), called)
}

/// Name of the pod in the Lease; empty if the Lease has no holder.
fn leader(story: &Story) -> String {
    let path = "jsonpath={.items[0].spec.holderIdentity}";
    let holder = story.ok(&["get", "leases", "--output", path]);
    holder.rsplit_once('_').map(|(pod, _)| pod.to_owned()).unwrap_or_default()
}

/// SIGKILL of the pod's process, as by the kernel when memory runs out.
fn kill(story: &Story, pod: &str) {
    let uid = story.ok(&["get", "pod", pod, "--output", "jsonpath={.metadata.uid}"]);
    let ids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    let of_the_pod = |id: &String| {
        let read = |file: &str| fs::read_to_string(format!("/proc/{id}/{file}")).unwrap_or_default();
        read("cgroup").contains(&uid) && read("cmdline").starts_with("/redistribution-operator")
    };
    let ids: Vec<_> = ids.filter(of_the_pod).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert!(Command::new("kill").args(["-KILL", &ids[0]]).status().unwrap().success());
}
