//! Worlds, bursts and proxies for the tests of the other groups.

pub mod burst;
pub mod proxied;
pub mod world;
