//! What this process remembers of looks before a call: what the last one found, so that whatever wakes an object before the
//! next is due costs the cloud nothing. No clock of its own, no I/O.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::{
    api::{Baseline, Reason},
    cloud::identity::KeyIdentity,
};

/// How long what a look found is good for a claim that could not be made at once.
pub const VALID_FOR: Duration = Duration::from_secs(60);

/// A cluster was looked at for this generation with these credentials, and is not again before that.
#[derive(Clone, Debug)]
pub struct FailedPrecheck {
    /// Of the object.
    pub generation: i64,
    /// As status shows them.
    pub credentials: String,
    /// Not before.
    pub next: Instant,
    /// What it found.
    pub reason: Reason,
    /// The same in words.
    pub message: String,
}

/// A look after which a call may be made.
#[derive(Clone, Debug)]
pub struct PassedPrecheck {
    /// Of the object.
    pub generation: i64,
    /// DWS cluster, in lower case.
    pub cluster: String,
    /// What it was made with.
    pub key: KeyIdentity,
    /// When.
    pub at: Instant,
    /// What it found that does not keep the cluster from being called.
    pub note: Option<String>,
    /// What the cluster showed.
    pub baseline: Option<Baseline>,
}

/// Both, by object uid.
#[derive(Debug, Default)]
pub struct Prechecks {
    held: HashMap<String, FailedPrecheck>,
    good: HashMap<String, PassedPrecheck>,
}

impl Prechecks {
    /// Nothing is called because of it.
    pub fn held(&mut self, uid: &str, look: FailedPrecheck) {
        self.good.remove(uid);
        self.held.insert(uid.to_owned(), look);
    }

    /// It lets the object be called: what an earlier look found is over. A claim that is not made, since somebody else
    /// writes the object or the API server refuses, is tried again without reading anew each time.
    pub fn good(&mut self, uid: &str, look: PassedPrecheck) {
        self.held.remove(uid);
        self.good.insert(uid.to_owned(), look);
    }

    /// The last look for this generation that ended in a hold.
    pub fn last_held(&self, uid: &str, generation: i64) -> Option<&FailedPrecheck> {
        self.held.get(uid).filter(|look| look.generation == generation)
    }

    /// A look that is still good.
    pub fn last_good(&self, uid: &str, generation: i64, key: KeyIdentity, now: Instant) -> Option<&PassedPrecheck> {
        let is_good = |look: &&PassedPrecheck| {
            look.generation == generation && look.key == key && now.saturating_duration_since(look.at) < VALID_FOR
        };
        self.good.get(uid).filter(is_good)
    }

    /// Somebody calls for that cluster: whatever was seen of it is over.
    pub fn called(&mut self, cluster: &str) {
        self.good.retain(|_, look| look.cluster != cluster);
    }

    /// Those of other objects are dropped.
    pub fn keep_only(&mut self, keeps: impl Fn(&String) -> bool) {
        self.held.retain(|uid, _| keeps(uid));
        self.good.retain(|uid, _| keeps(uid));
    }

    /// The object was claimed, or is finished, or gone.
    pub fn forget(&mut self, uid: &str) {
        self.held.remove(uid);
        self.good.remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_look_is_good_for_the_same_wish_and_key_for_a_minute_and_until_somebody_calls() {
        let (mut looks, now) = (Prechecks::default(), Instant::now());
        let (key, other) = (KeyIdentity::from([1; 32]), KeyIdentity::from([2; 32]));
        let cluster = "cluster".to_owned();
        let look = PassedPrecheck { generation: 1, cluster, key, at: now, note: None, baseline: None };
        looks.good("uid", look.clone());
        let is_good = |looks: &Prechecks, generation, key, seconds| {
            looks.last_good("uid", generation, key, now + Duration::from_secs(seconds)).is_some()
        };
        assert!(is_good(&looks, 1, key, 59));
        assert!(!is_good(&looks, 1, key, 60) && !is_good(&looks, 2, key, 0) && !is_good(&looks, 1, other, 0));
        looks.called("another");
        assert!(is_good(&looks, 1, key, 0));
        looks.called("cluster");
        assert!(!is_good(&looks, 1, key, 0), "what was seen is over");
        looks.good("uid", look);
        let (reason, message, credentials) = (Reason::ClusterNotWaiting, String::new(), "key".to_owned());
        looks.held("uid", FailedPrecheck { generation: 1, credentials, next: now, reason, message });
        assert!(!is_good(&looks, 1, key, 0) && looks.last_held("uid", 1).is_some());
        assert!(looks.last_held("uid", 2).is_none());
        looks.forget("uid");
        assert!(looks.last_held("uid", 1).is_none());
    }
}
