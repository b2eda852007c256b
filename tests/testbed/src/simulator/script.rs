//! What a cluster's next call meets instead of the ordinary answer.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::answer::{Answer, Shape};

/// What is done with the call once it was read, or instead of reading it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// This answer.
    Answer(Answer),
    /// This answer after an interim one of this status (100 or 103).
    Interim(u16, Answer),
    /// This answer as soon as the head was read; the body is left unread.
    BeforeBody(Answer),
    /// The connection is closed without an answer.
    Cut,
    /// The connection is reset without an answer.
    Reset,
    /// The status line and half a header, then closed.
    HalfHead,
    /// The same, then reset.
    HalfHeadReset,
    /// A whole head that promises a longer body than comes, then closed.
    HalfBody(Answer),
    /// The same in chunks, the last of which is missing.
    HalfChunks(Answer),
    /// A whole head and a body of more than 64 KiB, whole.
    LargeBody(u16),
    /// Nothing, until the client leaves.
    Hang,
}

/// How long it waits before it acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// Not at all.
    #[default]
    No,
    /// So many milliseconds.
    Millis(u64),
    /// Until `release` is called for the cluster.
    Released,
}

/// One scripted call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// What is done.
    pub act: Act,
    /// Whether the cluster carries the redistribution out all the same.
    #[serde(default)]
    pub executed: bool,
    /// How long it waits before.
    #[serde(default)]
    pub wait: Wait,
}

impl Script {
    /// Acts at once; nothing is carried out.
    pub fn new(act: Act) -> Self {
        Self { act, executed: false, wait: Wait::No }
    }

    /// Answers with a status and no body; 2xx counts as carried out.
    pub fn status(status: u16) -> Self {
        Self { executed: (200..300).contains(&status), ..Self::new(Act::Answer(Answer::empty(status))) }
    }

    /// Answers with an error in one of the known shapes.
    pub fn error(shape: Shape, status: u16, code: &str, text: &str) -> Self {
        Self::new(Act::Answer(Answer::error(shape, status, code, text)))
    }

    /// Carried out, and the answer is lost: the connection is closed after the request was read.
    pub fn lost_reply() -> Self {
        Self { executed: true, ..Self::new(Act::Cut) }
    }

    /// Accepts once `release` is called for the cluster.
    pub fn held() -> Self {
        Self { wait: Wait::Released, ..Self::status(200) }
    }

    /// The same, carried out.
    #[must_use]
    pub fn executed(mut self) -> Self {
        self.executed = true;
        self
    }

    /// The same, later.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.wait = Wait::Millis(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// The same, once `release` is called for the cluster.
    #[must_use]
    pub fn when_released(mut self) -> Self {
        self.wait = Wait::Released;
        self
    }
}
