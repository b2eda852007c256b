//! PURE: the objects to wake once something is released: a cluster, a key, or anything at all. Objects that wait for
//! their turn with a key are in its queue instead.

use std::collections::{BTreeMap, HashMap};

use super::request::ObjectName;
use crate::cloud::identity::KeyIdentity;

/// The release that an object waits for.
#[derive(Debug)]
pub enum Until {
    /// Any release.
    Anything,
    /// Release of a cluster, by the end of the call for it.
    Cluster(String),
    /// Release of a key.
    Key(KeyIdentity),
}

/// Waiting objects, in their order of arrival.
#[derive(Debug, Default)]
pub struct Waiting {
    next: u64,
    /// By order of arrival.
    order: BTreeMap<u64, (ObjectName, Until)>,
    /// Index into `order`: in an outage all objects wait here, and finding one must not take a search.
    places: HashMap<ObjectName, u64>,
}

impl Waiting {
    /// The object waits from now on, unless it waits already.
    pub fn wait(&mut self, object: &ObjectName, until: Until) {
        if !self.places.contains_key(object) {
            self.places.insert(object.clone(), self.next);
            self.order.insert(self.next, (object.clone(), until));
            self.next += 1;
        }
    }

    /// The object no longer waits.
    pub fn leave(&mut self, object: &ObjectName) {
        if let Some(place) = self.places.remove(object) {
            self.order.remove(&place);
        }
    }

    /// Removes and returns the objects whose release `is_due`; of those that do not wait for a cluster at most `limit`,
    /// which is how many could enter.
    pub fn wake(&mut self, limit: usize, mut is_due: impl FnMut(&Until) -> bool) -> Vec<ObjectName> {
        let (mut woken, mut others) = (Vec::new(), 0);
        for (object, until) in self.order.values() {
            let counts = !matches!(until, Until::Cluster(_));
            if (!counts || others < limit) && is_due(until) {
                others += usize::from(counts);
                woken.push(object.clone());
            }
        }
        for object in &woken {
            self.leave(object);
        }
        woken
    }

    /// Removes and returns all objects.
    pub fn wake_all(&mut self) -> Vec<ObjectName> {
        self.places.clear();
        std::mem::take(&mut self.order).into_values().map(|(object, _)| object).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> ObjectName {
        ("team".to_owned(), format!("object-{number}"))
    }

    #[test]
    fn a_release_wakes_up_to_the_limit_and_also_objects_of_a_cluster() {
        let mut waiting = Waiting::default();
        for number in 0..5 {
            waiting.wait(&name(number), Until::Anything);
            waiting.wait(&name(number), Until::Anything);
        }
        waiting.wait(&name(5), Until::Cluster("a".to_owned()));
        assert_eq!(waiting.wake(2, |_| true), [name(0), name(1), name(5)]);
        waiting.leave(&name(3));
        assert_eq!(waiting.wake_all(), [name(2), name(4)]);
        assert!(waiting.wake_all().is_empty());
    }
}
