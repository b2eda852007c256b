//! The closed set of reasons that a condition may carry, and the class of each, which decides the four conditions.
//! Pure data: it does not know how a reason comes about, only what it means to people and tools.

/// The class of a [`Reason`]. The class alone decides the four conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasonClass {
    /// Blocked; resumes without a new spec generation. Delivered False, Ready False, Reconciling True.
    Blocked,
    /// Blocked until a new spec generation. Delivered False, Ready False, Stalled True.
    Stalled,
    /// Claimed; the call is in flight. Delivered Unknown, Ready Unknown, Reconciling True.
    InFlight,
    /// The cloud accepted the request. Delivered True, Ready True.
    Delivered,
    /// The cloud refused the request, or nothing was sent and nothing will be. Delivered False, Ready False, Stalled True.
    Refused,
    /// The cloud may have accepted the request. Delivered Unknown, Ready False, Stalled True.
    Unknown,
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident => $class:ident,)+) => {
        /// Why an object is in the state it is in; the `reason` of its conditions. A closed set, fit for metric labels.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $($(#[doc = $doc])+ $name,)+ }

        impl Reason {
            /// Every reason, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The value of `conditions[].reason`.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$name => stringify!($name),)+ } }

            /// The class, which decides the four conditions.
            pub const fn class(self) -> ReasonClass { match self { $(Self::$name => ReasonClass::$class,)+ } }
        }
    };
}

reasons! {
    /// `suspend: "true"` is set.
    Suspended => Blocked,
    /// The chosen Secret does not exist.
    CredentialsNotFound => Blocked,
    /// The chosen Secret lacks a key or contains a value that cannot be read.
    CredentialsInvalid => Blocked,
    /// The controller may not read the chosen Secret.
    CredentialsForbidden => Blocked,
    /// The temporary key of the chosen Secret expires too soon.
    CredentialsExpired => Blocked,
    /// The gateway refused this key before, or IAM this user. It is not used again until its values change, or for 5 minutes
    /// if it had worked.
    CredentialsRejected => Blocked,
    /// The last attempt could not reach the endpoint; nothing was sent.
    EndpointUnreachable => Blocked,
    /// The API server confirmed the last claim too late to act on it; nothing was sent.
    ClaimTooSlow => Blocked,
    /// Another object comes first for the same DWS cluster: one of the namespace, or one with the same credentials.
    AnotherCallInFlight => Blocked,
    /// The call waits: for the time that a 429 asks for, a slot of the rate limit, a place, or the answers that prepare it.
    Throttled => Blocked,
    /// `--check-cluster=require`: the cluster does not wait for a redistribution, or its state is not known.
    ClusterNotWaiting => Blocked,
    /// An annotation under this product's prefix is unknown, or its value is invalid.
    InvalidAnnotation => Blocked,
    /// `--require-not-after` is set and the object has no `not-after`.
    NotAfterMissing => Blocked,
    /// The instant of `not-after` has passed.
    Expired => Blocked,
    /// The administrator does not allow this region, or no region is set.
    RegionNotAllowed => Blocked,
    /// The installed CRD is older than the controller and prunes the journal.
    CRDOutdated => Blocked,
    /// `--hold-reverts` is set and this object requested this spec before.
    AskedBefore => Stalled,
    /// The journal in status contradicts the object: it is not known whether this generation was sent.
    JournalInvalid => Unknown,
    /// The object does not fit the schema this controller knows.
    ObjectInvalid => Stalled,
    /// The claim is written; the call is in flight.
    RequestInFlight => InFlight,
    /// The cloud accepted the redistribution.
    Delivered => Delivered,
    /// No answer confirmed the request, but a redistribution began that was not there before the claim.
    ConfirmedByObservation => Delivered,
    /// 400.
    BadRequest => Refused,
    /// 401 from the gateway or from DWS.
    AuthenticationFailed => Refused,
    /// 403.
    PermissionDenied => Refused,
    /// 404 that does not refer to the cluster.
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
    /// It is proven that nothing was sent, and this generation is not tried again.
    NotSent => Refused,
    /// 5xx: the cloud may have accepted the request.
    ServerError => Unknown,
    /// No answer that proves anything: the cloud may have accepted the request.
    OutcomeUnknown => Unknown,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}
