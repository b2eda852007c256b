//! The guarantee, without I/O: from the object and its journal to the next step and the status after it.

pub mod annotations;
pub mod attempts;
pub mod conditions;
pub mod decide;
pub mod journal;
pub mod regions;
pub mod transitions;

pub mod hold {
    //! Why nothing is claimed now: the one type for "not now".

    use std::time::Duration;

    use crate::api::Reason;

    /// How often a hold that only a person can end is checked again.
    pub const RECHECK_AFTER: Duration = Duration::from_secs(300);

    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Hold {
        pub reason: Reason,
        /// Names no remaining time: each change of it would be a write.
        pub message: String,
        /// Longest time until the next try.
        pub retry_after: Duration,
    }
}
