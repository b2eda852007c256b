//! PURE: who wants to call, and why that may not be now. It decides nothing.

use std::time::{Duration, Instant};

use crate::cloud::identity::KeyIdentity;

/// An object, for waking it up.
pub type ObjectName = (String, String);

/// When an object was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestedAt {
    /// Second in which it was asked for.
    pub second: i64,
    /// When it was seen: the watch brings those of one second in their order, and the queue and the workers may not.
    pub seen: Option<Instant>,
}

/// Who wants to call.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Namespace and name.
    pub object: ObjectName,
    /// The DWS cluster, in lower case.
    pub cluster: String,
    /// The key, by digest.
    pub key: KeyIdentity,
    /// When it was asked for: of those that wait for one key the oldest is first.
    pub requested_at: RequestedAt,
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
        /// For who stands far back in queue: how long after it to look again, should nobody wake it. Zero for who is next.
        behind: Duration,
    },
    /// All is well, but others are first: pace, bound on calls, or a key on its first call.
    Slot {
        /// Time left, where it is known.
        wait: Option<Duration>,
    },
    /// All is well, but many others are first. Woken when its turn comes near.
    Queued {
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

/// Why a key rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// It is wrong, and had never worked here: not used again, since five refusals lock it.
    Wrong,
    /// It had worked before: one object at a time tries whether it does again.
    WorkedBefore,
    /// The gateway had locked it for some minutes. Tried again likewise.
    Locked,
    /// The clock was off. Tried again likewise.
    Clock,
    /// The gateway did not take the tokens of the user. Tried again likewise.
    Token,
    /// It was refused so often within 5 minutes, as status of other objects tells, that once more would lock it.
    Often,
}
