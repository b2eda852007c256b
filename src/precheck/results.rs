//! The last prechecks of each object, in memory, so that a reconciliation before the next precheck is due costs the cloud
//! no read. No clock of its own, no I/O.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::{
    api::{Baseline, Reason},
    cloud::identity::KeyIdentity,
};

/// How long a passed precheck is valid for a claim that could not be made at once.
pub const VALID_FOR: Duration = Duration::from_secs(60);

/// A precheck after which no call may be made.
#[derive(Clone, Debug)]
pub struct FailedPrecheck {
    /// Generation of the object.
    pub generation: i64,
    /// The credentials of the read, as status shows them.
    pub credentials: String,
    /// When the next precheck for this generation with these credentials is due.
    pub next: Instant,
    /// Reason of the hold.
    pub reason: Reason,
    /// Message of the hold.
    pub message: String,
}

/// A precheck after which a call may be made.
#[derive(Clone, Debug)]
pub struct PassedPrecheck {
    /// Generation of the object.
    pub generation: i64,
    /// Id of the DWS cluster, in lower case.
    pub cluster: String,
    /// The key of the read.
    pub key: KeyIdentity,
    /// When the read ended.
    pub at: Instant,
    /// A finding that does not prevent the call.
    pub note: Option<String>,
    /// The state of the cluster before the call.
    pub baseline: Option<Baseline>,
}

/// The last prechecks, by object uid.
#[derive(Debug, Default)]
pub struct Prechecks {
    failed: HashMap<String, FailedPrecheck>,
    passed: HashMap<String, PassedPrecheck>,
}

impl Prechecks {
    /// Records a precheck that failed.
    pub fn failed(&mut self, uid: &str, precheck: FailedPrecheck) {
        self.passed.remove(uid);
        self.failed.insert(uid.to_owned(), precheck);
    }

    /// Records a precheck that passed, which replaces an earlier failure. If the claim is not made, since another client
    /// writes the object or the API server refuses, it is retried without another read each time.
    pub fn passed(&mut self, uid: &str, precheck: PassedPrecheck) {
        self.failed.remove(uid);
        self.passed.insert(uid.to_owned(), precheck);
    }

    /// The last precheck of this generation, if it failed.
    pub fn last_failed(&self, uid: &str, generation: i64) -> Option<&FailedPrecheck> {
        self.failed.get(uid).filter(|precheck| precheck.generation == generation)
    }

    /// The last precheck of this generation with this key, if it passed and is still valid.
    pub fn last_passed(&self, uid: &str, generation: i64, key: KeyIdentity, now: Instant) -> Option<&PassedPrecheck> {
        let is_valid = |precheck: &&PassedPrecheck| {
            precheck.generation == generation
                && precheck.key == key
                && now.saturating_duration_since(precheck.at) < VALID_FOR
        };
        self.passed.get(uid).filter(is_valid)
    }

    /// Drops the passed prechecks of a cluster: a call for it makes them obsolete.
    pub fn invalidate(&mut self, cluster: &str) {
        self.passed.retain(|_, precheck| precheck.cluster != cluster);
    }

    /// Drops the prechecks of all other objects.
    pub fn keep_only(&mut self, keeps: impl Fn(&String) -> bool) {
        self.failed.retain(|uid, _| keeps(uid));
        self.passed.retain(|uid, _| keeps(uid));
    }

    /// Drops the prechecks of an object that was claimed, is finished or was deleted.
    pub fn forget(&mut self, uid: &str) {
        self.failed.remove(uid);
        self.passed.remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passed_precheck_is_valid_for_a_minute_until_a_call_for_the_cluster() {
        let (mut prechecks, now) = (Prechecks::default(), Instant::now());
        let (key, other) = (KeyIdentity::from([1; 32]), KeyIdentity::from([2; 32]));
        let cluster = "cluster".to_owned();
        let passed = PassedPrecheck { generation: 1, cluster, key, at: now, note: None, baseline: None };
        prechecks.passed("uid", passed.clone());
        let is_valid = |prechecks: &Prechecks, generation, key, seconds| {
            prechecks.last_passed("uid", generation, key, now + Duration::from_secs(seconds)).is_some()
        };
        assert!(is_valid(&prechecks, 1, key, 59));
        assert!(
            !is_valid(&prechecks, 1, key, 60) && !is_valid(&prechecks, 2, key, 0) && !is_valid(&prechecks, 1, other, 0)
        );
        prechecks.invalidate("another");
        assert!(is_valid(&prechecks, 1, key, 0));
        prechecks.invalidate("cluster");
        assert!(!is_valid(&prechecks, 1, key, 0), "it is obsolete");
        prechecks.passed("uid", passed);
        let (reason, message, credentials) = (Reason::ClusterNotWaiting, String::new(), "key".to_owned());
        prechecks.failed("uid", FailedPrecheck { generation: 1, credentials, next: now, reason, message });
        assert!(!is_valid(&prechecks, 1, key, 0) && prechecks.last_failed("uid", 1).is_some());
        assert!(prechecks.last_failed("uid", 2).is_none());
        prechecks.forget("uid");
        assert!(prechecks.last_failed("uid", 1).is_none());
    }
}
