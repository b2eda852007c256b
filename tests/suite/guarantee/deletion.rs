//! Deleting a namespace finishes with objects in every state, with the operator running and without it: there is no
//! finalizer, because there is nothing to undo.

use std::time::Instant;

use k8s_openapi::api::core::v1::{Namespace, NamespaceCondition};
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use testbed::{eventually, simulator::Script};

use crate::support::{
    states::objects_in_every_state,
    world::{NO_TIMEOUT, PATIENCE, World},
};

async fn with_objects_in_every_state() -> (World, testbed::Operator) {
    let world = World::new().await;
    world.plane.ensure_controller_manager().unwrap();
    let operator = world.operator_with(&[NO_TIMEOUT]).await;
    objects_in_every_state(&world).await;
    world.create_for("in-flight", Script::held()).await;
    world.settled("in-flight", "RequestInFlight").await;
    let objects = world.api().list(&ListParams::default()).await.unwrap().items;
    assert!(objects.iter().all(|object| object.metadata.finalizers.is_none()));
    (world, operator)
}

async fn delete(world: &World) {
    let namespaces = Api::<Namespace>::all(world.client.clone());
    let begun = Instant::now();
    namespaces.delete(&world.namespace, &DeleteParams::default()).await.unwrap();
    // How long it takes is up to Kubernetes; the assertion is that no finalizer of ours blocks it.
    eventually(PATIENCE * 2, "the namespace is gone", async || match namespaces.get_opt(&world.namespace).await {
        Ok(None) => Ok(()),
        Ok(Some(namespace)) => {
            let status = namespace.status.unwrap_or_default();
            let conditions = status.conditions.clone().unwrap_or_default();
            let is_kept = |condition: &NamespaceCondition| {
                condition.type_ == "NamespaceFinalizersRemaining" && condition.status == "True"
            };
            assert!(!conditions.iter().any(is_kept), "a finalizer keeps it: {conditions:?}");
            Err(format!("{status:?}"))
        }
        Err(error) => Err(error.to_string()),
    })
    .await;
    println!("gone after {:.1} s", begun.elapsed().as_secs_f64());
}

#[tokio::test]
async fn a_namespace_goes_while_the_operator_runs() {
    let (world, _operator) = with_objects_in_every_state().await;
    delete(&world).await;
}

#[tokio::test]
async fn a_namespace_goes_while_the_operator_is_off() {
    let (world, operator) = with_objects_in_every_state().await;
    operator.kill().await.unwrap();
    delete(&world).await;
}

#[tokio::test]
async fn a_recreated_object_waits_for_the_call_of_its_predecessor() {
    let (world, cluster, _operator) = World::with_a_call_in_flight(&[NO_TIMEOUT]).await;
    let old = world.api().get("request").await.unwrap().metadata.uid;
    world.api().delete("request", &DeleteParams::default()).await.unwrap();
    let new = world.create("request", &cluster).await.metadata.uid;
    assert_ne!(old, new);
    // The answer comes only after that reason was written.
    world.settled("request", "AnotherCallInFlight").await;
    assert_eq!(world.calls(&cluster), 1);
    world.cloud.release(&cluster);
    world.cloud.arrived(&cluster, 2).await;
}
