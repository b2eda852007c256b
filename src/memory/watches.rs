//! What this process remembers of looks after a call: when the next one is due, and what cannot be told from status. After
//! a restart it begins anew, which costs a look. No clock of its own, no I/O.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// How long a call for a cluster is remembered: what is seen of that cluster may be its doing.
const REMEMBER_CALLS: Duration = Duration::from_secs(3600);

/// The looks at one object's redistribution.
#[derive(Clone, Debug)]
pub struct Watch {
    /// Of this attempt.
    pub attempt_id: String,
    /// When the first look was planned.
    pub since: Instant,
    /// Not before.
    pub next: Instant,
    /// Looks in a row that showed nothing new.
    pub unmoved: u32,
    /// The last look showed an idle cluster.
    pub was_idle: bool,
}

/// All of them, by object uid; and who called for which cluster.
#[derive(Debug, Default)]
pub struct Watches {
    watches: HashMap<String, Watch>,
    calls: HashMap<String, HashMap<(String, i64), Instant>>,
}

impl Watches {
    /// The watch over this attempt; a new one looks for the first time after `first`.
    pub fn of(&mut self, uid: &str, attempt_id: &str, first: Duration, now: Instant) -> Watch {
        let new =
            || Watch { attempt_id: attempt_id.to_owned(), since: now, next: now + first, unmoved: 0, was_idle: false };
        let watch = self.watches.entry(uid.to_owned()).or_insert_with(new);
        if watch.attempt_id != attempt_id {
            *watch = new();
        }
        watch.clone()
    }

    /// Not before that.
    pub fn put_off(&mut self, uid: &str, next: Instant) {
        if let Some(watch) = self.watches.get_mut(uid) {
            watch.next = next;
        }
    }

    /// What a look left behind.
    pub fn keep(&mut self, uid: &str, watch: Watch) {
        self.watches.insert(uid.to_owned(), watch);
    }

    /// Nothing is looked at any more.
    pub fn end(&mut self, uid: &str) {
        self.watches.remove(uid);
    }

    /// An object is about to call for a cluster.
    pub fn called(&mut self, cluster: &str, uid: &str, generation: i64, now: Instant) {
        self.calls.retain(|_, calls| {
            calls.retain(|_, at| now.saturating_duration_since(*at) < REMEMBER_CALLS);
            !calls.is_empty()
        });
        self.calls.entry(cluster.to_owned()).or_default().insert((uid.to_owned(), generation), now);
    }

    /// Another wish has called for that cluster after this one, or so shortly before it that what it began may not have
    /// shown yet. Where it is not known when this one called, any other is taken for a later one.
    pub fn others_called(&self, cluster: &str, uid: &str, generation: i64, shortly: Duration) -> bool {
        let Some(calls) = self.calls.get(cluster) else { return false };
        let is_own = |(other, of): &(String, i64)| (other.as_str(), *of) == (uid, generation);
        let own = calls.iter().find(|(wish, _)| is_own(wish)).map(|(_, at)| *at);
        let matters = |at: Instant| own.is_none_or(|own| at + shortly > own);
        calls.iter().any(|(wish, at)| !is_own(wish) && matters(*at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_new_attempt_is_watched_anew() {
        let (mut watches, now) = (Watches::default(), Instant::now());
        assert_eq!(watches.of("uid", "a", SECOND, now).next, now + SECOND);
        let watch = Watch { unmoved: 3, was_idle: true, ..watches.of("uid", "a", SECOND, now + SECOND) };
        assert_eq!(watch.since, now);
        watches.keep("uid", watch);
        watches.put_off("uid", now + 9 * SECOND);
        let again = watches.of("uid", "a", SECOND, now);
        assert_eq!((again.unmoved, again.was_idle, again.next), (3, true, now + 9 * SECOND));
        let other = watches.of("uid", "b", SECOND, now + 5 * SECOND);
        assert_eq!((other.unmoved, other.was_idle, other.since), (0, false, now + 5 * SECOND));
        watches.end("uid");
        assert_eq!(watches.of("uid", "b", SECOND, now).since, now);
    }

    #[test]
    fn a_call_of_another_wish_matters_from_shortly_before_ones_own_on() {
        let (mut watches, now) = (Watches::default(), Instant::now());
        let others = |watches: &Watches, uid: &str, generation: i64| {
            watches.others_called("cluster", uid, generation, 10 * SECOND)
        };
        watches.called("cluster", "uid", 1, now);
        assert!(!others(&watches, "uid", 1), "one's own");
        assert!(others(&watches, "uid", 2), "an older generation's, and nobody knows when this one called");
        assert!(!watches.others_called("another", "other", 1, 10 * SECOND));
        watches.called("cluster", "uid", 2, now + 9 * SECOND);
        assert!(others(&watches, "uid", 1) && others(&watches, "uid", 2));
        watches.called("cluster", "other", 1, now + 100 * SECOND);
        assert!(!others(&watches, "other", 1), "what they began would have shown by then");
        assert!(others(&watches, "uid", 2), "a later one");
        watches.called("another", "x", 1, now + REMEMBER_CALLS + 50 * SECOND);
        assert!(!watches.others_called("cluster", "other", 1, REMEMBER_CALLS * 9), "forgotten");
    }
}
