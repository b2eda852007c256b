//! PURE: what became of an attempt, and what recording it would change.

use crate::api::{AttemptState, ClusterRedistributionStatus, Reason};

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Answered, NotSent or Unknown.
    pub state: AttemptState,
    /// Reason of the conditions.
    pub reason: Reason,
    /// What happened and what to do, scrubbed; at most 256 characters. Of a `NotSent` only what happened, as a sentence
    /// without its full stop: whether it is tried again depends on the object.
    pub message: String,
    /// HTTP status code of the answer.
    pub status_code: Option<i32>,
    /// The cloud's error code.
    pub error_code: Option<String>,
    /// The cloud's id of the request.
    pub request_id: Option<String>,
    /// How many seconds a 429 asked to wait.
    pub retry_after: Option<i64>,
}

/// What a record would do to the status that is there now.
#[derive(Debug, PartialEq)]
pub enum Recording {
    /// Write this.
    Write(Box<ClusterRedistributionStatus>),
    /// The status knows as much already, or more.
    Known,
    /// Another attempt took its place and it is not in history: for log and event only.
    Replaced,
}
