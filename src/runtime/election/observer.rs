//! PURE: what a candidate may do with a lease that it reads. Takes the clock as an argument, and never compares it with
//! the times in the lease, which come from other hosts' clocks.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;

/// What a candidate may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Another process holds the lease and may still be alive.
    Wait,
    /// Nobody holds the lease, or its holder has not renewed it for the duration that the lease states.
    Take,
    /// This process holds the lease.
    Renew,
}

/// For how long this process has seen a lease unchanged.
#[derive(Debug)]
pub struct Observer {
    identity: String,
    duration: Duration,
    seen: Option<(Option<String>, Instant)>,
}

impl Observer {
    /// `duration` applies to a lease that does not state its own.
    pub fn new(identity: &str, duration: Duration) -> Self {
        Self { identity: identity.to_owned(), duration, seen: None }
    }

    /// What may be done with the lease as it was read at `now`.
    pub fn step(&mut self, lease: &Lease, now: Instant) -> Step {
        let spec = lease.spec.as_ref();
        let holder = spec.and_then(|spec| spec.holder_identity.as_deref()).filter(|holder| !holder.is_empty());
        let version = &lease.metadata.resource_version;
        let since = match &self.seen {
            Some((seen_version, since)) if seen_version == version => *since,
            _ => {
                self.seen = Some((version.clone(), now));
                now
            }
        };
        match holder {
            None => Step::Take,
            Some(holder) if holder == self.identity => Step::Renew,
            Some(_) => {
                let stated = spec.and_then(|spec| spec.lease_duration_seconds).and_then(|s| u64::try_from(s).ok());
                let held = stated.map_or(self.duration, Duration::from_secs);
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
                // From a clock that is years behind.
                renew_time: Some(MicroTime(Timestamp::UNIX_EPOCH)),
                ..LeaseSpec::default()
            }),
        }
    }

    #[test]
    fn a_lease_without_a_holder_is_taken_at_once() {
        let (mut observer, now) = (Observer::new("me", 15 * SECOND), Instant::now());
        for holder in [None, Some("")] {
            assert_eq!(observer.step(&lease("1", holder), now), Step::Take);
        }
        assert_eq!(observer.step(&Lease::default(), now), Step::Take);
    }

    #[test]
    fn another_holders_lease_is_taken_once_unchanged_for_its_duration() {
        let (mut observer, start) = (Observer::new("me", SECOND), Instant::now());
        assert_eq!(observer.step(&lease("1", Some("other")), start), Step::Wait);
        assert_eq!(observer.step(&lease("1", Some("other")), start + 14 * SECOND), Step::Wait);
        assert_eq!(observer.step(&lease("2", Some("other")), start + 15 * SECOND), Step::Wait, "it was renewed");
        assert_eq!(observer.step(&lease("2", Some("other")), start + 29 * SECOND), Step::Wait);
        assert_eq!(observer.step(&lease("2", Some("other")), start + 30 * SECOND), Step::Take);
    }

    #[test]
    fn an_own_lease_is_renewed_however_old_it_is() {
        let (mut observer, start) = (Observer::new("me", SECOND), Instant::now());
        assert_eq!(observer.step(&lease("1", Some("me")), start), Step::Renew);
        assert_eq!(observer.step(&lease("1", Some("me")), start + 100 * SECOND), Step::Renew);
    }
}
