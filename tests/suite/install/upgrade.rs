//! CRD and controller upgraded, rolled back and upgraded again, with objects in every state: nothing is called again,
//! and no status is false.

use kube::api::ListParams;
use redistribution_operator::api::ClusterRedistribution;
use serde_json::{Value, json};
use testbed::{eventually, simulator::Script};

use crate::support::{
    crd,
    states::objects_in_every_state,
    world::{PATIENCE, SHORT_GRACE, World, condition, reason_of},
};

/// Every status agrees with the cloud's ledger: a call counts by its cluster, each object has its own.
async fn nothing_is_false(world: &World) {
    for object in world.api().list(&ListParams::default()).await.unwrap().items {
        let said = |status: &str| condition(&object, "Delivered").as_deref() == Some(status);
        let calls = world.calls(&object.spec.cluster_id);
        assert!(!said("True") || calls == 1, "delivered without a call: {object:?}");
        let refused = reason_of(&object).as_deref() == Some("PermissionDenied");
        assert!(!said("False") || calls == 0 || refused, "a call is denied: {object:?}");
    }
}

/// The operator has processed all earlier objects: a fresh object was served after them.
async fn all_processed(world: &World, name: &str) -> ClusterRedistribution {
    world.create_annotated(name, &world.cluster(), &[("suspend", "true")]).await;
    world.settled(name, "Suspended").await
}

async fn roll_back_and_forth(older: &Value, keeps_attempts: bool) {
    let world = crd::world(&crd::current()).await;
    let operator = world.operator_with(&[SHORT_GRACE]).await;
    let reasons = objects_in_every_state(&world).await;
    // One more, whose claim is orphaned.
    let orphaned = world.cluster();
    world.cloud.script(&orphaned, [Script::held()]);
    world.create("orphaned", &orphaned).await;
    world.cloud.arrived(&orphaned, 1).await;
    operator.kill().await.unwrap();
    let calls = world.cloud.total_calls();

    crd::replace(&world, older).await;
    let under_the_older = world.operator_with(&[SHORT_GRACE]).await;
    all_processed(&world, "processed-1").await;
    nothing_is_false(&world).await;
    // Each of them is written under the older schema, so that fields it does not know are gone from the store too.
    for name in reasons.keys().chain([&"orphaned"]) {
        world.annotate(name, "example.com/touched", Some("yes")).await;
    }
    all_processed(&world, "processed-2").await;
    under_the_older.kill().await.unwrap();

    crd::replace(&world, &crd::current()).await;
    let again = world.operator_with(&[SHORT_GRACE]).await;
    all_processed(&world, "processed-3").await;
    assert!(again.terminate().await.unwrap().success());
    let _and_again = world.operator_with(&[SHORT_GRACE]).await;
    all_processed(&world, "processed-4").await;
    nothing_is_false(&world).await;
    assert_eq!(world.cloud.total_calls(), calls, "called again");
    // An orphaned claim expires as unknown, or, if the claim was lost, as a journal that cannot be trusted.
    world.settled("orphaned", if keeps_attempts { "OutcomeUnknown" } else { "JournalInvalid" }).await;
    for (name, reason) in reasons {
        // Answered, and then the answer was lost: no process can know it any more, and none claims to. That is reported
        // once a dry run has shown that it is lost and not hidden.
        let lost =
            !keeps_attempts && ["Delivered", "PermissionDenied", "ServerError", "OutcomeUnknown"].contains(&reason);
        if lost {
            world.settled(name, "JournalInvalid").await;
            continue;
        }
        let object = world.api().get(name).await.unwrap();
        assert_eq!(reason_of(&object).as_deref(), Some(reason), "{name}");
    }
    assert_eq!(world.cloud.total_calls(), calls, "called again");
}

#[tokio::test]
async fn a_crd_that_prunes_parts_of_an_attempt_leads_to_no_second_call() {
    let older = crd::without(&["history", "attempt/properties/closed", "attempt/properties/specHash"]);
    roll_back_and_forth(&older, true).await;
}

#[tokio::test]
async fn a_crd_that_knows_no_journal_for_a_while_leads_to_no_second_call() {
    roll_back_and_forth(&crd::without(&["history", "attempt"]), false).await;
}

/// A CRD without any schema of status: what was written stays in the store, and no view shows it.
fn placeholder() -> Value {
    let mut crd = crd::current();
    let version = crd.pointer_mut("/spec/versions/0").unwrap().as_object_mut().unwrap();
    version.remove("selectableFields");
    version.remove("additionalPrinterColumns");
    version["schema"]["openAPIV3Schema"]["properties"]["status"] = json!({"type": "object"});
    crd
}

#[tokio::test]
async fn a_crd_that_hides_status_for_a_while_erases_nothing_and_sends_nothing() {
    let world = crd::world(&crd::current()).await;
    let (called, new) = (world.cluster(), world.cluster());
    let operator = world.operator().await;
    world.create("called", &called).await;
    world.settled("called", "Delivered").await;
    operator.kill().await.unwrap();

    crd::replace(&world, &placeholder()).await;
    let under_the_placeholder = world.operator().await;
    world.create("new", &new).await;
    for name in ["called", "new"] {
        eventually(PATIENCE, &format!("{name} is held for the CRD"), async || {
            let log = under_the_placeholder.output();
            let says = |line: &str| line.contains(&format!("\"name\":\"{name}\"")) && line.contains("CRDOutdated");
            if log.lines().any(says) { Ok(()) } else { Err(log) }
        })
        .await;
    }

    // The watch that was opened under the placeholder continues to hide status, under resourceVersions that are current.
    crd::replace(&world, &crd::current()).await;
    for name in ["called", "new"] {
        world.annotate(name, "example.com/touched", Some("yes")).await;
    }
    world.settled("new", "Delivered").await;
    let object = world.settled("called", "Delivered").await;
    assert!(object.attempt().is_some(), "the journal was erased");
    assert!(under_the_placeholder.terminate().await.unwrap().success());
    let _again = world.operator().await;
    all_processed(&world, "processed").await;
    assert_eq!((world.calls(&called), world.calls(&new)), (1, 1));
}
