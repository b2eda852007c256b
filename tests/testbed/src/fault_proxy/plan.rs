//! What a fault proxy does, and when: *at the k-th request of this kind, this*. A plan has a text form that names it in
//! tables and repeats it: `put#2:kill-after`, two in a row `put#2:kill-after+get#1:hang` (the second counts from when the
//! first has struck), with two operators `2*put#2:stop-after`. It does nothing itself.

use std::{fmt, str::FromStr};

use Fault as F;

/// Kind of a request or connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// List of the resource.
    List,
    /// Watch of the resource.
    Watch,
    /// Get of one object.
    Get,
    /// Get of a Secret.
    Secret,
    /// Put of an object's status.
    Put,
    /// Post of an event.
    Event,
    /// The API server's version.
    Version,
    /// Anything else of Kubernetes.
    Other,
    /// A connection to the cloud.
    Connect,
    /// A request to the cloud.
    Call,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::List,
        Self::Watch,
        Self::Get,
        Self::Secret,
        Self::Put,
        Self::Event,
        Self::Version,
        Self::Other,
        Self::Connect,
        Self::Call,
    ];

    /// The word of a plan.
    pub const fn word(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Watch => "watch",
            Self::Get => "get",
            Self::Secret => "secret",
            Self::Put => "put",
            Self::Event => "event",
            Self::Version => "version",
            Self::Other => "other",
            Self::Connect => "connect",
            Self::Call => "call",
        }
    }

    /// What can be done to it.
    pub fn faults(self) -> Vec<Fault> {
        let special: &[Fault] = match self {
            Self::Watch => &WATCH,
            Self::Connect => return CONNECT.to_vec(),
            Self::Call => return CALL.to_vec(),
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

/// One fault at one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Step {
    /// Kind of the request.
    pub kind: Kind,
    /// Which one of its kind, from 1, counted from the start or from when the step before has struck.
    pub ordinal: u32,
    /// What is done.
    pub fault: Fault,
}

/// Faults in a row, and how many operators there are. Only the first operator meets them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    /// How many operators run, without election.
    pub operators: usize,
    /// In this order.
    pub steps: Vec<Step>,
}

impl Plan {
    /// No fault, one operator.
    pub const fn nothing() -> Self {
        Self { operators: 1, steps: Vec::new() }
    }

    /// One fault; with another operator where it needs one.
    pub fn single(step: Step) -> Self {
        Self::of(vec![step], 1)
    }

    /// These faults, with at least so many operators.
    pub fn of(steps: Vec<Step>, operators: usize) -> Self {
        let another = steps.iter().any(|step| step.fault.needs_another_operator());
        Self { operators: operators.max(if another { 2 } else { 1 }), steps }
    }

    /// Any of its faults.
    pub fn has(&self, is: impl Fn(&Step) -> bool) -> bool {
        self.steps.iter().any(is)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(text, "{}#{}:{}", self.kind.word(), self.ordinal, self.fault.word())
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.operators > 1 {
            write!(text, "{}*", self.operators)?;
        }
        let steps: Vec<_> = self.steps.iter().map(ToString::to_string).collect();
        text.write_str(if steps.is_empty() { "nothing" } else { "" })?;
        text.write_str(&steps.join("+"))
    }
}

/// A text that is no plan.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is not a plan; expected something like put#2:kill-after, two in a row with +, and 2* before it for two operators"
)]
pub struct NotAPlan(String);

impl FromStr for Step {
    type Err = NotAPlan;

    fn from_str(text: &str) -> Result<Self, NotAPlan> {
        let parsed = (|| {
            let (place, fault) = text.split_once(':')?;
            let (kind, ordinal) = place.split_once('#')?;
            Some(Self {
                kind: Kind::ALL.into_iter().find(|known| known.word() == kind)?,
                ordinal: ordinal.parse().ok().filter(|&ordinal| ordinal > 0)?,
                fault: Fault::ALL.iter().copied().find(|known| known.word() == fault)?,
            })
        })();
        parsed.filter(|step| step.kind.faults().contains(&step.fault)).ok_or_else(|| NotAPlan(text.to_owned()))
    }
}

impl FromStr for Plan {
    type Err = NotAPlan;

    fn from_str(text: &str) -> Result<Self, NotAPlan> {
        let (operators, steps) = match text.split_once('*') {
            Some((operators, steps)) => (operators.parse().map_err(|_| NotAPlan(text.to_owned()))?, steps),
            None => (1, text),
        };
        let steps = if steps == "nothing" {
            Vec::new()
        } else {
            steps.split('+').map(str::parse).collect::<Result<Vec<Step>, _>>()?
        };
        Ok(Self::of(steps, operators))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_read_back_as_it_was_written() {
        for kind in Kind::ALL {
            for fault in kind.faults() {
                let plan = Plan::single(Step { kind, ordinal: 3, fault });
                assert_eq!(plan.to_string().parse::<Plan>().unwrap(), plan);
            }
        }
        let pair = "3*put#2:kill-after+get#1:hang";
        assert_eq!(pair.parse::<Plan>().unwrap().to_string(), pair);
        assert_eq!("nothing".parse::<Plan>().unwrap(), Plan::nothing());
    }

    #[test]
    fn what_is_no_plan_is_said_so() {
        for text in ["", "put", "put#0:hang", "put#1", "put#1:melt", "put#1:swallow-1", "call#1:409", "x*put#1:hang"] {
            assert!(text.parse::<Plan>().is_err(), "{text}");
        }
    }
}
