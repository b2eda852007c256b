//! A CRD that keeps nothing, or not all, of a claim: nothing is sent, the object reports it, and it continues by itself
//! once the CRD is fixed.

use redistribution_operator::api::crd_json;
use serde_json::Value;
use testbed::{ControlPlane, Options as PlaneOptions, Tools, apply_crd, simulator::Options};

use crate::{
    support::proxied::Proxied,
    support::world::{World, message},
};

const STATUS: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties";

/// A CRD without a field of `status`, or of its attempt.
fn without(parent: &str, field: &str) -> Value {
    let mut crd = crd_json().unwrap();
    let fields = crd.pointer_mut(&format!("{STATUS}{parent}")).unwrap().as_object_mut().unwrap();
    assert!(fields.remove(field).is_some(), "no {field} there");
    crd
}

/// A world with that CRD; a control plane of its own, since a CRD applies to all namespaces.
pub async fn world_with(crd: &Value) -> World {
    let plane = ControlPlane::start(&Tools::new(), PlaneOptions::default()).unwrap();
    // Its supervisor ends it with the process, like the shared one.
    let plane: &'static ControlPlane = Box::leak(Box::new(plane));
    apply_crd(&plane.client().await.unwrap(), &crd.to_string()).await.unwrap();
    World::on(plane, Options::default()).await
}

/// Tried again within a minute.
async fn fixed(world: &World, name: &str, cluster: &str) {
    apply_crd(&world.client, &crd_json().unwrap().to_string()).await.unwrap();
    world.settled(name, "Delivered").await;
    assert_eq!(world.calls(cluster), 1);
}

#[tokio::test]
async fn a_partly_pruned_claim_is_retracted_and_repeated_with_a_full_crd() {
    for field in ["specHash", "state"] {
        let world = world_with(&without("/attempt/properties", field)).await;
        let cluster = world.cluster();
        let _operator = world.operator().await;
        world.create("request", &cluster).await;
        let object = world.settled("request", "CRDOutdated").await;
        assert!(message(&object).contains("crds/"), "{}", message(&object));
        let attempt = object.status.unwrap().attempt;
        assert!(
            attempt.is_none_or(|attempt| attempt.state == "NotSent"),
            "{field}: it is certain that nothing was sent"
        );
        assert_eq!(world.cloud.total_calls(), 0);
        fixed(&world, "request", &cluster).await;
    }
}

#[tokio::test]
async fn a_pruned_claim_is_reported_even_if_others_write_the_object() {
    let world = world_with(&without("", "attempt")).await;
    let cluster = world.cluster();
    let proxied = Proxied::new(&world, "put#2:409+put#1:504").await;
    let _operator = proxied.operator(&world, &[]).await;
    world.create("request", &cluster).await;
    world.settled("request", "CRDOutdated").await;
    assert_eq!(proxied.record.strikes(), 2, "both faults met the write that reports it");
    assert_eq!(world.cloud.total_calls(), 0);
    fixed(&world, "request", &cluster).await;
}
