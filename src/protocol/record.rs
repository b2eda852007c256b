//! PURE: the outcome of an attempt, and the effect of recording it.

use crate::api::{AttemptState, ClusterRedistributionStatus, Reason};

/// The outcome of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Answered, NotSent or Unknown.
    pub state: AttemptState,
    /// Reason of the conditions.
    pub reason: Reason,
    /// What happened and what to do, without any secret; at most 256 characters. For `NotSent` only what happened, as a
    /// sentence without its full stop: it depends on the object whether the attempt is retried.
    pub message: String,
    /// HTTP status code of the answer.
    pub status_code: Option<i32>,
    /// The cloud's error code.
    pub error_code: Option<String>,
    /// The cloud's id of the request.
    pub request_id: Option<String>,
    /// Wait that a 429 asked for, in seconds.
    pub retry_after: Option<i64>,
}

/// The effect of a record on the current status.
#[derive(Debug, PartialEq)]
pub enum Recording {
    /// This status is to be written.
    Write(Box<ClusterRedistributionStatus>),
    /// The status already records an outcome of the same or a higher rank.
    Known,
    /// Another attempt replaced it and history does not contain it: for log and event only.
    Replaced,
}
