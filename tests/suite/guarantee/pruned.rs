//! A CRD that keeps nothing, or not all, of a claim: nothing is sent, the object reports it, and it continues by itself
//! once the CRD is fixed.

use crate::support::{
    crd,
    proxied::Proxied,
    world::{World, message},
};

/// Tried again within a minute.
async fn fixed(world: &World, name: &str, cluster: &str) {
    crd::replace(world, &crd::current()).await;
    world.settled(name, "Delivered").await;
    assert_eq!(world.calls(cluster), 1);
}

#[tokio::test]
async fn a_partly_pruned_claim_is_retracted_and_repeated_with_a_full_crd() {
    for field in ["attempt/properties/specHash", "attempt/properties/state"] {
        let world = crd::world(&crd::without(&[field])).await;
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
    let world = crd::world(&crd::without(&["attempt"])).await;
    let cluster = world.cluster();
    let proxied = Proxied::new(&world, "put#2:409+put#1:504").await;
    let _operator = proxied.operator(&world, &[]).await;
    world.create("request", &cluster).await;
    world.settled("request", "CRDOutdated").await;
    assert_eq!(proxied.record.strikes(), 2, "both faults met the write that reports it");
    assert_eq!(world.cloud.total_calls(), 0);
    fixed(&world, "request", &cluster).await;
}
