//! Two replicas, of which the working one goes: by the deletion of its pod, and by SIGKILL of its process.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use libtest_mimic::Trial;
use testbed::eventually;

use crate::story::{PATIENCE, PROJECT, Story};

/// All of them.
pub fn stories() -> Vec<Trial> {
    vec![crate::story("after the leader goes the next generation is called once and soon", failover)]
}

async fn failover() {
    let story = Story::new().await;
    story.install(&[]);
    let warehouse = Story::warehouse(1);
    story.apply(&story.wish("wish", &warehouse));
    story.all_say("Delivered").await;

    let deleted = leader(&story);
    let begin = Instant::now();
    story.ok(&["delete", "pod", &deleted, "--wait=false"]);
    // Until it hears of that it works on, and would make the call itself.
    let given_back = eventually(PATIENCE, "the deleted pod gives the Lease back", async || match leader(&story) {
        holder if holder == deleted => Err("it holds it"),
        _ => Ok(begin.elapsed()),
    });
    println!("pod of the leader deleted to the Lease given back: {:.1} s", given_back.await.as_secs_f64());
    let took = next_call(&story, &warehouse, 2, begin).await;
    println!("pod of the leader deleted to the next generation's call: {:.1} s", took.as_secs_f64());
    assert!(took < Duration::from_secs(5), "{took:?}");

    let killed = eventually(PATIENCE, "another replica leads and all are ready", async || {
        let (leader, pods) = (leader(&story), story.pods());
        let ready = pods.iter().filter(|pod| pod["status"]["containerStatuses"][0]["ready"] == true).count();
        let leads = !leader.is_empty() && leader != deleted;
        if leads && pods.len() == 2 && ready == 2 { Ok(leader) } else { Err(format!("{leader:?}, {ready}")) }
    })
    .await;
    let begin = Instant::now();
    kill(&story, &killed);
    let took = next_call(&story, &warehouse, 3, begin).await;
    println!("process of the leader killed to the next generation's call: {:.1} s", took.as_secs_f64());
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert_eq!(story.cloud.calls(&warehouse), 3);
}

/// Asks again; until the call has arrived and its outcome is written.
async fn next_call(story: &Story, warehouse: &str, calls: usize, begin: Instant) -> Duration {
    // The warehouse was scaled out again.
    story.cloud.add_cluster(PROJECT, warehouse);
    story.trigger("wish", &calls.to_string());
    story.cloud.arrived(warehouse, calls).await;
    let took = begin.elapsed();
    story.all_say("Delivered").await;
    took
}

/// Name of the pod that the Lease names; empty while nobody holds it.
fn leader(story: &Story) -> String {
    let path = "jsonpath={.items[0].spec.holderIdentity}";
    let holder = story.ok(&["get", "leases", "--output", path]);
    holder.rsplit_once('_').map(|(pod, _)| pod.to_owned()).unwrap_or_default()
}

/// SIGKILL of the pod's process, as the kernel would when memory runs out.
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
