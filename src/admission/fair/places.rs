//! Places for requests in flight. A namespace holds at most one of the first half of all places, by its lane, and at most
//! its share of the rest. So a namespace without a request in flight finds a place while fewer than half as many other
//! namespaces as there are places have one, whatever these do.

use std::{future::pending, sync::Arc};

use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use super::locks::{Entries, Entry};

/// All places. See the module.
#[derive(Debug)]
pub struct Places {
    first: Arc<Semaphore>,
    rest: Arc<Semaphore>,
    share: usize,
    namespaces: Entries<String, Namespace>,
}

#[derive(Debug)]
struct Namespace {
    lane: Arc<Mutex<()>>,
    share: Arc<Semaphore>,
}

/// A place. Dropping it frees it.
#[derive(Debug)]
pub struct Place {
    // In this order: the entry of the namespace goes last.
    _permit: OwnedSemaphorePermit,
    _right: Right,
    _namespace: Entry<String, Namespace>,
}

/// By which right of its namespace a place is held.
#[derive(Debug)]
enum Right {
    Lane { _guard: OwnedMutexGuard<()> },
    Share { _permit: OwnedSemaphorePermit },
}

impl Places {
    /// `concurrency`: how many places there are, at least 1.
    pub fn new(concurrency: usize) -> Self {
        let all = concurrency.max(1);
        let first = all.div_ceil(2);
        Self {
            first: Arc::new(Semaphore::new(first)),
            rest: Arc::new(Semaphore::new(all - first)),
            share: (all / 4).max(1),
            namespaces: Entries::default(),
        }
    }

    /// Waits for a place: for one of the first by the lane, and for one of the rest by the share, whichever comes first.
    pub async fn enter(&self, namespace: &str) -> Place {
        let new = || Namespace { lane: Arc::default(), share: Arc::new(Semaphore::new(self.share)) };
        let entry = self.namespaces.entry(namespace.to_owned(), new);
        let by_lane = async {
            let guard = Arc::clone(&entry.value().lane).lock_owned().await;
            (Right::Lane { _guard: guard }, acquire(&self.first).await)
        };
        let by_share = async {
            let permit = acquire(&entry.value().share).await;
            (Right::Share { _permit: permit }, acquire(&self.rest).await)
        };
        let (right, permit) = tokio::select! {
            // The lane first, so that the rest stays free for those whose lane is taken.
            biased;
            place = by_lane => place,
            place = by_share => place,
        };
        Place { _permit: permit, _right: right, _namespace: entry }
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
    async fn a_namespace_holds_one_first_place_and_its_share_of_the_rest() {
        let places = Places::new(16);
        let mut held: Vec<_> = (0..5).filter_map(|_| now(places.enter("a"))).collect();
        assert_eq!(held.len(), 5, "the lane and a quarter");
        assert!(now(places.enter("a")).is_none());
        assert!(now(places.enter("b")).is_some());
        held.pop();
        assert!(now(places.enter("a")).is_some());
        drop(held);
        assert!(places.namespaces.is_empty());
    }

    #[tokio::test]
    async fn a_namespace_without_a_place_finds_one_beside_fewer_than_half_as_many_others() {
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
        // One first place and one of the rest.
        let (first, _rest) = (now(places.enter("a")), now(places.enter("b")));
        let (mut c, mut d) = (Box::pin(places.enter("c")), Box::pin(places.enter("d")));
        let mut a = Box::pin(places.enter("a"));
        for wait in [&mut c, &mut d, &mut a] {
            assert!(now(wait).is_none());
        }
        drop(first);
        assert!(now(&mut a).is_none() && now(&mut d).is_none());
        assert!(now(&mut c).is_some());
    }
}
