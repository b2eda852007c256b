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
mod restored;
mod slots;

use std::{
    future::pending,
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use self::slots::{CloudRead, Slot, is_about_key};
use self::{restored::RestoredHolds, slots::Slots};
use crate::{
    api::ClusterRedistribution,
    cloud::auth::{Key, KeyIdentity},
    credentials::{Credential, CredentialId},
    protocol::{decide::Plan, hold::Hold},
    runtime::locks::{Entries, Entry, Lock, Locks},
};

/// Thousandths of the interval that requests keep in addition: one that is sent on its slot arrives a little earlier or
/// later, and must not exceed the rate there.
const SLACK: u32 = 15;
/// After a request that is late by less than this, the next one keeps its slot: the slack of one second.
const MAX_LATE: Duration = Duration::from_millis(SLACK as u64);

/// A cluster of the cloud, as far as requests to it must not overlap.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cluster {
    pub endpoint: String,
    pub project: String,
    /// In lower case.
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

#[derive(Debug)]
pub struct Admission {
    places: Places,
    slots: Arc<Slots>,
    of_namespace: Locks<(String, Cluster)>,
    of_credential: Locks<(KeyIdentity, Cluster)>,
    restored: Mutex<RestoredHolds>,
}

#[derive(Debug)]
pub struct ClusterTurn {
    admission: Arc<Admission>,
    lock: Lock<(String, Cluster)>,
}

#[derive(Debug)]
pub struct Place {
    // In this order: what is shared with the fewest is freed last.
    place: HeldPlace,
    turn: ClusterTurn,
}

/// All that a request waits for, but its slot.
#[derive(Debug)]
pub struct Admitted {
    // In this order: what is shared with the fewest is freed last.
    _credential: Lock<(KeyIdentity, Cluster)>,
    _place: HeldPlace,
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

    pub async fn cluster(self: &Arc<Self>, namespace: &str, cluster: Cluster) -> ClusterTurn {
        let lock = self.of_namespace.lock((namespace.to_owned(), cluster)).await;
        ClusterTurn { admission: Arc::clone(self), lock }
    }

    /// Waits for a slot for a read that takes no place: all such reads are one namespace more.
    pub async fn read(&self, id: &CredentialId) -> Result<Slot, Hold> {
        self.slots.slot(id, None).await
    }

    /// Why no request may be made with this credential now. What other processes met is restored first, as far as the
    /// status of objects records it for the source.
    pub fn restore_and_check(&self, credential: &Credential, endpoint: &str) -> Result<(), Hold> {
        let digests = credential.id.digests;
        let now = Instant::now();
        let restored = self.restored.lock();
        let is_access_key = matches!(credential.key, Key::AccessKey(_));
        restored.apply(&credential.id.source, endpoint, (digests.key, is_access_key), &mut self.slots.keys.lock(), now);
        drop(restored);
        self.slots.check(&credential.id)
    }

    /// This process receives the answer itself.
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
    pub async fn place(self) -> Place {
        let place = self.admission.places.enter(&self.lock.name().0).await;
        Place { place, turn: self }
    }
}

impl Place {
    pub async fn with(self, id: CredentialId) -> Admitted {
        let Self { place, turn } = self;
        let lock = turn.admission.of_credential.lock((id.digests.values, turn.lock.name().1.clone())).await;
        Admitted { _credential: lock, _place: place, turn, id }
    }
}

impl Admitted {
    /// The last wait before a request. What is known against the key ends it.
    pub async fn slot(&self) -> Result<Slot, Hold> {
        let namespace = self.turn.lock.name().0.clone();
        self.turn.admission.slots.slot(&self.id, Some(namespace)).await
    }

    pub fn check(&self) -> Result<(), Hold> {
        self.turn.admission.slots.check(&self.id)
    }

    pub fn cluster(&self) -> &Cluster {
        &self.turn.lock.name().1
    }
}

/// Half of all places are reserved: a namespace holds at most one of them. The others are shared: a namespace holds at
/// most a quarter of all. So a namespace without a place finds one while fewer than half as many other namespaces as
/// there are places hold one, whatever these do.
#[derive(Debug)]
struct Places {
    reserved: Arc<Semaphore>,
    shared: Arc<Semaphore>,
    share: usize,
    namespaces: Entries<String, Namespace>,
}

#[derive(Debug)]
struct Namespace {
    /// One permit, for a reserved place.
    lane: Arc<Semaphore>,
    /// For shared places.
    share: Arc<Semaphore>,
}

#[derive(Debug)]
struct HeldPlace {
    // In this order: the entry of the namespace goes last.
    _of_all: OwnedSemaphorePermit,
    _of_namespace: OwnedSemaphorePermit,
    _namespace: Entry<String, Namespace>,
}

impl Places {
    /// `concurrency`: at least 1.
    fn new(concurrency: usize) -> Self {
        let all = concurrency.max(1);
        let reserved = all.div_ceil(2);
        Self {
            reserved: Arc::new(Semaphore::new(reserved)),
            shared: Arc::new(Semaphore::new(all - reserved)),
            share: (all / 4).max(1),
            namespaces: Entries::default(),
        }
    }

    /// Waits for a reserved place and for a shared one, whichever comes first.
    async fn enter(&self, namespace: &str) -> HeldPlace {
        let new = || Namespace { lane: Arc::new(Semaphore::new(1)), share: Arc::new(Semaphore::new(self.share)) };
        let entry = self.namespaces.entry(namespace.to_owned(), new);
        let (of_namespace, of_all) = tokio::select! {
            // The reserved one first, so that shared ones stay free for those that hold a reserved one.
            biased;
            permits = both(&entry.value().lane, &self.reserved) => permits,
            permits = both(&entry.value().share, &self.shared) => permits,
        };
        HeldPlace { _of_all: of_all, _of_namespace: of_namespace, _namespace: entry }
    }
}

async fn both(first: &Arc<Semaphore>, second: &Arc<Semaphore>) -> (OwnedSemaphorePermit, OwnedSemaphorePermit) {
    (acquire(first).await, acquire(second).await)
}

async fn acquire(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    match Arc::clone(semaphore).acquire_owned().await {
        Ok(permit) => permit,
        // Nobody closes these semaphores.
        Err(_) => pending().await,
    }
}

#[cfg(test)]
mod tests;
