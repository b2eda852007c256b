//! PURE: why there is no token.

use std::time::Duration;

use super::unanswered::FailureCause;
use crate::credentials::lockout::Rejection;

/// Why IAM refuses a user for one project, although the password is not known to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeError {
    /// The user has no role in the project, or no project has this id. With the HTTP status.
    Project(u16),
    /// 403: the user may not log in, or not from here.
    Forbidden,
    /// Any other refusal. With the HTTP status.
    Refused(u16),
    /// The token's lifetime is too short for a call.
    ShortLived,
}

/// Why there is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The user was refused or locked, and for how long; `None`: not before its values change.
    Rejected(Rejection, Option<Duration>),
    /// IAM throttles the user, and for how long.
    Throttled(Duration),
    /// The user was refused for this project; the next login is allowed after that time.
    Scope(ScopeError, Duration),
    /// The last login of the user had no conclusive answer; the next one is allowed after that time.
    Unanswered(FailureCause, Duration),
    /// IAM could not be reached; nothing was sent.
    Unreachable,
}
