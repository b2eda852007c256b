//! Why nothing is claimed now: the one type for "not now".

use std::time::Duration;

use crate::api::Reason;

/// A reason, what it means to a person, and when to try again at the latest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Reason of the conditions.
    pub reason: Reason,
    /// What happened and what to do. Names no remaining time: each change of it would be a write.
    pub message: String,
    /// When to try again at the latest.
    pub retry_after: Duration,
}
