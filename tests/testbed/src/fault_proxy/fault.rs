//! Everything that a fault proxy can do, by its word, and to which kind of request. It does nothing itself.

use Fault as F;

use super::plan::Kind;

impl Kind {
    /// What can be done to it.
    pub fn faults(self) -> Vec<Fault> {
        let special: &[Fault] = match self {
            Self::Watch => &WATCH,
            Self::Connect => return CONNECT.to_vec(),
            Self::Look | Self::Call => return CALL.to_vec(),
            _ => &[],
        };
        KUBERNETES.iter().chain(special).copied().collect()
    }
}

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// What is done. *Before* is before the request was handed on, *after* is after that and before the reply.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Fault { $($(#[$doc])* $name,)* }

        impl Fault {
            /// The word of a plan.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
        }
    };
}

faults! {
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
    /// Handed on; the connection is closed instead of the reply.
    DropReply = "drop-reply",
    /// Not handed on; the connection is reset.
    Reset = "reset",
    /// Handed on; the connection is reset instead of the reply.
    ResetReply = "reset-reply",
    /// Handed on later than the send budget allows.
    Delay = "delay",
    /// Handed on at once; the reply comes later than the send budget allows.
    DelayReply = "delay-reply",
    /// Not handed on and never answered.
    Hang = "hang",
    /// Handed on and never answered.
    HangReply = "hang-reply",
    /// Handed on once the operator has given up.
    Late = "late",
    /// 409, not handed on.
    Conflict = "409",
    /// Handed on, then 409: what a repeated write meets.
    ConflictApplied = "409-applied",
    /// 429 with Retry-After, not handed on.
    TooMany = "429",
    /// 500, not handed on.
    Internal = "500",
    /// 503, not handed on.
    Unavailable = "503",
    /// 504, not handed on.
    Timeout = "504",
    /// Handed on, then 504.
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
    /// The first event never comes.
    Swallow1 = "swallow-1",
    /// The second event never comes.
    Swallow2 = "swallow-2",
    /// The third event never comes.
    Swallow3 = "swallow-3",
    /// The fourth event never comes.
    Swallow4 = "swallow-4",
    /// The fifth event never comes.
    Swallow5 = "swallow-5",
    /// The sixth event never comes.
    Swallow6 = "swallow-6",
    /// Nobody listens.
    Refuse = "refuse",
    /// SYNs are dropped.
    DropSyn = "drop-syn",
    /// Reset right after accepting.
    ResetAccept = "reset-accept",
    /// No TLS is spoken.
    NotTls = "not-tls",
    /// The handshake never ends.
    StallTls = "stall-tls",
    /// A certificate nobody trusts.
    WrongCertificate = "wrong-certificate",
    /// Closed after the handshake, before reading.
    CloseUnread = "close-unread",
    /// Reset after the handshake, before reading.
    ResetUnread = "reset-unread",
    /// Not read at all after the handshake.
    HangUnread = "hang-unread",
    /// Not handed on; the connection is closed.
    Cut = "cut",
    /// Handed on; the status line and half a header, then closed.
    HalfHead = "half-head",
    /// The same, then reset.
    HalfHeadReset = "half-head-reset",
    /// Handed on; a whole head, half a body.
    HalfBody = "half-body",
    /// The same in chunks.
    HalfChunks = "half-chunks",
    /// Handed on; a body of more than 64 KiB.
    LargeBody = "large-body",
    /// Handed on; the cloud's side says that it will write no more, and goes on reading.
    HalfClose = "half-close",
    /// 301 to the same address, not handed on.
    Redirect301 = "301",
    /// 307 to the same address, not handed on.
    Redirect307 = "307",
    /// 308 to the same address, not handed on.
    Redirect308 = "308",
    /// Handed on; 100 before the reply.
    Continue = "100",
    /// Handed on; 103 before the reply.
    EarlyHints = "103",
    /// 403 before the body was read, not handed on.
    AnswerEarly = "403-early",
    /// 400 of the service, not handed on.
    Answer400 = "400",
    /// 401 of the gateway, not handed on.
    Answer401 = "401",
    /// 403 of the service, not handed on.
    Answer403 = "403",
    /// 404 of the gateway, not handed on.
    Answer404 = "404",
    /// Handed on; 500 instead of the reply.
    InternalApplied = "500-applied",
    /// 502, not handed on.
    BadGateway = "502",
}

const KUBERNETES: [Fault; 21] = [
    F::KillBefore,
    F::KillAfter,
    F::KillBeforeOld,
    F::KillAfterOld,
    F::StopBefore,
    F::StopAfter,
    F::DropReply,
    F::Reset,
    F::ResetReply,
    F::Delay,
    F::DelayReply,
    F::Hang,
    F::HangReply,
    F::Late,
    F::Conflict,
    F::ConflictApplied,
    F::TooMany,
    F::Internal,
    F::Unavailable,
    F::Timeout,
    F::TimeoutApplied,
];

const WATCH: [Fault; 12] = [
    F::Gone,
    F::GoneOld,
    F::GoneEvent,
    F::CloseWatch,
    F::Freeze,
    F::BlackHole,
    F::Swallow1,
    F::Swallow2,
    F::Swallow3,
    F::Swallow4,
    F::Swallow5,
    F::Swallow6,
];

const CONNECT: [Fault; 9] = [
    F::Refuse,
    F::DropSyn,
    F::ResetAccept,
    F::NotTls,
    F::StallTls,
    F::WrongCertificate,
    F::CloseUnread,
    F::ResetUnread,
    F::HangUnread,
];

const CALL: [Fault; 35] = [
    F::KillBefore,
    F::KillAfter,
    F::KillBeforeOld,
    F::KillAfterOld,
    F::StopBefore,
    F::StopAfter,
    F::Cut,
    F::DropReply,
    F::Reset,
    F::ResetReply,
    F::Hang,
    F::HangReply,
    F::Late,
    F::DelayReply,
    F::HalfHead,
    F::HalfHeadReset,
    F::HalfBody,
    F::HalfChunks,
    F::LargeBody,
    F::HalfClose,
    F::Redirect301,
    F::Redirect307,
    F::Redirect308,
    F::Continue,
    F::EarlyHints,
    F::AnswerEarly,
    F::Answer400,
    F::Answer401,
    F::Answer403,
    F::Answer404,
    F::TooMany,
    F::Internal,
    F::InternalApplied,
    F::BadGateway,
    F::TimeoutApplied,
];

impl Fault {
    /// The process ends or stands still, so that what it knew may be lost.
    pub const fn hits_the_process(self) -> bool {
        matches!(self, F::KillBefore | F::KillAfter | F::KillBeforeOld | F::KillAfterOld | F::StopBefore | F::StopAfter)
    }

    /// The process stands still, and somebody else has to be there.
    pub const fn needs_another_operator(self) -> bool {
        matches!(self, F::StopBefore | F::StopAfter)
    }

    /// The next first list is an old one.
    pub const fn serves_old(self) -> bool {
        matches!(self, F::KillBeforeOld | F::KillAfterOld | F::GoneOld)
    }

    /// Which event of the stream never comes.
    pub const fn swallows(self) -> Option<usize> {
        match self {
            F::Swallow1 => Some(1),
            F::Swallow2 => Some(2),
            F::Swallow3 => Some(3),
            F::Swallow4 => Some(4),
            F::Swallow5 => Some(5),
            F::Swallow6 => Some(6),
            _ => None,
        }
    }
}
