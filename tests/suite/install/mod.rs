//! CRD, chart, GitOps, image, release, upgrades, and the ways to the API server and the cloud.

pub mod chart;
pub mod endpoints;
pub mod gitops;
pub mod image;
pub mod release;
pub mod schema;
pub mod upgrade;
