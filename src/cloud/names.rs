//! A cache of DNS answers. A resolver that waits for a silent name server takes longer than a connection or a claim may, so
//! names are resolved before either, and answers are cached, also those that arrive after the caller's timeout.

use std::{collections::HashMap, io, net::SocketAddr, sync::Arc, time::Duration};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use parking_lot::Mutex;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::time::{Instant, timeout};

/// Timeout of a query. The resolver of glibc takes 15 s if a name server does not answer for IPv6.
pub const MAX_WAIT: Duration = Duration::from_secs(20);
/// Time to live of an answer: longer than the time between the query before a claim and the call may be.
const VALID_FOR: Duration = Duration::from_secs(60);

type Addresses = Result<Arc<[SocketAddr]>, String>;
/// A query, pending or answered, and the time of its answer.
type Query = Shared<BoxFuture<'static, (Addresses, Instant)>>;
type Lookup = dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync;

#[derive(Clone)]
pub struct DnsCache {
    /// By name, each with the time of its beginning.
    queries: Arc<Mutex<HashMap<String, (Instant, Query)>>>,
    lookup: Arc<Lookup>,
}

impl DnsCache {
    pub fn system() -> Self {
        Self::new(|name| async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) }.boxed())
    }

    pub fn new(
        lookup: impl Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync + 'static,
    ) -> Self {
        Self { queries: Arc::default(), lookup: Arc::new(lookup) }
    }

    pub async fn resolve(&self, name: &str) -> Addresses {
        match timeout(MAX_WAIT, self.query(name)).await {
            Ok((answer, _)) => answer,
            Err(_) => Err(format!("DNS did not answer for {name} within {} s", MAX_WAIT.as_secs())),
        }
    }

    /// Drops the cached addresses, since no server answers at them: the next call queries again.
    pub fn forget(&self, name: &str) {
        self.queries.lock().retain(|known, (_, query)| known != name || query.peek().is_none());
    }

    /// Whether the last query gave no address, or does not answer.
    pub fn is_failing(&self, name: &str) -> bool {
        let has_failed = |(begun, query): &(Instant, Query)| match query.peek() {
            Some((addresses, _)) => addresses.is_err(),
            None => begun.elapsed() >= MAX_WAIT,
        };
        self.queries.lock().get(name).is_some_and(has_failed)
    }

    /// A query with a valid answer, or a pending one, or a new one.
    fn query(&self, name: &str) -> Query {
        let is_valid = |query: &Query| {
            query.peek().is_none_or(|(addresses, time)| addresses.is_ok() && time.elapsed() < VALID_FOR)
        };
        let mut queries = self.queries.lock();
        if let Some((_, query)) = queries.get(name).filter(|(_, query)| is_valid(query)) {
            return query.clone();
        }
        let (lookup, failed) = ((self.lookup)(name.to_owned()), format!("DNS does not resolve {name}"));
        let query = async move {
            let addresses = match lookup.await {
                Ok(found) if found.is_empty() => Err("it has no address".to_owned()),
                Ok(found) => Ok(found.into()),
                Err(error) => Err(error.to_string()),
            };
            (addresses.map_err(|why| format!("{failed}: {why}")), Instant::now())
        };
        let query = query.boxed().shared();
        // The query continues after the task that started it has stopped waiting.
        drop(tokio::spawn(query.clone()));
        queries.insert(name.to_owned(), (Instant::now(), query.clone()));
        query
    }
}

impl Resolve for DnsCache {
    fn resolve(&self, name: Name) -> Resolving {
        let dns = self.clone();
        Box::pin(async move {
            let addresses: Vec<_> = dns.resolve(name.as_str()).await?.iter().copied().collect();
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
