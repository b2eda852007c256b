//! PURE: who wants to call, and why that may not be now. It decides nothing.

use std::time::Duration;

use super::{keys::Rejection, queue::Wished};
use crate::cloud::auth::KeyIdentity;

/// An object, for waking it up.
pub type ObjectName = (String, String);

/// Who wants to call.
#[derive(Clone, Debug)]
pub struct Entrant {
    /// Namespace and name.
    pub object: ObjectName,
    /// The DWS cluster, in lower case.
    pub cluster: String,
    /// The key, by digest.
    pub key: KeyIdentity,
    /// When it was asked for: of those that wait for one key the oldest is first.
    pub wished: Wished,
    /// Its status says something of this generation, and not that it waits.
    pub shows: bool,
}

/// Why a call may not be made now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Another call for the same cluster is in flight. Woken when it ends.
    AnotherCall {
        /// Namespace and name of the object that calls.
        by: ObjectName,
    },
    /// The cloud told this key to wait (429).
    Throttled {
        /// Time left.
        wait: Duration,
        /// For who stands far back in line: how long after it to look again, should nobody wake it. Zero for who is next.
        behind: Duration,
    },
    /// All is well, but others are first: pace, bound on calls, or a key on its first call.
    Turn {
        /// Time left, where it is known.
        wait: Option<Duration>,
    },
    /// All is well, but many others are first. Woken when its turn comes near.
    Line {
        /// How long nothing is to be said of that yet.
        quiet: Duration,
        /// When to look again, should nobody wake it.
        wait: Duration,
    },
    /// The gateway refused this key.
    Rejected {
        /// Why, and with that whether it is ever tried again.
        why: Rejection,
        /// Time until one object may try it again; `None`: not before the Secret changes, or the one that tries it now is
        /// through, which wakes the others.
        wait: Option<Duration>,
    },
}
