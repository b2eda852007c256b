//! PURE: what a candidate may do with a lease as it sees it. The clock is an argument, and the times in the lease, which
//! are those of other hosts' clocks, are never compared with it.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;

/// What may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is held by somebody who may still be there.
    Wait,
    /// Nobody holds it, or its holder has not been heard of for as long as it asked for.
    Take,
    /// It is held by this process.
    Renew,
}

/// How long a lease has been seen unchanged.
#[derive(Debug)]
pub struct Observer {
    identity: String,
    duration: Duration,
    seen: Option<(Option<String>, Instant)>,
}

impl Observer {
    /// `duration` is what a lease is given that does not say how long it is held.
    pub fn new(identity: &str, duration: Duration) -> Self {
        Self { identity: identity.to_owned(), duration, seen: None }
    }

    /// Reads.
    pub fn look(&mut self, lease: &Lease, now: Instant) -> Step {
        let spec = lease.spec.as_ref();
        let holder = spec.and_then(|spec| spec.holder_identity.as_deref()).filter(|holder| !holder.is_empty());
        let version = &lease.metadata.resource_version;
        let since = match &self.seen {
            Some((seen, since)) if seen == version => *since,
            _ => {
                self.seen = Some((version.clone(), now));
                now
            }
        };
        match holder {
            None => Step::Take,
            Some(holder) if holder == self.identity => Step::Renew,
            Some(_) => {
                let asked = spec.and_then(|spec| spec.lease_duration_seconds).and_then(|s| u64::try_from(s).ok());
                let held = asked.map_or(self.duration, Duration::from_secs);
                if now.saturating_duration_since(since) >= held { Step::Take } else { Step::Wait }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{
        api::coordination::v1::LeaseSpec, apimachinery::pkg::apis::meta::v1::MicroTime, jiff::Timestamp,
    };
    use kube::api::ObjectMeta;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn lease(version: &str, holder: Option<&str>) -> Lease {
        Lease {
            metadata: ObjectMeta { resource_version: Some(version.to_owned()), ..ObjectMeta::default() },
            spec: Some(LeaseSpec {
                holder_identity: holder.map(str::to_owned),
                lease_duration_seconds: Some(15),
                // Of a clock that is years behind.
                renew_time: Some(MicroTime(Timestamp::UNIX_EPOCH)),
                ..LeaseSpec::default()
            }),
        }
    }

    #[test]
    fn a_lease_of_nobody_is_taken_at_once() {
        let (mut observer, now) = (Observer::new("me", 15 * SECOND), Instant::now());
        for holder in [None, Some("")] {
            assert_eq!(observer.look(&lease("1", holder), now), Step::Take);
        }
        assert_eq!(observer.look(&Lease::default(), now), Step::Take);
    }

    #[test]
    fn the_lease_of_another_is_taken_only_when_it_was_seen_unchanged_for_as_long_as_it_asks() {
        let (mut observer, start) = (Observer::new("me", SECOND), Instant::now());
        assert_eq!(observer.look(&lease("1", Some("other")), start), Step::Wait);
        assert_eq!(observer.look(&lease("1", Some("other")), start + 14 * SECOND), Step::Wait);
        assert_eq!(observer.look(&lease("2", Some("other")), start + 15 * SECOND), Step::Wait, "it was renewed");
        assert_eq!(observer.look(&lease("2", Some("other")), start + 29 * SECOND), Step::Wait);
        assert_eq!(observer.look(&lease("2", Some("other")), start + 30 * SECOND), Step::Take);
    }

    #[test]
    fn ones_own_lease_is_renewed_however_old_it_is() {
        let (mut observer, start) = (Observer::new("me", SECOND), Instant::now());
        assert_eq!(observer.look(&lease("1", Some("me")), start), Step::Renew);
        assert_eq!(observer.look(&lease("1", Some("me")), start + 100 * SECOND), Step::Renew);
    }
}
