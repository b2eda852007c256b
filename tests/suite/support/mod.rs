//! Worlds, bursts, CRDs, proxies and states for the tests of the other groups.

pub mod burst;
pub mod crd;
pub mod proxied;
pub mod states;
pub mod world;
