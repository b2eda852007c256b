//! Whether a request may be sent now, by tokio's fair mutexes and semaphores: each wait is over in the order of arrival, and
//! dropping a wait, or what it returned, frees everything. The guarantee does not depend on any of this.
//!
//! 1. [`Admission::cluster`] waits for the other requests of the namespace to the same cluster.
//! 2. [`ClusterTurn::place`] waits for one of the places for requests in flight.
//! 3. [`Place::with`] waits for the other requests to the cluster with the same credential.
//! 4. [`Admitted::slot`] waits for a slot of the rate limit, before each request.
//!
//! What the first three return is kept until the outcome is known.

mod keys;
mod places;
mod restored;
mod slots;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::jiff::Timestamp;
use parking_lot::Mutex;

pub use self::slots::Slot;
use self::{
    places::{Held, Places},
    restored::RestoredHolds,
    slots::Slots,
};
use crate::{
    api::ClusterRedistribution,
    cloud::{auth::Key, identity::KeyIdentity},
    credentials::{Credential, CredentialId},
    protocol::{decide::Plan, hold::Hold},
    runtime::locks::{Lock, Locks},
};

/// Requests keep this much more distance than the rate limit asks for, in thousandths of the interval: a request that is
/// sent on its slot arrives a little earlier or later, and must not exceed the rate where it arrives.
const SLACK: u32 = 15;
/// So much later than its slot a request may be, and the next one still keeps its own: the slack of one second.
const MAX_LATE: Duration = Duration::from_millis(SLACK as u64);

/// A cluster of the cloud, as far as requests to it must not overlap.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cluster {
    /// Host of the endpoint.
    pub endpoint: String,
    /// Project, as spec has it.
    pub project: String,
    /// Cluster, in lower case.
    pub cluster: String,
}

