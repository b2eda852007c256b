//! The client of the cloud. [`Client::send`] is the only function of the whole program that sends the non-idempotent call;
//! [`Client::cluster`] and [`Client::details`] only read, and [`Client::login`] only fetches a token.

pub(crate) mod auth;
mod client;
pub(crate) mod cluster;
mod exchange;
pub(crate) mod login;
mod names;
pub mod outcome;
mod reach;
mod read;
pub mod signing;

pub use client::{Client, ClientError, ClientSettings, too_late};
pub(crate) use read::ReadResult;

use crate::runtime::clock::Deadline;

/// The right to send once, minted with the claim and consumed by sending. It cannot be copied, so an attempt cannot be
/// sent twice; a permit that was not consumed proves that nothing was sent.
#[derive(Debug)]
pub struct SendPermit {
    attempt_id: String,
    deadline: Deadline,
}

impl SendPermit {
    /// `deadline`: the end of the send budget, which starts with the claim.
    pub const fn mint(attempt_id: String, deadline: Deadline) -> Self {
        Self { attempt_id, deadline }
    }

    /// It is too late to send: other replicas may already be waiting for the end of this attempt's grace period.
    pub fn has_expired(&self) -> bool {
        self.deadline.is_over()
    }
}
