//! Every fault of a fault proxy, its name, and the kinds of request it applies to. It does nothing itself.

use Fault as F;

use super::plan::Kind;

impl Kind {
    /// The faults of a kind of request. They are declared in this order: for all of Kubernetes, for a watch, for a
    /// streamed list, for a connection to the cloud, for a call.
    pub fn faults(self) -> Vec<Fault> {
        let no_call = [F::Delay, F::Conflict, F::ConflictApplied, F::Unavailable, F::Timeout];
        let fits = |fault: &Fault| match self {
            Self::Watch => *fault <= F::Swallow6,
            Self::Stream => *fault <= F::Torn,
            Self::Connect => (F::Refuse..=F::HangUnread).contains(fault),
            Self::Look | Self::Call => {
                *fault > F::HangUnread || (*fault <= F::TimeoutApplied && !no_call.contains(fault))
            }
            _ => *fault <= F::TimeoutApplied,
        };
        Fault::ALL.iter().copied().filter(fits).collect()
    }
}

/// An enum whose variants have names in a plan.
macro_rules! words {
    ($(#[$about:meta])* $type:ident { $($(#[$doc:meta])* $name:ident = $word:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $type { $($(#[$doc])* $name,)* }

        impl $type {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}
pub(super) use words;

words! {
    /// A fault. *Before* is before the request was forwarded, *after* is after that and before the reply.
    Fault {
        /// SIGKILL of the operator, before.
        KillBefore = "kill-before",
        /// SIGKILL, after.
        KillAfter = "kill-after",
        /// SIGKILL before, and the next operator's first list is an old one.
        KillBeforeOld = "kill-before-old",
        /// SIGKILL after, and the next operator's first list is an old one.
        KillAfterOld = "kill-after-old",
        /// SIGSTOP before, for longer than the grace, while another operator is there.
        StopBefore = "stop-before",
        /// SIGSTOP after, likewise; the reply waits in its socket.
        StopAfter = "stop-after",
        /// Forwarded; the connection is closed instead of the reply.
        DropReply = "drop-reply",
        /// Not forwarded; the connection is reset.
        Reset = "reset",
        /// Forwarded; the connection is reset instead of the reply.
        ResetReply = "reset-reply",
        /// Forwarded later than the send budget allows.
        Delay = "delay",
        /// Forwarded at once; the reply comes later than the send budget allows.
        DelayReply = "delay-reply",
        /// Not forwarded and never answered.
        Hang = "hang",
        /// Forwarded and never answered.
        HangReply = "hang-reply",
        /// Forwarded once the operator has given up.
        Late = "late",
        /// 409, not forwarded.
        Conflict = "409",
        /// Forwarded, then 409: what a repeated write meets.
        ConflictApplied = "409-applied",
        /// 429 with Retry-After, not forwarded.
        TooMany = "429",
        /// 500, not forwarded.
        Internal = "500",
        /// 503, not forwarded.
        Unavailable = "503",
        /// 504, not forwarded.
        Timeout = "504",
        /// Forwarded, then 504.
        TimeoutApplied = "504-applied",
        /// 410, so that everything is listed again.
        Gone = "410",
        /// 410, and the list after it is an old one.
        GoneOld = "410-old",
        /// An ERROR event with 410 in the stream.
        GoneEvent = "410-event",
        /// The stream ends after its first event.
        CloseWatch = "close",
        /// Nothing comes through for a while after the first event; then all of it does.
        Freeze = "freeze",
        /// Nothing comes through any more after the first event, for as long as the connection lasts.
        BlackHole = "black-hole",
        /// The event of this number never comes.
        Swallow1 = "swallow-1",
        Swallow2 = "swallow-2",
        Swallow3 = "swallow-3",
        Swallow4 = "swallow-4",
        Swallow5 = "swallow-5",
        Swallow6 = "swallow-6",
        /// The stream ends before its list does.
        Torn = "torn",
        /// No process listens.
        Refuse = "refuse",
        /// SYNs are dropped.
        DropSyn = "drop-syn",
        /// Reset right after accepting.
        ResetAccept = "reset-accept",
        /// No TLS is spoken.
        NotTls = "not-tls",
        /// The handshake never ends.
        StallTls = "stall-tls",
        /// An untrusted certificate.
        WrongCertificate = "wrong-certificate",
        /// Closed after the handshake, before reading.
        CloseUnread = "close-unread",
        /// Reset after the handshake, before reading.
        ResetUnread = "reset-unread",
        /// Not read at all after the handshake.
        HangUnread = "hang-unread",
        /// Not forwarded; the connection is closed.
        Cut = "cut",
        /// Forwarded; the status line and half a header, then closed.
        HalfHead = "half-head",
        /// The same, then reset.
        HalfHeadReset = "half-head-reset",
        /// Forwarded; a whole head, half a body.
        HalfBody = "half-body",
        /// The same in chunks.
        HalfChunks = "half-chunks",
        /// Forwarded; a body of more than 64 KiB.
        LargeBody = "large-body",
        /// Forwarded; the cloud's side sends its end of stream, and continues to read.
        HalfClose = "half-close",
        /// 301 to the same address, not forwarded.
        Redirect301 = "301",
        /// 307 to the same address, not forwarded.
        Redirect307 = "307",
        /// 308 to the same address, not forwarded.
        Redirect308 = "308",
        /// Forwarded; 100 before the reply.
        Continue = "100",
        /// Forwarded; 103 before the reply.
        EarlyHints = "103",
        /// 403 before the body was read, not forwarded.
        AnswerEarly = "403-early",
        /// 400 of the service, not forwarded.
        Answer400 = "400",
        /// 401 of the gateway, not forwarded.
        Answer401 = "401",
        /// 403 of the service, not forwarded.
        Answer403 = "403",
        /// 404 of the gateway, not forwarded.
        Answer404 = "404",
        /// Forwarded; 500 instead of the reply.
        InternalApplied = "500-applied",
        /// 502, not forwarded.
        BadGateway = "502",
    }
}

impl Fault {
    /// The process ends or is stopped, so that its knowledge may be lost.
    pub const fn hits_the_process(self) -> bool {
        matches!(self, F::KillBefore | F::KillAfter | F::KillBeforeOld | F::KillAfterOld | F::StopBefore | F::StopAfter)
    }

    /// The process is stopped, and another operator has to run.
    pub const fn needs_another_operator(self) -> bool {
        matches!(self, F::StopBefore | F::StopAfter)
    }

    /// The next first list is an old one.
    pub const fn serves_old(self) -> bool {
        matches!(self, F::KillBeforeOld | F::KillAfterOld | F::GoneOld)
    }

    /// Which event of the stream never comes.
    pub fn swallows(self) -> Option<usize> {
        (F::Swallow1..=F::Swallow6).contains(&self).then(|| self as usize - F::Swallow1 as usize + 1)
    }
}
