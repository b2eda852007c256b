//! The resource people apply: its types and words. It must not know Kubernetes clients nor the cloud.

mod reason;

pub use reason::{Reason, Row};
