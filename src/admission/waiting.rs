//! PURE: who is looked at again once something is released: a cluster, a key, or anything at all. Those that wait for their
//! turn with a key stand in a queue instead.

use std::collections::{BTreeMap, HashMap};

use super::request::ObjectName;
use crate::cloud::identity::KeyIdentity;

/// Whose release helps.
#[derive(Debug)]
pub enum Until {
    /// Any.
    Anything,
    /// That of a cluster, by the end of the call for it.
    Cluster(String),
    /// That of a key.
    Key(KeyIdentity),
}

/// See the module.
#[derive(Debug, Default)]
pub struct Waiting {
    next: u64,
    /// In the order in which they came.
    order: BTreeMap<u64, (ObjectName, Until)>,
    /// An outage has all objects wait here: none is searched for among the others.
    places: HashMap<ObjectName, u64>,
}

impl Waiting {
    /// From now on, unless it waits already.
    pub fn wait(&mut self, object: &ObjectName, until: Until) {
        if !self.places.contains_key(object) {
            self.places.insert(object.clone(), self.next);
            self.order.insert(self.next, (object.clone(), until));
            self.next += 1;
        }
    }

    /// It waits no longer.
    pub fn leave(&mut self, object: &ObjectName) {
        if let Some(place) = self.places.remove(object) {
            self.order.remove(&place);
        }
    }

    /// Those for which that holds; of those that do not wait for a cluster no more than `most`, which is how many could enter.
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

    /// All of them.
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
    fn of_those_that_could_enter_no_more_are_woken_than_may_and_those_of_a_cluster_besides() {
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
