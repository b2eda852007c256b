//! A cache of credentials that were just read, and of the reads in flight, for the objects of a burst. The clock is an
//! argument; it reads nothing itself.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use futures::future::{BoxFuture, Shared, WeakShared};

use crate::credentials::{CredentialSource, CredentialsError, secret::Credential};

/// A read whose result several objects share.
pub type SharedRead = Shared<BoxFuture<'static, Result<Credential, CredentialsError>>>;
type WeakRead = WeakShared<BoxFuture<'static, Result<Credential, CredentialsError>>>;

/// Time to live of a result, from the start of its read: a backlog costs one read per second instead of one per object.
pub const VALID_FOR: Duration = Duration::from_secs(1);

/// The cache, by credential source.
#[derive(Default)]
pub struct CredentialCache {
    results: HashMap<CredentialSource, (Instant, Credential)>,
    reads: HashMap<CredentialSource, (Instant, WeakRead)>,
}

impl CredentialCache {
    /// The cached credential, if its read started within the last second and not before `since`. A user who changes a
    /// Secret and then an object that uses it means the new Secret: no call is made with credentials that were read
    /// before the object was seen.
    pub fn get(&self, source: &CredentialSource, since: Instant, now: Instant) -> Option<Credential> {
        let (started, credential) = self.results.get(source)?;
        (*started >= since && now.saturating_duration_since(*started) < VALID_FOR).then(|| credential.clone())
    }

    /// A read in flight that started within the last second and not before `since`. A slower read blocks no later object,
    /// and gives it nothing older than the cache may.
    pub fn in_flight(&self, source: &CredentialSource, since: Instant, now: Instant) -> Option<SharedRead> {
        let (started, read) = self.reads.get(source)?;
        let is_valid = *started >= since && now.saturating_duration_since(*started) < VALID_FOR;
        if is_valid { read.upgrade() } else { None }
    }

    /// Records the start of a read. Of two overlapping reads the later one is shared, since its result is newer; objects
    /// that wait for the earlier one continue to wait for it.
    pub fn start(&mut self, source: &CredentialSource, started: Instant, read: &SharedRead) {
        if let Some(read) = read.downgrade() {
            self.reads.insert(source.clone(), (started, read));
        }
    }

    /// Records the end of that read, with its credential if it succeeded. Nothing is cached if the source was invalidated
    /// or a later read has started, or if the result has expired.
    pub fn finish(
        &mut self,
        source: &CredentialSource,
        started: Instant,
        credential: Option<&Credential>,
        now: Instant,
    ) {
        if self.reads.get(source).is_none_or(|(latest, _)| *latest != started) {
            return;
        }
        self.reads.remove(source);
        if let Some(credential) = credential {
            self.results.insert(source.clone(), (started, credential.clone()));
        }
        self.remove_expired(now);
    }

    /// Removes expired results and abandoned reads.
    pub fn remove_expired(&mut self, now: Instant) {
        self.results.retain(|_, (started, _)| now.saturating_duration_since(*started) < VALID_FOR);
        self.reads.retain(|_, (_, read)| read.upgrade().is_some());
    }

    /// The next object reads that source again, since its credential was refused.
    pub fn invalidate(&mut self, source: &CredentialSource) {
        self.results.remove(source);
        self.reads.remove(source);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::cloud::auth::AccessKey;

    fn credential(access: &str) -> Credential {
        Credential::AccessKey(AccessKey { access: access.to_owned(), secret: "SK".to_owned().into(), token: None })
    }

    fn keep(cache: &mut CredentialCache, source: &CredentialSource, what: &str, started: Instant) {
        let read: SharedRead = futures::future::pending().boxed().shared();
        cache.start(source, started, &read);
        cache.finish(source, started, Some(&credential(what)), started);
    }

    fn access(credential: Option<Credential>) -> Option<String> {
        match credential? {
            Credential::AccessKey(key) => Some(key.access),
            Credential::User(_) => None,
        }
    }

    #[test]
    fn a_result_is_cached_for_a_second_from_the_start_of_its_read() {
        let (mut cache, started) = (CredentialCache::default(), Instant::now());
        keep(&mut cache, &CredentialSource::Controller, "one", started);
        assert_eq!(
            access(cache.get(&CredentialSource::Controller, started, started + VALID_FOR / 2)).as_deref(),
            Some("one")
        );
        assert!(cache.get(&CredentialSource::Controller, started, started + VALID_FOR).is_none());
        let other = CredentialSource::Secret { namespace: "team".to_owned(), name: "other".to_owned() };
        keep(&mut cache, &other, "two", started + VALID_FOR);
        assert_eq!(cache.results.len(), 1, "no expired key stays in memory");
    }

    #[test]
    fn a_read_that_ends_after_a_later_one_started_is_not_cached() {
        let (mut cache, started) = (CredentialCache::default(), Instant::now());
        let (old, new) = (futures::future::pending().boxed().shared(), futures::future::pending().boxed().shared());
        cache.start(&CredentialSource::Controller, started, &old);
        cache.start(&CredentialSource::Controller, started + VALID_FOR / 2, &new);
        cache.finish(
            &CredentialSource::Controller,
            started + VALID_FOR / 2,
            Some(&credential("new")),
            started + VALID_FOR / 2,
        );
        cache.finish(&CredentialSource::Controller, started, Some(&credential("old")), started + VALID_FOR / 2);
        assert_eq!(
            access(cache.get(&CredentialSource::Controller, started, started + VALID_FOR / 2)).as_deref(),
            Some("new")
        );
    }

    #[test]
    fn a_read_slower_than_the_time_to_live_is_neither_shared_nor_cached() {
        let (mut cache, started) = (CredentialCache::default(), Instant::now());
        let slow: SharedRead = futures::future::pending().boxed().shared();
        cache.start(&CredentialSource::Controller, started, &slow);
        assert!(cache.in_flight(&CredentialSource::Controller, started, started + VALID_FOR / 2).is_some());
        assert!(cache.in_flight(&CredentialSource::Controller, started, started + VALID_FOR).is_none());
        assert!(
            cache.in_flight(&CredentialSource::Controller, started + VALID_FOR / 4, started + VALID_FOR / 2).is_none(),
            "the object was seen later"
        );
        cache.finish(&CredentialSource::Controller, started, Some(&credential("old")), started + VALID_FOR);
        assert!(cache.results.is_empty() && cache.reads.is_empty());
    }

    #[test]
    fn an_invalidated_source_is_read_again() {
        let (mut cache, started) = (CredentialCache::default(), Instant::now());
        keep(&mut cache, &CredentialSource::Controller, "one", started);
        cache.invalidate(&CredentialSource::Controller);
        assert!(cache.get(&CredentialSource::Controller, started, started).is_none());
    }

    #[test]
    fn an_object_seen_after_the_read_does_not_get_its_result() {
        let (mut cache, started) = (CredentialCache::default(), Instant::now());
        keep(&mut cache, &CredentialSource::Controller, "before", started);
        let seen = started + VALID_FOR / 100;
        assert!(cache.get(&CredentialSource::Controller, seen, seen).is_none());
    }
}
