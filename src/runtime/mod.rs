//! The process around the controller: Kubernetes client, election, metrics, events, health, logs, clocks, locks, the limit
//! of writes, and which first lists are complete.

pub mod clock;
pub mod election;
pub mod events;
pub mod health;
pub mod jitter;
pub mod kube_client;
pub mod locks;
pub mod metrics;
pub mod synced;
pub mod telemetry;
pub mod write_limit;
