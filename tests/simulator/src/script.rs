//! The script of a cluster's next call or read, or of the next login, instead of the ordinary answer.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use super::answer::{Answer, Shape};

/// What happens to the request after it was read, or instead of reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
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
    /// A whole head and a body of more than 64 KiB, whole; for a read or a login more than 1 MiB.
    LargeBody(u16),
    /// A whole answer of this status whose body is these bytes, which need not be text.
    Bytes(u16, Vec<u8>),
    /// Nothing, until the client leaves.
    Hang,
    /// The ordinary answer; `executed` means nothing here.
    Ordinary,
}

/// The delay before the act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    No,
    /// This number of milliseconds.
    Millis(u64),
    /// Until `release` is called for the cluster.
    Released,
}

/// One scripted call, read or login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    pub act: Act,
    /// Whether the cluster still carries the redistribution out; only a call can do that.
    pub executed: bool,
    /// The delay before the act.
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

    /// The ordinary answer; to be delayed or held.
    pub fn ordinary() -> Self {
        Self::new(Act::Ordinary)
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

/// Scripts that wait for requests, and the releases of held ones.
#[derive(Debug)]
pub(super) struct Queue {
    scripts: VecDeque<Script>,
    released: Arc<Semaphore>,
}

impl Default for Queue {
    fn default() -> Self {
        Self { scripts: VecDeque::new(), released: Arc::new(Semaphore::new(0)) }
    }
}

impl Queue {
    /// Adds them at the end.
    pub fn extend(&mut self, scripts: impl IntoIterator<Item = Script>) {
        self.scripts.extend(scripts);
    }

    /// Takes the first, with its release.
    pub fn next(&mut self) -> Option<(Script, Arc<Semaphore>)> {
        Some((self.scripts.pop_front()?, Arc::clone(&self.released)))
    }

    /// Releases one, now or when it comes.
    pub fn release(&self) {
        self.released.add_permits(1);
    }
}
