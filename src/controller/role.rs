//! Whether this process may begin something new. Attempts with a claim continue either way.

use tokio_util::sync::CancellationToken;

use crate::runtime::{election::Leadership, synced::Synced};

/// What this process may begin.
#[derive(Clone)]
pub struct Role {
    /// Cancelled once no new claim may be made.
    pub closing: CancellationToken,
    /// False while another controller leads.
    pub leadership: Leadership,
    /// Which first lists are complete.
    pub synced: Synced,
}

impl Role {
    /// Whether a new step may begin: this process leads and is not being stopped.
    pub fn may_begin(&self) -> bool {
        !self.closing.is_cancelled() && *self.leadership.borrow()
    }

    /// Whether the process may claim for an object of this namespace: not before the first list of its scope is complete,
    /// since the earlier requests in the status of others are not known until then. The watch delivers the object again
    /// when it is complete.
    pub fn may_claim(&self, namespace: &str) -> bool {
        self.may_begin() && self.synced.is_complete(namespace)
    }
}
