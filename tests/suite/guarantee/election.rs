//! Several controllers of which one works: which one leads, and what happens when it goes away. At-most-once delivery
//! does not depend on any of this; the storm runs without election.

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use testbed::{Operator, eventually, simulator::Script};

use crate::support::world::{NO_TIMEOUT, PATIENCE, World, wait_for_output};

/// For tests that wait until a lease has expired.
const FLAGS: [&str; 2] = ["--leader-election", "--lease-duration=6s"];
/// For tests that do not: no machine pauses for so long that a leader legitimately loses its lease.
const LASTING: [&str; 2] = ["--leader-election", "--lease-duration=60s"];

async fn leads(operator: &Operator) -> bool {
    operator
        .metrics()
        .await
        .is_ok_and(|text| text.contains("leader_election_master_status{name=\"redistribution-operator\"} 1"))
}

/// Two controllers, the leader first.
async fn two(world: &World, flags: &[&str]) -> (Operator, Operator) {
    let first = world.operator_with(flags).await;
    eventually(PATIENCE, "the first one leads", async || if leads(&first).await { Ok(()) } else { Err("not yet") })
        .await;
    let second = world
        .operator_from(|options| {
            "second".clone_into(&mut options.service_account);
            options.arguments.extend(flags.iter().map(Into::into));
        })
        .await;
    (first, second)
}

#[tokio::test]
async fn a_follower_is_ready_and_does_nothing() {
    let world = World::new().await;
    let (leader, follower) = two(&world, &LASTING).await;
    assert_eq!(follower.get("/readyz").await.unwrap().0, 200);
    assert!(!leads(&follower).await);
    let cluster = world.delivered("request").await;
    // It is reported after it is written.
    wait_for_output(&leader, "\"outcome\"").await;
    assert!(!follower.output().contains("\"outcome\""));
    assert_eq!(world.calls(&cluster), 1);
}

#[tokio::test]
async fn a_killed_leader_is_replaced_after_its_lease_and_pending_calls_are_made() {
    let world = World::new().await;
    let (leader, follower) = two(&world, &FLAGS).await;
    leader.kill().await.unwrap();
    let cluster = world.delivered("request").await;
    assert!(leads(&follower).await);
    assert_eq!(world.calls(&cluster), 1);
}

#[tokio::test]
async fn a_stopped_leader_records_its_call_before_it_gives_the_lease_back() {
    let world = World::new().await;
    let cluster = world.cluster();
    world.cloud.script(&cluster, [Script::held()]);
    let (leader, follower) = two(&world, &[&LASTING[..], &[NO_TIMEOUT]].concat()).await;
    world.create("request", &cluster).await;
    world.cloud.arrived(&cluster, 1).await;
    let next = world.cluster();
    let (ended, ()) = tokio::join!(leader.terminate(), async {
        wait_for_output(&leader, "no new claim is made").await;
        world.create("next", &next).await;
        world.cloud.release(&cluster);
    });
    assert!(ended.unwrap().success());
    let log = leader.output();
    let (recorded, given_back) = (log.find("\"outcome\"").unwrap(), log.find("gave the lease back").unwrap());
    assert!(recorded < given_back, "{log}");
    let object = world.settled("next", "Delivered").await;
    assert_eq!(object.status.unwrap().attempt.unwrap().state, "Answered");
    world.settled("request", "Delivered").await;
    wait_for_output(&follower, "\"outcome\"").await;
    assert_eq!((world.calls(&cluster), world.calls(&next)), (1, 1));
}

#[tokio::test]
async fn a_leader_without_its_lease_claims_nothing_and_records_its_answers() {
    let world = World::new().await;
    let cluster = world.cluster();
    world.cloud.script(&cluster, [Script::held()]);
    let leader = world.operator_with(&[&FLAGS[..], &[NO_TIMEOUT]].concat()).await;
    world.create("request", &cluster).await;
    world.cloud.arrived(&cluster, 1).await;
    // Another holder takes the Lease by force, for longer than this test lasts.
    let leases = Api::<Lease>::namespaced(world.client.clone(), &world.namespace);
    let taken = serde_json::json!({"spec": {"holderIdentity": "somebody", "leaseDurationSeconds": 3600}});
    leases
        .patch("redistribution-operator", &kube::api::PatchParams::default(), &kube::api::Patch::Merge(taken))
        .await
        .unwrap();
    wait_for_output(&leader, "not leading any more").await;
    let next = world.cluster();
    world.create("next", &next).await;
    world.cloud.release(&cluster);
    world.settled("request", "Delivered").await;
    let given = serde_json::json!({"spec": {"holderIdentity": null}});
    assert_eq!(world.calls(&next), 0, "it called without the Lease");
    leases
        .patch("redistribution-operator", &kube::api::PatchParams::default(), &kube::api::Patch::Merge(given))
        .await
        .unwrap();
    // It leads again, and processes everything that came in the meantime.
    world.settled("next", "Delivered").await;
    assert_eq!((world.calls(&cluster), world.calls(&next)), (1, 1));
}

#[tokio::test]
async fn a_forbidden_lease_is_reported_with_its_name_and_the_missing_rights() {
    let world = World::new().await;
    let operator = world.operator_with(&[FLAGS[0], "--lease-namespace=kube-system"]).await;
    wait_for_output(&operator, "the lease cannot be read or written").await;
    let output = operator.output();
    let line = output.lines().find(|line| line.contains("the lease cannot")).unwrap();
    for word in ["WARN", "kube-system", "redistribution-operator", "create on leases", "forbidden"] {
        assert!(line.contains(word), "{word} is missing: {line}");
    }
}
