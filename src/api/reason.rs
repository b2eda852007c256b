//! The closed set of reasons a condition may carry, and the row of the table of conditions each belongs to.
//! Pure data: it must not know how a reason comes about, only what it says to people and tools.

/// The class of a [`Reason`] belongs to. The class alone decides the four conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasonClass {
    /// Blocked; resumes without a new spec generation. Delivered False, Ready False, Reconciling True.
    Blocked,
    /// Blocked until a new spec generation. Delivered False, Ready False, Stalled True.
    Stalled,
    /// Claimed, the call is in flight. Delivered Unknown, Ready Unknown, Reconciling True.
    InFlight,
    /// The cloud accepted. Delivered True, Ready True.
    Delivered,
    /// The cloud refused, or nothing was sent and nothing will be. Delivered False, Ready False, Stalled True.
    Refused,
    /// The cloud may have accepted. Delivered Unknown, Ready False, Stalled True.
    Unknown,
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident => $row:ident,)+) => {
        /// Why an object is in the state it is in; the `reason` of its conditions. A closed set, fit for metric labels.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $($(#[doc = $doc])+ $name,)+ }

        impl Reason {
            /// Every reason, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The word as it stands in `conditions[].reason`.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$name => stringify!($name),)+ } }

            /// The row of the table of conditions.
            pub const fn class(self) -> ReasonClass { match self { $(Self::$name => ReasonClass::$row,)+ } }
        }
    };
}

reasons! {
    /// `suspend: "true"` is set.
    Suspended => Blocked,
    /// The chosen Secret does not exist.
    CredentialsNotFound => Blocked,
    /// The chosen Secret lacks a key or holds a value that cannot be read.
    CredentialsInvalid => Blocked,
    /// The controller may not read the chosen Secret.
    CredentialsForbidden => Blocked,
    /// The chosen Secret's temporary key ends too soon.
    CredentialsExpired => Blocked,
    /// The gateway refused this key before; it is not used again until the Secret changes.
    CredentialsRejected => Blocked,
    /// The last attempt could not reach the endpoint; nothing was sent.
    EndpointUnreachable => Blocked,
    /// The API server confirmed the last claim too late to still act on it; nothing was sent.
    ClaimTooSlow => Blocked,
    /// Another call for the same DWS cluster is in flight.
    AnotherCallInFlight => Blocked,
    /// The cloud or the pace asks this key to wait.
    Throttled => Blocked,
    /// `--check-cluster=require`: the cluster does not wait for a redistribution, or it is not known whether it does.
    ClusterNotWaiting => Blocked,
    /// An annotation under our prefix is unknown or unreadable.
    InvalidAnnotation => Blocked,
    /// `--require-not-after` is set and the object has no `not-after`.
    NotAfterMissing => Blocked,
    /// The instant of `not-after` has passed.
    Expired => Blocked,
    /// The administrator does not allow this region, or none is named.
    RegionNotAllowed => Blocked,
    /// The installed CRD is older than the controller and prunes the journal.
    CRDOutdated => Blocked,
    /// `--hold-reverts` is set and this object asked for this spec before.
    AskedBefore => Stalled,
    /// The journal in status contradicts the object: whether this generation was sent is not known.
    JournalInvalid => Unknown,
    /// The object does not fit the schema this controller knows.
    ObjectInvalid => Stalled,
    /// The claim is written; the call is in flight.
    RequestInFlight => InFlight,
    /// The cloud accepted the redistribution.
    Delivered => Delivered,
    /// No answer said so, but a redistribution began that was not there before the claim.
    ConfirmedByObservation => Delivered,
    /// 400.
    BadRequest => Refused,
    /// 401 of the gateway or of DWS.
    AuthenticationFailed => Refused,
    /// 403.
    PermissionDenied => Refused,
    /// 404 that does not speak of the cluster.
    NotFound => Refused,
    /// 429.
    TooManyRequests => Refused,
    /// The cloud does not know the cluster (by error code, whatever the status).
    ClusterNotFound => Refused,
    /// The cluster is not in a state that allows a redistribution (by error code).
    ClusterNotReady => Refused,
    /// The gateway refused the signature's date.
    ClockSkew => Refused,
    /// Any other refusal.
    Rejected => Refused,
    /// It is proven that nothing was sent, and it will not be tried again in this generation.
    NotSent => Refused,
    /// 5xx: the cloud may have accepted.
    ServerError => Unknown,
    /// No answer that proves anything: the cloud may have accepted.
    OutcomeUnknown => Unknown,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}
