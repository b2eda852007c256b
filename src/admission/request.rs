//! PURE: the candidate for a call, and why it may not call now. This module decides nothing.

use std::time::{Duration, Instant};

use crate::cloud::identity::KeyIdentity;

/// Namespace and name of an object, for waking it.
pub type ObjectName = (String, String);

/// When an object was requested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestedAt {
    /// Second in which it was requested (Unix time).
    pub second: i64,
    /// When the watch showed it: the watch delivers the objects of one second in their order, and the work queue and
    /// the workers may not.
    pub seen: Option<Instant>,
}

/// An object that is ready to call.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Namespace and name.
    pub object: ObjectName,
    /// The DWS cluster, in lower case.
    pub cluster: String,
    /// The key, by digest.
    pub key: KeyIdentity,
    /// When it was requested: of the objects that wait for one key the oldest is first.
    pub requested_at: RequestedAt,
    /// Its status shows something about this generation other than that it waits.
    pub has_other_report: bool,
}

/// Why a call may not be made now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Another call for the same cluster is in flight. Woken when it ends.
    AnotherCall {
        /// Namespace and name of the object that calls.
        by: ObjectName,
    },
    /// The cloud asked this key to wait (429).
    Throttled {
        /// Time left.
        wait: Duration,
        /// For an object far back in the queue: how long after that to retry if it is not woken. Zero for the next
        /// objects.
        behind: Duration,
    },
    /// No fault, but others are first: rate limit, bound on calls, or a key whose first call is in flight.
    Slot {
        /// Time left, if known.
        wait: Option<Duration>,
    },
    /// No fault, but many others are first. Woken when its turn is near.
    Queued {
        /// How long status does not report the wait yet.
        quiet: Duration,
        /// How long until it retries if it is not woken.
        wait: Duration,
    },
    /// The gateway refused this key.
    Rejected {
        /// Why, and with that whether it is ever tried again.
        why: Rejection,
        /// Time until one object may try it again; `None`: not before the Secret changes, or until the object that
        /// tries it now is done, which wakes the others.
        wait: Option<Duration>,
    },
}

/// Why a key is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// It is wrong, and has never worked here: not used again, since five refusals lock it.
    Wrong,
    /// It worked before: one object at a time tries whether it works again.
    WorkedBefore,
    /// The gateway locked it for some minutes. Tried again in the same way.
    Locked,
    /// The clock was off. Tried again in the same way.
    Clock,
    /// The gateway did not accept the tokens of the user. Tried again in the same way.
    Token,
    /// It was refused so often within 5 minutes, as the status of other objects records, that one more refusal would
    /// lock it.
    RefusedTooOften,
}
