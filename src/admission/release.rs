//! PURE: which objects are woken when something is released: a permit, a cluster, a key, or the Retry-After time of a
//! 429. The clock is an argument. This module admits no object.

use std::time::Instant;

use super::{core::Core, request::ObjectName, waiting::Until};
use crate::cloud::identity::KeyIdentity;

impl Core {
    /// Has this object woken when an endpoint can be reached again, or a call ends.
    pub fn wait(&mut self, object: &ObjectName) {
        self.waiting.wait(object, Until::Anything);
    }

    /// The object is gone, or needs no call any more. See [`Self::leave_queues`].
    pub fn forget(&mut self, object: &ObjectName, now: Instant) -> Option<Vec<ObjectName>> {
        self.waiting.leave(object);
        self.leave_queues(object, None, now)
    }

    /// The object leaves the queues of all keys except that one. If it was in one, returns the objects to wake instead:
    /// it may have been the last one that was woken, or the one for which a present object waits.
    pub fn leave_queues(
        &mut self,
        object: &ObjectName,
        except: Option<KeyIdentity>,
        now: Instant,
    ) -> Option<Vec<ObjectName>> {
        let mut woken = None::<Vec<_>>;
        for (_, key) in self.keys.iter_mut().filter(|(identity, _)| Some(**identity) != except) {
            if key.queue.leave(object) {
                woken.get_or_insert_default().extend(key.wake_first(self.concurrency, now));
            }
        }
        woken
    }

    /// After the Retry-After time of a 429, wakes the next objects, which may not know yet that it has ended. When all
    /// permits are taken, the end of a call wakes them.
    pub fn resume(&mut self, key: KeyIdentity, now: Instant) -> Vec<ObjectName> {
        if self.in_flight.len() >= self.concurrency {
            return Vec::new();
        }
        let limit = self.concurrency + 1;
        let key =
            self.keys.get_mut(&key).filter(|key| key.keeps_order_for(now).is_some() && key.refusal(now).is_none());
        key.map(|key| key.wake_first(limit, now)).unwrap_or_default()
    }

    /// A read is over: wakes as many of the objects that wait for its key as could enter. A read frees nothing else.
    pub(super) fn wake_by_key(&mut self, used: KeyIdentity, now: Instant) -> Vec<ObjectName> {
        let mut woken = self.waiting.wake(self.concurrency, |until| matches!(until, Until::Key(key) if *key == used));
        if let Some(key) = self.keys.get_mut(&used) {
            woken.extend(key.wake_first(self.concurrency, now));
        }
        woken
    }

    /// A call is over: wakes the next object for its cluster, and of those that wait for its key or for a permit as
    /// many as could enter. Not all of them: each reads its object and its Secret, and most would only wait again.
    pub(super) fn wake(&mut self, freed: &str, used: KeyIdentity, now: Instant) -> Vec<ObjectName> {
        let mut is_next = true;
        let mut woken = self.waiting.wake(self.concurrency, |until| match until {
            Until::Cluster(cluster) => cluster == freed && std::mem::take(&mut is_next),
            Until::Key(key) => *key == used,
            Until::Anything => true,
        });
        let was_full = self.in_flight.len() + 1 >= self.concurrency;
        let mut queued = self.keys.get_mut(&used).map(|key| key.wake_first(self.concurrency, now)).unwrap_or_default();
        if was_full {
            // A permit is free for any key. No more in total than could enter, whatever the number of keys.
            for state in self.keys.values_mut().filter(|key| key.throttled(now).is_none()) {
                let left = self.concurrency.saturating_sub(queued.len());
                queued.extend(state.wake_first(left, now));
            }
        }
        woken.extend(queued);
        woken
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
