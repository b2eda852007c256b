//! A cache of DNS answers. A resolver that waits for a silent name server takes longer than a connection or a claim may, so
//! names are resolved before either, and answers are cached, also those that arrive after the caller's timeout.

use std::{
    collections::{HashMap, HashSet},
    io,
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

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

#[derive(Default)]
struct State {
    queries: HashMap<String, Query>,
    /// Names whose last query returned no address.
    failing: HashSet<String>,
}

#[derive(Clone)]
pub struct DnsCache {
    state: Arc<Mutex<State>>,
    lookup: Arc<Lookup>,
}

impl DnsCache {
    pub fn system() -> Self {
        Self::new(|name| async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) }.boxed())
    }

    pub fn new(
        lookup: impl Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync + 'static,
    ) -> Self {
        Self { state: Arc::default(), lookup: Arc::new(lookup) }
    }

    pub async fn resolve(&self, name: &str) -> Addresses {
        let answer = match timeout(MAX_WAIT, self.query(name)).await {
            Ok((answer, _)) => answer,
            Err(_) => Err(format!("DNS did not answer for {name} within {} s", MAX_WAIT.as_secs())),
        };
        let mut state = self.state.lock();
        if answer.is_ok() {
            state.failing.remove(name);
        } else {
            state.failing.insert(name.to_owned());
        }
        drop(state);
        answer
    }

    /// Drops the cached addresses, since no server answers at them: the next call queries again.
    pub fn forget(&self, name: &str) {
        let is_pending = |query: &Query| query.peek().is_none();
        self.state.lock().queries.retain(|known, query| known != name || is_pending(query));
    }

    /// Whether the last caller of `resolve` got no address.
    pub fn is_failing(&self, name: &str) -> bool {
        self.state.lock().failing.contains(name)
    }

    /// A query with a valid answer, or a pending one, or a new one.
    fn query(&self, name: &str) -> Query {
        let is_valid = |query: &&Query| {
            query.peek().is_none_or(|(addresses, time)| addresses.is_ok() && time.elapsed() < VALID_FOR)
        };
        let mut state = self.state.lock();
        if let Some(query) = state.queries.get(name).filter(is_valid) {
            return query.clone();
        }
        let (lookup, queried) = ((self.lookup)(name.to_owned()), name.to_owned());
        let query = async move {
            let addresses = match lookup.await {
                Ok(found) if found.is_empty() => Err("it has no address".to_owned()),
                Ok(found) => Ok(found.into()),
                Err(error) => Err(error.to_string()),
            };
            (addresses.map_err(|why| format!("DNS does not resolve {queried}: {why}")), Instant::now())
        };
        let query = query.boxed().shared();
        // The query continues after the task that started it has stopped waiting.
        drop(tokio::spawn(query.clone()));
        state.queries.insert(name.to_owned(), query.clone());
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
