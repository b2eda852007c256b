//! The addresses behind names. DNS has a time of its own: a resolver that waits for a silent name server takes longer than a
//! connection or a claim may. So it is asked before either, an answer serves for a while, and one that comes when nobody waits
//! for it any more serves the next who asks. It connects to nothing.

use std::{
    collections::{HashMap, HashSet},
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::time::{Instant, timeout};

/// Longest wait for an answer. The resolver of glibc takes 15 s to do without a name server's answer on IPv6.
pub const MAX_WAIT: Duration = Duration::from_secs(20);
/// How long an answer serves: longer than anything may take between its use before a claim and the call.
const VALID_FOR: Duration = Duration::from_secs(60);

/// A name has no address.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NameError {
    /// That was the answer.
    #[error("DNS does not resolve {name}: {why}")]
    Unresolved {
        /// The name.
        name: String,
        /// The resolver's words.
        why: String,
    },
    /// There was no answer.
    #[error("DNS did not answer for {0} within {within} s", within = MAX_WAIT.as_secs())]
    Silent(String),
}

type Answer = Result<Arc<[SocketAddr]>, NameError>;
/// An answer to come, and when it came.
type Asked = Shared<BoxFuture<'static, (Answer, Instant)>>;
/// What asks the system.
type Lookup = dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync;

#[derive(Default)]
struct State {
    asked: HashMap<String, Asked>,
    /// Names without an address when they were last asked for.
    failing: HashSet<String>,
}

/// See the module.
#[derive(Clone)]
pub struct Names {
    state: Arc<Mutex<State>>,
    lookup: Arc<Lookup>,
}

impl Names {
    /// Asks the system's resolver.
    pub fn of_system() -> Self {
        Self::new(|name| async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) }.boxed())
    }

    /// Asks that.
    pub fn new(
        lookup: impl Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync + 'static,
    ) -> Self {
        Self { state: Arc::default(), lookup: Arc::new(lookup) }
    }

    /// The addresses of a name, port 0.
    pub async fn resolve(&self, name: &str) -> Answer {
        let answer = match timeout(MAX_WAIT, self.asked(name)).await {
            Ok((answer, _)) => answer,
            Err(_) => Err(NameError::Silent(name.to_owned())),
        };
        self.with(|state| match &answer {
            Ok(_) => drop(state.failing.remove(name)),
            Err(_) => drop(state.failing.insert(name.to_owned())),
        });
        answer
    }

    /// Asks anew the next time: nobody answers at these addresses.
    pub fn forget(&self, name: &str) {
        self.with(|state| {
            if state.asked.get(name).is_some_and(|asked| asked.peek().is_some()) {
                state.asked.remove(name);
            }
        });
    }

    /// Whether the last who waited for its addresses got none.
    pub fn is_failing(&self, name: &str) -> bool {
        self.with(|state| state.failing.contains(name))
    }

    /// An answer that serves, or one that is under way, or a new one.
    fn asked(&self, name: &str) -> Asked {
        self.with(|state| {
            let serves =
                |asked: &&Asked| asked.peek().is_none_or(|(answer, at)| answer.is_ok() && at.elapsed() < VALID_FOR);
            if let Some(asked) = state.asked.get(name).filter(serves) {
                return asked.clone();
            }
            let (lookup, of) = ((self.lookup)(name.to_owned()), name.to_owned());
            let asked = async move { (answer(of, lookup.await), Instant::now()) }.boxed().shared();
            // It goes on when the task that asked has stopped waiting.
            drop(tokio::spawn(asked.clone()));
            state.asked.insert(name.to_owned(), asked.clone());
            asked
        })
    }

    fn with<T>(&self, of: impl FnOnce(&mut State) -> T) -> T {
        of(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn answer(name: String, found: io::Result<Vec<SocketAddr>>) -> Answer {
    match found {
        Ok(addresses) if addresses.is_empty() => {
            Err(NameError::Unresolved { name, why: "it has no address".to_owned() })
        }
        Ok(addresses) => Ok(addresses.into()),
        Err(error) => Err(NameError::Unresolved { name, why: error.to_string() }),
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let names = self.clone();
        Box::pin(async move {
            let addresses: Vec<_> = names.resolve(name.as_str()).await?.iter().copied().collect();
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
