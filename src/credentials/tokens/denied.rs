//! PURE: why there is no token.

use std::time::Duration;

use super::unanswered::FailureCause;
use crate::admission::Refusal;

/// What IAM says of a user and a project, other than that the password is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeError {
    /// The user has no role in the project, or there is none of this id. With the HTTP status.
    Project(u16),
    /// 403.
    Forbidden,
    /// Another refusal, with the HTTP status.
    Refused(u16),
    /// The token would end during a call.
    ShortLived,
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// For the user: refused, locked or throttled.
    User(Refusal),
    /// For this user and project; asked again after that long.
    Scope(ScopeError, Duration),
    /// For the user: the last login brought no answer that says anything of either, and the next one is that far away.
    Unanswered(FailureCause, Duration),
    /// IAM could not be reached; nothing was sent.
    Unreachable,
}
