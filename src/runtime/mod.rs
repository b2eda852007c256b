//! The process around the controller.

pub mod clock;
pub mod election;
pub mod events;
pub mod health;
pub mod kube_client;
pub mod locks;
pub mod metrics;
pub mod synced;
pub mod telemetry;
pub mod throttle;
