//! PURE: what a Secret held a moment ago, for the other objects of a crowd. The clock is an argument.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{account::Account, credentials::Rung};

/// How long what was read serves others at most, from the moment at which it was asked for: a backlog costs one read a second
/// instead of one for each object.
pub const SERVES: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Default)]
pub struct Remembered(HashMap<Rung, (Instant, Account)>);

impl Remembered {
    /// What that rung held, if it was asked for within the last second and not before `since`. Who changes a Secret and then
    /// an object that uses it means the new one: an object is never called with what was read before it was seen.
    pub fn get(&self, rung: &Rung, since: Instant, now: Instant) -> Option<Account> {
        let (asked, account) = self.0.get(rung)?;
        (*asked >= since && now.saturating_duration_since(*asked) < SERVES).then(|| account.clone())
    }

    /// Keeps what was read. `asked`: when the read began.
    pub fn keep(&mut self, rung: &Rung, account: &Account, asked: Instant) {
        // Of two reads that overlap, the one that began later tells more.
        if self.0.get(rung).is_none_or(|(kept, _)| *kept <= asked) {
            self.0.insert(rung.clone(), (asked, account.clone()));
        }
        self.forget_old(asked);
    }

    /// What serves nobody any more is not kept.
    pub fn forget_old(&mut self, now: Instant) {
        self.0.retain(|_, (kept, _)| now.saturating_duration_since(*kept) < SERVES);
    }

    /// Reads that rung anew next time: what it held was refused.
    pub fn forget(&mut self, rung: &Rung) {
        self.0.remove(rung);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dws::key::Pair;

    fn account(access: &str) -> Account {
        Account::Pair(Pair { access: access.to_owned(), secret: "SK".to_owned().into(), token: None })
    }

    fn access(account: Option<Account>) -> Option<String> {
        match account? {
            Account::Pair(pair) => Some(pair.access),
            Account::User(_) => None,
        }
    }

    #[test]
    fn what_was_read_serves_for_a_second_from_the_moment_it_was_asked_for_and_is_then_gone() {
        let (mut remembered, asked) = (Remembered::default(), Instant::now());
        remembered.keep(&Rung::Controller, &account("one"), asked);
        assert_eq!(access(remembered.get(&Rung::Controller, asked, asked + SERVES / 2)).as_deref(), Some("one"));
        assert!(remembered.get(&Rung::Controller, asked, asked + SERVES).is_none());
        let other = Rung::Secret { namespace: "team".to_owned(), name: "other".to_owned() };
        remembered.keep(&other, &account("two"), asked + SERVES);
        assert_eq!(remembered.0.len(), 1, "no key lies in memory that serves nobody any more");
    }

    #[test]
    fn a_read_that_began_earlier_does_not_replace_a_later_one() {
        let (mut remembered, asked) = (Remembered::default(), Instant::now());
        remembered.keep(&Rung::Controller, &account("new"), asked + SERVES / 2);
        remembered.keep(&Rung::Controller, &account("old"), asked);
        assert_eq!(access(remembered.get(&Rung::Controller, asked, asked + SERVES / 2)).as_deref(), Some("new"));
    }

    #[test]
    fn what_was_refused_is_read_anew() {
        let (mut remembered, asked) = (Remembered::default(), Instant::now());
        remembered.keep(&Rung::Controller, &account("one"), asked);
        remembered.forget(&Rung::Controller);
        assert!(remembered.get(&Rung::Controller, asked, asked).is_none());
    }

    #[test]
    fn an_object_that_was_seen_after_the_read_is_not_served_by_it() {
        let (mut remembered, asked) = (Remembered::default(), Instant::now());
        remembered.keep(&Rung::Controller, &account("before"), asked);
        let seen = asked + SERVES / 100;
        assert!(remembered.get(&Rung::Controller, seen, seen).is_none());
    }
}
