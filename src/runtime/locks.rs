//! Fair locks by name: tokio hands its mutexes over in the order of arrival. An entry of the map lives as long as it is held
//! or waited for, so that names that were used once cost nothing.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use tokio::sync::{Mutex, OwnedMutexGuard};

type Map<K, V> = Arc<parking_lot::Mutex<HashMap<Arc<K>, Arc<V>>>>;

#[derive(Debug)]
pub struct Entries<K, V>(Map<K, V>);

impl<K, V> Default for Entries<K, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Eq + Hash, V> Entries<K, V> {
    /// The entry of this name, made by `new` unless it is in use.
    pub fn entry(&self, name: K, new: impl FnOnce() -> V) -> Entry<K, V> {
        let mut map = self.0.lock();
        if let Some((name, value)) = map.get_key_value(&name) {
            return Entry { map: Arc::clone(&self.0), name: Arc::clone(name), value: Arc::clone(value) };
        }
        let (name, value) = (Arc::new(name), Arc::new(new()));
        map.insert(Arc::clone(&name), Arc::clone(&value));
        drop(map);
        Entry { map: Arc::clone(&self.0), name, value }
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }
}

/// A use of one entry. The entry is removed with its last use.
#[derive(Debug)]
pub struct Entry<K: Eq + Hash, V> {
    map: Map<K, V>,
    name: Arc<K>,
    value: Arc<V>,
}

impl<K: Eq + Hash, V> Entry<K, V> {
    pub const fn value(&self) -> &Arc<V> {
        &self.value
    }

    pub fn name(&self) -> &K {
        &self.name
    }
}

impl<K: Eq + Hash, V> Drop for Entry<K, V> {
    fn drop(&mut self) {
        let mut map = self.map.lock();
        // The map's and this one. Others are made under the map's lock only, so none can come now.
        if Arc::strong_count(&self.value) == 2 {
            map.remove(&self.name);
        }
    }
}

#[derive(Debug)]
pub struct Locks<K>(Entries<K, Mutex<()>>);

impl<K> Default for Locks<K> {
    fn default() -> Self {
        Self(Entries::default())
    }
}

/// A mutex that is held. Dropping it hands it to the wait that began first.
#[derive(Debug)]
pub struct Lock<K: Eq + Hash> {
    // In this order: the mutex is free before its entry may go.
    _guard: OwnedMutexGuard<()>,
    entry: Entry<K, Mutex<()>>,
}

impl<K: Eq + Hash> Lock<K> {
    pub fn name(&self) -> &K {
        self.entry.name()
    }
}

impl<K: Eq + Hash> Locks<K> {
    /// Waits for the mutex of this name. Dropping the future gives the position in its queue up.
    pub async fn lock(&self, name: K) -> Lock<K> {
        let entry = self.0.entry(name, Mutex::default);
        let guard = Arc::clone(entry.value()).lock_owned().await;
        Lock { _guard: guard, entry }
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_lock_is_handed_over_in_order_and_its_entry_goes_with_the_last_use() {
        let locks = Locks::default();
        let held = locks.lock("a").await;
        let (mut second, mut third) = (Box::pin(locks.lock("a")), Box::pin(locks.lock("a")));
        assert!((&mut second).now_or_never().is_none() && (&mut third).now_or_never().is_none());
        assert!(locks.lock("b").now_or_never().is_some(), "another name is free");
        drop(held);
        assert!((&mut third).now_or_never().is_none(), "the second one is first");
        let second = second.now_or_never();
        assert!(second.is_some());
        drop(second);
        assert!((&mut third).now_or_never().is_some());
        drop(third);
        assert!(locks.is_empty());
    }

    #[tokio::test]
    async fn a_wait_that_is_dropped_gives_its_position_and_its_entry_up() {
        let locks = Locks::default();
        let held = locks.lock("a").await;
        let (mut second, mut third) = (Box::pin(locks.lock("a")), Box::pin(locks.lock("a")));
        assert!((&mut second).now_or_never().is_none() && (&mut third).now_or_never().is_none());
        drop(second);
        drop(held);
        let third = third.now_or_never();
        assert!(third.is_some() && locks.0.0.lock().len() == 1);
        drop(third);
        assert!(locks.is_empty());
    }
}