impl From<&Plan> for Cluster {
    fn from(plan: &Plan) -> Self {
        Self {
            endpoint: plan.endpoint.host.clone(),
            project: plan.spec.project_id.clone(),
            cluster: plan.spec.cluster_id.to_ascii_lowercase(),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Admission {
    places: Places,
    slots: Arc<Slots>,
    of_namespace: Locks<(String, Cluster)>,
    of_credential: Locks<(KeyIdentity, Cluster)>,
    restored: Mutex<RestoredHolds>,
}

/// The turn of one namespace with one cluster.
#[derive(Debug)]
pub struct ClusterTurn {
    admission: Arc<Admission>,
    lock: Lock<(String, Cluster)>,
}

/// A place among the requests in flight.
#[derive(Debug)]
pub struct Place {
    // In this order: what is shared with the fewest is freed last.
    place: Held,
    turn: ClusterTurn,
}

/// Everything that a request waits for, but its slot.
#[derive(Debug)]
pub struct Admitted {
    // In this order: what is shared with the fewest is freed last.
    _credential: Lock<(KeyIdentity, Cluster)>,
    _place: Held,
    turn: ClusterTurn,
    id: CredentialId,
}

impl Admission {
    /// `concurrency`: how many requests may be in flight at once. `rate`: requests a second and key; 0 for no limit.
    pub fn new(concurrency: usize, rate: f64) -> Arc<Self> {
        let seconds = (1.0 + f64::from(SLACK) / 1000.0) / rate;
        let interval = if rate > 0.0 { Duration::try_from_secs_f64(seconds).ok() } else { None };
        Arc::new(Self {
            places: Places::new(concurrency),
            slots: Slots::new(interval.unwrap_or_default()),
            of_namespace: Locks::default(),
            of_credential: Locks::default(),
            restored: Mutex::default(),
        })
    }

    /// Waits for the other requests of this namespace to this cluster.
    pub async fn cluster(self: &Arc<Self>, namespace: &str, cluster: Cluster) -> ClusterTurn {
        let lock = self.of_namespace.lock((namespace.to_owned(), cluster)).await;
        ClusterTurn { admission: Arc::clone(self), lock }
    }

    /// Waits for a slot for a read that takes no place: all such reads are one namespace more.
    pub async fn read(&self, id: &CredentialId) -> Result<Slot, Hold> {
        self.slots.slot(id, None).await
    }

    /// Why no request may be made with this credential now, by what answers have said; what other processes met is restored
    /// first, as far as the status of objects records it for the credential's source.
    pub fn restore_and_check(&self, credential: &Credential, endpoint: &str) -> Result<(), Hold> {
        let digests = credential.id.digests;
        let now = Instant::now();
        let restored = self.restored.lock();
        let is_access_key = matches!(credential.key, Key::AccessKey(_));
        restored.apply(&credential.id.source, endpoint, (digests.key, is_access_key), &mut self.slots.keys.lock(), now);
        drop(restored);
        self.slots.check(&credential.id)
    }

    /// This process makes the attempt, and so receives its answer itself.
    pub fn mark_own_attempt(&self, attempt_id: &str) {
        self.restored.lock().note_own(attempt_id, Instant::now());
    }

    /// Restores what an object's attempt in status records about its credential source.
    pub fn restore_from_status(&self, object: &ClusterRedistribution) {
        let mut restored = self.restored.lock();
        restored.add(object, Instant::now(), Timestamp::now());
    }
}

impl ClusterTurn {
    /// Waits for a place.
    pub async fn place(self) -> Place {
        let place = self.admission.places.enter(&self.lock.name().0).await;
        Place { place, turn: self }
    }
}

impl Place {
    /// Waits for the other requests to this cluster that use the same values.
    pub async fn with(self, id: CredentialId) -> Admitted {
        let Self { place, turn } = self;
        let lock = turn.admission.of_credential.lock((id.digests.values, turn.lock.name().1.clone())).await;
        Admitted { _credential: lock, _place: place, turn, id }
    }
}

impl Admitted {
    /// Waits for a slot, the last wait before a request. What is known against the key ends it.
    pub async fn slot(&self) -> Result<Slot, Hold> {
        let namespace = self.turn.lock.name().0.clone();
        self.turn.admission.slots.slot(&self.id, Some(namespace)).await
    }

    /// Why the request may not be made now, if something is known against the key.
    pub fn check(&self) -> Result<(), Hold> {
        self.turn.admission.slots.check(&self.id)
    }

    /// The cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.turn.lock.name().1
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::task::unconstrained;

    use super::*;
    use crate::{cloud::identity::KeyDigests, credentials::CredentialSource};

    fn id(key: u8, values: u8) -> CredentialId {
        let digests = KeyDigests { key: KeyIdentity::from([key; 32]), values: KeyIdentity::from([values; 32]) };
        CredentialId { digests, source: CredentialSource::Controller }
    }

    fn cluster(name: &str) -> Cluster {
        Cluster { endpoint: "dws.example.com".to_owned(), project: "project".to_owned(), cluster: name.to_owned() }
    }

    async fn enter(admission: &Arc<Admission>, namespace: &str, of: &str, id: CredentialId) -> Admitted {
        admission.cluster(namespace, cluster(of)).await.place().await.with(id).await
    }

    fn admitted(admission: &Arc<Admission>, namespace: &str, of: &str, id: CredentialId) -> Option<Admitted> {
        unconstrained(enter(admission, namespace, of, id)).now_or_never()
    }

    #[test]
    fn requests_to_one_cluster_wait_for_their_namespace_and_credential() {
        let admission = Admission::new(64, 0.0);
        let held = admitted(&admission, "a", "one", id(1, 1));
        assert!(held.is_some());
        assert!(admitted(&admission, "a", "one", id(2, 2)).is_none(), "the same namespace");
        assert!(admitted(&admission, "b", "one", id(1, 1)).is_none(), "the same credential");
        assert!(admitted(&admission, "b", "one", id(2, 2)).is_some(), "another namespace with another credential");
        assert!(admitted(&admission, "a", "two", id(1, 1)).is_some(), "another cluster");
        drop(held);
        assert!(admitted(&admission, "a", "one", id(2, 2)).is_some());
        assert!(admission.of_namespace.is_empty() && admission.of_credential.is_empty());
    }

    #[test]
    fn a_namespace_that_waits_for_a_credential_keeps_no_place_from_others() {
        let admission = Admission::new(8, 0.0);
        let _held = admitted(&admission, "a", "one", id(1, 1));
        let mut waiting: Vec<_> = (0..100).map(|_| Box::pin(enter(&admission, "b", "one", id(1, 1)))).collect();
        assert!(waiting.iter_mut().all(|wait| unconstrained(wait).now_or_never().is_none()));
        assert!(admitted(&admission, "c", "two", id(3, 3)).is_some());
    }
}
