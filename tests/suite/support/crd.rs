//! CRDs of other versions, on control planes of their own, since a CRD applies to all namespaces.

use redistribution_operator::api::crd_json;
use serde_json::Value;
use testbed::{ControlPlane, Options as PlaneOptions, Tools, apply_crd, simulator::Options};

use crate::support::world::World;

/// The schema of `status` in a CRD.
pub const STATUS: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties";

/// The present CRD.
pub fn current() -> Value {
    crd_json().unwrap()
}

/// The CRD without these fields of `status`; those of an attempt are `attempt/properties/NAME`.
pub fn without(fields: &[&str]) -> Value {
    let mut crd = current();
    for field in fields {
        let (parent, name) = field
            .rsplit_once('/')
            .map_or((STATUS.to_owned(), *field), |(parent, name)| (format!("{STATUS}/{parent}"), name));
        let fields = crd.pointer_mut(&parent).unwrap().as_object_mut().unwrap();
        assert!(fields.remove(name).is_some(), "status has no {field}");
    }
    crd
}

/// A world whose control plane has this CRD.
pub async fn world(crd: &Value) -> World {
    world_with(crd, Options::default()).await
}

/// The same with another cloud.
pub async fn world_with(crd: &Value, options: Options) -> World {
    let plane = ControlPlane::start(&Tools::new(), PlaneOptions::default()).unwrap();
    // Its supervisor ends it with the process, like the shared one.
    let plane: &'static ControlPlane = Box::leak(Box::new(plane));
    apply_crd(&plane.client().await.unwrap(), &crd.to_string()).await.unwrap();
    World::on(plane, options).await
}

/// Replaces the CRD.
pub async fn replace(world: &World, crd: &Value) {
    apply_crd(&world.client, &crd.to_string()).await.unwrap();
}
