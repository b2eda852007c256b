//! Reads before and after a call, and metrics.

pub mod metrics;
pub mod observations;
pub mod prechecks;
pub mod progress;
