//! Whether a request may leave now, by tokio's fair mutexes and semaphores: whoever waits is handed its turn in the order
//! of arrival, and dropping a wait or what it gave frees everything.
//!
//! 1. [`Admission::enter`] waits for the other requests of the namespace to the same cluster, then for a place.
//! 2. [`Place::with`] waits for the other requests to the cluster with the same credential.
//! 3. [`Permit::slot`] waits for a slot of the rate limit, before each request.
//!
//! All of them are kept until the outcome is known.

pub mod keys;
pub mod locks;
pub mod places;
pub mod slots;

use std::{sync::Arc, time::Duration};

use self::{
    keys::Names,
    locks::{Lock, Locks},
    places::Places,
    slots::{Slot, Slots, Turn},
};
use crate::{admission::Refusal, cloud::identity::KeyIdentity};

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

/// See the module.
#[derive(Debug)]
pub struct Admission {
    places: Places,
    slots: Arc<Slots>,
    of_namespace: Locks<(String, Cluster)>,
    of_credential: Locks<(KeyIdentity, Cluster)>,
}

/// A place among the requests in flight, for one cluster.
#[derive(Debug)]
pub struct Place {
    admission: Arc<Admission>,
    namespace: String,
    cluster: Cluster,
    _place: places::Place,
    _cluster: Lock<(String, Cluster)>,
}

/// A place with a credential.
#[derive(Debug)]
pub struct Permit {
    // In this order: what is shared with the fewest is freed last.
    _credential: Lock<(KeyIdentity, Cluster)>,
    place: Place,
    names: Names,
}

impl Admission {
    /// `concurrency`: how many requests may be in flight at once. `interval`: the least time between two of one key.
    pub fn new(concurrency: usize, interval: Duration) -> Arc<Self> {
        Arc::new(Self {
            places: Places::new(concurrency),
            slots: Slots::new(interval),
            of_namespace: Locks::default(),
            of_credential: Locks::default(),
        })
    }

    /// Waits for the other requests of this namespace to this cluster, then for a place.
    pub async fn enter(self: &Arc<Self>, namespace: &str, cluster: Cluster) -> Place {
        let lock = self.of_namespace.lock((namespace.to_owned(), cluster.clone())).await;
        let place = self.places.enter(namespace).await;
        Place { admission: Arc::clone(self), namespace: namespace.to_owned(), cluster, _place: place, _cluster: lock }
    }

    /// The slots, for what is read without a place.
    pub const fn slots(&self) -> &Arc<Slots> {
        &self.slots
    }
}

impl Place {
    /// Waits for the other requests to this cluster that use the same values.
    pub async fn with(self, names: Names) -> Permit {
        let lock = self.admission.of_credential.lock((names.pair, self.cluster.clone())).await;
        Permit { _credential: lock, place: self, names }
    }
}

impl Permit {
    /// Waits for a slot, the last wait before a request. What is known against the key ends it.
    pub async fn slot(&self) -> Result<Slot, Refusal> {
        let turn = Turn::Namespace(self.place.namespace.clone());
        self.place.admission.slots.slot(self.names, turn).await
    }

    /// Whether nothing is known against the key.
    pub fn still_good(&self) -> Result<(), Refusal> {
        self.place.admission.slots.check(self.names)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::task::unconstrained;

    use super::*;

    fn names(key: u8, pair: u8) -> Names {
        Names { key: KeyIdentity::from([key; 32]), pair: KeyIdentity::from([pair; 32]) }
    }

    fn cluster(name: &str) -> Cluster {
        Cluster { endpoint: "dws.example.com".to_owned(), project: "project".to_owned(), cluster: name.to_owned() }
    }

    fn permit(admission: &Arc<Admission>, namespace: &str, of: &str, names: Names) -> Option<Permit> {
        let permit = async { admission.enter(namespace, cluster(of)).await.with(names).await };
        unconstrained(permit).now_or_never()
    }

    #[test]
    fn requests_to_one_cluster_wait_within_a_namespace_and_within_a_credential() {
        let admission = Admission::new(64, Duration::ZERO);
        let held = permit(&admission, "a", "one", names(1, 1));
        assert!(held.is_some());
        assert!(permit(&admission, "a", "one", names(2, 2)).is_none(), "the same namespace");
        assert!(permit(&admission, "b", "one", names(1, 1)).is_none(), "the same credential");
        assert!(permit(&admission, "b", "one", names(2, 2)).is_some(), "another namespace with another credential");
        assert!(permit(&admission, "a", "two", names(1, 1)).is_some(), "another cluster");
        drop(held);
        assert!(permit(&admission, "a", "one", names(2, 2)).is_some());
        assert!(admission.of_namespace.is_empty() && admission.of_credential.is_empty());
    }

    #[test]
    fn a_namespace_that_waits_for_a_credential_keeps_no_place_from_others() {
        let admission = Admission::new(8, Duration::ZERO);
        let _held = permit(&admission, "a", "one", names(1, 1));
        let mut waiting: Vec<_> = (0..100)
            .map(|_| Box::pin(async { admission.enter("b", cluster("one")).await.with(names(1, 1)).await }))
            .collect();
        assert!(waiting.iter_mut().all(|wait| unconstrained(wait).now_or_never().is_none()));
        assert!(permit(&admission, "c", "two", names(3, 3)).is_some());
    }
}
