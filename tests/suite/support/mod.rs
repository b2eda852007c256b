//! Worlds, bursts, CRDs and proxies for the tests of the other groups.

pub mod burst;
pub mod crd;
pub mod proxied;
pub mod world;
