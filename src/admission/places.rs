//! Places for requests that are prepared or in flight. Half of all places are reserved: a namespace holds at most one of
//! them. The others are shared: a namespace holds at most its share of them, a quarter of all. So a namespace that holds no
//! place finds one while fewer than half as many other namespaces as there are places hold one, whatever these do.

use std::{future::pending, sync::Arc};

use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use crate::runtime::locks::{Entries, Entry};

#[derive(Debug)]
pub struct Places {
    reserved: Arc<Semaphore>,
    shared: Arc<Semaphore>,
    share: usize,
    namespaces: Entries<String, Namespace>,
}

#[derive(Debug)]
struct Namespace {
    reserved_turn: Arc<Mutex<()>>,
    share: Arc<Semaphore>,
}

#[derive(Debug)]
pub struct Held {
    // In this order: the entry of the namespace goes last.
    _permit: OwnedSemaphorePermit,
    _kind: Kind,
    _namespace: Entry<String, Namespace>,
}

/// What a place is counted against in its namespace.
#[derive(Debug)]
enum Kind {
    Reserved { _guard: OwnedMutexGuard<()> },
    Shared { _permit: OwnedSemaphorePermit },
}

impl Places {
    /// `concurrency`: how many places there are, at least 1.
    pub fn new(concurrency: usize) -> Self {
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
    pub async fn enter(&self, namespace: &str) -> Held {
        let new = || Namespace { reserved_turn: Arc::default(), share: Arc::new(Semaphore::new(self.share)) };
        let entry = self.namespaces.entry(namespace.to_owned(), new);
        let reserved = async {
            let guard = Arc::clone(&entry.value().reserved_turn).lock_owned().await;
            (Kind::Reserved { _guard: guard }, acquire(&self.reserved).await)
        };
        let shared = async {
            let permit = acquire(&entry.value().share).await;
            (Kind::Shared { _permit: permit }, acquire(&self.shared).await)
        };
        let (kind, permit) = tokio::select! {
            // The reserved one first, so that shared ones stay free for those that hold a reserved one.
            biased;
            place = reserved => place,
            place = shared => place,
        };
        Held { _permit: permit, _kind: kind, _namespace: entry }
    }
}

async fn acquire(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    match Arc::clone(semaphore).acquire_owned().await {
        Ok(permit) => permit,
        // Nobody closes these semaphores.
        Err(_) => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::task::unconstrained;

    use super::*;

    /// What is there at once, however often that was asked for within one poll.
    fn now<T>(future: impl Future<Output = T>) -> Option<T> {
        unconstrained(future).now_or_never()
    }

    #[tokio::test]
    async fn a_namespace_holds_one_reserved_place_and_its_share_of_the_rest() {
        let places = Places::new(16);
        let mut held: Vec<_> = (0..5).filter_map(|_| now(places.enter("a"))).collect();
        assert_eq!(held.len(), 5, "a reserved one and a quarter");
        assert!(now(places.enter("a")).is_none());
        assert!(now(places.enter("b")).is_some());
        held.pop();
        assert!(now(places.enter("a")).is_some());
        drop(held);
        assert!(places.namespaces.is_empty());
    }

    #[tokio::test]
    async fn a_namespace_finds_a_place_beside_fewer_than_half_as_many_others() {
        for concurrency in [1, 2, 3, 8, 64] {
            let places = Places::new(concurrency);
            let mut held = Vec::new();
            for other in 0..concurrency.div_ceil(2) - 1 {
                while let Some(place) = now(places.enter(&other.to_string())) {
                    held.push(place);
                }
            }
            assert!(now(places.enter("last")).is_some(), "{concurrency}");
        }
    }

    #[tokio::test]
    async fn a_namespace_whose_requests_never_end_keeps_no_other_waiting() {
        let places = Places::new(8);
        let mut held = Vec::new();
        while let Some(place) = now(places.enter("hung")) {
            held.push(place);
        }
        let mut waiting: Vec<_> = (0..12).map(|_| Box::pin(places.enter("hung"))).collect();
        assert!(waiting.iter_mut().all(|wait| now(wait).is_none()));
        for _ in 0..20 {
            assert!(now(places.enter("healthy")).is_some());
        }
    }

    #[tokio::test]
    async fn a_free_place_goes_to_the_namespace_that_has_waited_longest() {
        let places = Places::new(2);
        // One reserved place and one shared.
        let (reserved, _shared) = (now(places.enter("a")), now(places.enter("b")));
        let (mut c, mut d) = (Box::pin(places.enter("c")), Box::pin(places.enter("d")));
        let mut a = Box::pin(places.enter("a"));
        for wait in [&mut c, &mut d, &mut a] {
            assert!(now(wait).is_none());
        }
        drop(reserved);
        assert!(now(&mut a).is_none() && now(&mut d).is_none());
        assert!(now(&mut c).is_some());
    }
}
