//! What a Secret held a moment ago, and who is reading it now, for the other objects of a burst. The clock is an argument; it
//! reads nothing itself.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use futures::future::{BoxFuture, Shared, WeakShared};

use crate::credentials::{CredentialSource, CredentialsError, secret::Credential};

/// A read that several wait for.
pub type Reading = Shared<BoxFuture<'static, Result<Credential, CredentialsError>>>;
type Weak = WeakShared<BoxFuture<'static, Result<Credential, CredentialsError>>>;

/// How long what was read serves others at most, from the moment at which it was asked for: a backlog costs one read a second
/// instead of one for each object.
pub const VALID_FOR: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Default)]
pub struct Remembered {
    kept: HashMap<CredentialSource, (Instant, Credential)>,
    under_way: HashMap<CredentialSource, (Instant, Weak)>,
}

impl Remembered {
    /// What that source held, if it was asked for within the last second and not before `since`. Who changes a Secret and then
    /// an object that uses it means the new one: an object is never called with what was read before it was seen.
    pub fn get(&self, source: &CredentialSource, since: Instant, now: Instant) -> Option<Credential> {
        let (asked, account) = self.kept.get(source)?;
        (*asked >= since && now.saturating_duration_since(*asked) < VALID_FOR).then(|| account.clone())
    }

    /// The read that has begun within the last second, but not before `since`, and has not ended. One that takes longer
    /// holds up nobody who comes later, and brings them nothing that is older than what is kept.
    pub fn under_way(&self, source: &CredentialSource, since: Instant, now: Instant) -> Option<Reading> {
        let (asked, reading) = self.under_way.get(source)?;
        let serves = *asked >= since && now.saturating_duration_since(*asked) < VALID_FOR;
        if serves { reading.upgrade() } else { None }
    }

    /// A read began. Of two that overlap the later one tells more; whoever waits for the earlier goes on to do so.
    pub fn begun(&mut self, source: &CredentialSource, asked: Instant, reading: &Reading) {
        if let Some(reading) = reading.downgrade() {
            self.under_way.insert(source.clone(), (asked, reading));
        }
    }

    /// That read ended, with this if with anything. What has been forgotten or overtaken meanwhile is not kept, nor what serves
    /// nobody any more.
    pub fn ended(&mut self, source: &CredentialSource, asked: Instant, account: Option<&Credential>, now: Instant) {
        if self.under_way.get(source).is_none_or(|(latest, _)| *latest != asked) {
            return;
        }
        self.under_way.remove(source);
        if let Some(account) = account {
            self.kept.insert(source.clone(), (asked, account.clone()));
        }
        self.forget_old(now);
    }

    /// What serves nobody any more is not kept.
    pub fn forget_old(&mut self, now: Instant) {
        self.kept.retain(|_, (kept, _)| now.saturating_duration_since(*kept) < VALID_FOR);
        self.under_way.retain(|_, (_, reading)| reading.upgrade().is_some());
    }

    /// Reads that source anew next time: what it held was refused.
    pub fn forget(&mut self, source: &CredentialSource) {
        self.kept.remove(source);
        self.under_way.remove(source);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::cloud::auth::AccessKey;

    fn account(access: &str) -> Credential {
        Credential::AccessKey(AccessKey { access: access.to_owned(), secret: "SK".to_owned().into(), token: None })
    }

    fn keep(remembered: &mut Remembered, source: &CredentialSource, what: &str, asked: Instant) {
        let reading: Reading = futures::future::pending().boxed().shared();
        remembered.begun(source, asked, &reading);
        remembered.ended(source, asked, Some(&account(what)), asked);
    }

    fn access(account: Option<Credential>) -> Option<String> {
        match account? {
            Credential::AccessKey(pair) => Some(pair.access),
            Credential::User(_) => None,
        }
    }

    #[test]
    fn what_was_read_serves_for_a_second_from_the_moment_it_was_asked_for_and_is_then_gone() {
        let (mut remembered, asked) = (Remembered::default(), Instant::now());
        keep(&mut remembered, &CredentialSource::Controller, "one", asked);
        assert_eq!(
            access(remembered.get(&CredentialSource::Controller, asked, asked + VALID_FOR / 2)).as_deref(),
            Some("one")
        );
        assert!(remembered.get(&CredentialSource::Controller, asked, asked + VALID_FOR).is_none());
        let other = CredentialSource::Secret { namespace: "team".to_owned(), name: "other".to_owned() };
        keep(&mut remembered, &other, "two", asked + VALID_FOR);
        assert_eq!(remembered.kept.len(), 1, "no key lies in memory that serves nobody any more");
    }

    #[test]
    fn a_read_that_ends_after_one_that_began_later_is_not_kept() {
        let (mut remembered, asked) = (Remembered::default(), Instant::now());
        let (old, new) = (futures::future::pending().boxed().shared(), futures::future::pending().boxed().shared());
        remembered.begun(&CredentialSource::Controller, asked, &old);
        remembered.begun(&CredentialSource::Controller, asked + VALID_FOR / 2, &new);
        remembered.ended(
            &CredentialSource::Controller,
            asked + VALID_FOR / 2,
            Some(&account("new")),
            asked + VALID_FOR / 2,
        );
        remembered.ended(&CredentialSource::Controller, asked, Some(&account("old")), asked + VALID_FOR / 2);
        assert_eq!(
            access(remembered.get(&CredentialSource::Controller, asked, asked + VALID_FOR / 2)).as_deref(),
            Some("new")
        );
    }

    #[test]
    fn a_read_that_takes_longer_than_it_serves_is_joined_by_nobody_who_comes_later_and_is_not_kept() {
        let (mut remembered, asked) = (Remembered::default(), Instant::now());
        let slow: Reading = futures::future::pending().boxed().shared();
        remembered.begun(&CredentialSource::Controller, asked, &slow);
        assert!(remembered.under_way(&CredentialSource::Controller, asked, asked + VALID_FOR / 2).is_some());
        assert!(remembered.under_way(&CredentialSource::Controller, asked, asked + VALID_FOR).is_none());
        assert!(
            remembered.under_way(&CredentialSource::Controller, asked + VALID_FOR / 4, asked + VALID_FOR / 2).is_none(),
            "seen later"
        );
        remembered.ended(&CredentialSource::Controller, asked, Some(&account("old")), asked + VALID_FOR);
        assert!(remembered.kept.is_empty() && remembered.under_way.is_empty());
    }

    #[test]
    fn what_was_refused_is_read_anew() {
        let (mut remembered, asked) = (Remembered::default(), Instant::now());
        keep(&mut remembered, &CredentialSource::Controller, "one", asked);
        remembered.forget(&CredentialSource::Controller);
        assert!(remembered.get(&CredentialSource::Controller, asked, asked).is_none());
    }

    #[test]
    fn an_object_that_was_seen_after_the_read_is_not_served_by_it() {
        let (mut remembered, asked) = (Remembered::default(), Instant::now());
        keep(&mut remembered, &CredentialSource::Controller, "before", asked);
        let seen = asked + VALID_FOR / 100;
        assert!(remembered.get(&CredentialSource::Controller, seen, seen).is_none());
    }
}
