//! What a Secret held a moment ago, and who is reading it now, for the other objects of a crowd. The clock is an argument; it
//! reads nothing itself.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use futures::future::{BoxFuture, Shared, WeakShared};

use crate::credentials::{CredentialsError, Rung, secret::Account};

/// A read that several wait for.
pub type Reading = Shared<BoxFuture<'static, Result<Account, CredentialsError>>>;
type Weak = WeakShared<BoxFuture<'static, Result<Account, CredentialsError>>>;

/// How long what was read serves others at most, from the moment at which it was asked for: a backlog costs one read a second
/// instead of one for each object.
pub const SERVES: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Default)]
pub struct Remembered {
    kept: HashMap<Rung, (Instant, Account)>,
    under_way: HashMap<Rung, (Instant, Weak)>,
}

impl Remembered {
    /// What that rung held, if it was asked for within the last second and not before `since`. Who changes a Secret and then
    /// an object that uses it means the new one: an object is never called with what was read before it was seen.
    pub fn get(&self, rung: &Rung, since: Instant, now: Instant) -> Option<Account> {
        let (asked, account) = self.kept.get(rung)?;
        (*asked >= since && now.saturating_duration_since(*asked) < SERVES).then(|| account.clone())
    }

    /// The read that has begun within the last second, but not before `since`, and has not ended. One that takes longer
    /// holds up nobody who comes later, and brings them nothing that is older than what is kept.
    pub fn under_way(&self, rung: &Rung, since: Instant, now: Instant) -> Option<Reading> {
        let (asked, reading) = self.under_way.get(rung)?;
        let serves = *asked >= since && now.saturating_duration_since(*asked) < SERVES;
        if serves { reading.upgrade() } else { None }
    }

    /// A read began. Of two that overlap the later one tells more; whoever waits for the earlier goes on to do so.
    pub fn begun(&mut self, rung: &Rung, asked: Instant, reading: &Reading) {
        if let Some(reading) = reading.downgrade() {
            self.under_way.insert(rung.clone(), (asked, reading));
        }
    }

    /// That read ended, with this if with anything. What has been forgotten or overtaken meanwhile is not kept, nor what serves
    /// nobody any more.
    pub fn ended(&mut self, rung: &Rung, asked: Instant, account: Option<&Account>, now: Instant) {
        if self.under_way.get(rung).is_none_or(|(latest, _)| *latest != asked) {
            return;
        }
        self.under_way.remove(rung);
        if let Some(account) = account {
            self.kept.insert(rung.clone(), (asked, account.clone()));
        }
        self.forget_old(now);
    }

    /// What serves nobody any more is not kept.
    pub fn forget_old(&mut self, now: Instant) {
        self.kept.retain(|_, (kept, _)| now.saturating_duration_since(*kept) < SERVES);
        self.under_way.retain(|_, (_, reading)| reading.upgrade().is_some());
    }

    /// Reads that rung anew next time: what it held was refused.
    pub fn forget(&mut self, rung: &Rung) {
        self.kept.remove(rung);
        self.under_way.remove(rung);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::cloud::auth::Pair;

    fn account(access: &str) -> Account {
        Account::Pair(Pair { access: access.to_owned(), secret: "SK".to_owned().into(), token: None })
    }

    fn keep(remembered: &mut Remembered, rung: &Rung, what: &str, asked: Instant) {
        let reading: Reading = futures::future::pending().boxed().shared();
        remembered.begun(rung, asked, &reading);
        remembered.ended(rung, asked, Some(&account(what)), asked);
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
        keep(&mut remembered, &Rung::Controller, "one", asked);
        assert_eq!(access(remembered.get(&Rung::Controller, asked, asked + SERVES / 2)).as_deref(), Some("one"));
        assert!(remembered.get(&Rung::Controller, asked, asked + SERVES).is_none());
        let other = Rung::Secret { namespace: "team".to_owned(), name: "other".to_owned() };
        keep(&mut remembered, &other, "two", asked + SERVES);
        assert_eq!(remembered.kept.len(), 1, "no key lies in memory that serves nobody any more");
    }

    #[test]
    fn a_read_that_ends_after_one_that_began_later_is_not_kept() {
        let (mut remembered, asked) = (Remembered::default(), Instant::now());
        let (old, new) = (futures::future::pending().boxed().shared(), futures::future::pending().boxed().shared());
        remembered.begun(&Rung::Controller, asked, &old);
        remembered.begun(&Rung::Controller, asked + SERVES / 2, &new);
        remembered.ended(&Rung::Controller, asked + SERVES / 2, Some(&account("new")), asked + SERVES / 2);
        remembered.ended(&Rung::Controller, asked, Some(&account("old")), asked + SERVES / 2);
        assert_eq!(access(remembered.get(&Rung::Controller, asked, asked + SERVES / 2)).as_deref(), Some("new"));
    }

    #[test]
    fn a_read_that_takes_longer_than_it_serves_is_joined_by_nobody_who_comes_later_and_is_not_kept() {
        let (mut remembered, asked) = (Remembered::default(), Instant::now());
        let slow: Reading = futures::future::pending().boxed().shared();
        remembered.begun(&Rung::Controller, asked, &slow);
        assert!(remembered.under_way(&Rung::Controller, asked, asked + SERVES / 2).is_some());
        assert!(remembered.under_way(&Rung::Controller, asked, asked + SERVES).is_none());
        assert!(
            remembered.under_way(&Rung::Controller, asked + SERVES / 4, asked + SERVES / 2).is_none(),
            "seen later"
        );
        remembered.ended(&Rung::Controller, asked, Some(&account("old")), asked + SERVES);
        assert!(remembered.kept.is_empty() && remembered.under_way.is_empty());
    }

    #[test]
    fn what_was_refused_is_read_anew() {
        let (mut remembered, asked) = (Remembered::default(), Instant::now());
        keep(&mut remembered, &Rung::Controller, "one", asked);
        remembered.forget(&Rung::Controller);
        assert!(remembered.get(&Rung::Controller, asked, asked).is_none());
    }

    #[test]
    fn an_object_that_was_seen_after_the_read_is_not_served_by_it() {
        let (mut remembered, asked) = (Remembered::default(), Instant::now());
        keep(&mut remembered, &Rung::Controller, "before", asked);
        let seen = asked + SERVES / 100;
        assert!(remembered.get(&Rung::Controller, seen, seen).is_none());
    }
}
