//! Whether endpoints can be reached: a probe through the connector of the calls (names, addresses, proxy, TLS, timeouts)
//! fails if and only if a call could not connect. An endpoint that failed is probed by one task at a time, with a growing
//! back-off, so that an outage of the cloud costs neither claims nor writes.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use backon::ExponentialBackoff;
use parking_lot::Mutex;
use url::Host;

use super::Client;
use crate::{
    api::Reason,
    protocol::{hold::Hold, regions::Endpoint},
    runtime::{
        locks::{Lock, Locks},
        throttle::{doubling, jittered_at_least},
    },
};

/// First pause before an unreachable endpoint is tried again.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// Longest such pause.
const MAX_PAUSE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub struct EndpointHealth {
    /// When an unreachable endpoint is tried again, and the pauses after that.
    unreachable: Mutex<HashMap<String, (Instant, ExponentialBackoff)>>,
    probes: Locks<String>,
}

impl EndpointHealth {
    /// Returns at once if no failure is known. Else waits for the request that tries the endpoint now, and returns the
    /// right to be the next one to try it, or the time until that is due.
    pub async fn enter(&self, endpoint: &str) -> Result<Option<Lock<String>>, Duration> {
        if !self.is_unreachable(endpoint) {
            return Ok(None);
        }
        let probe = self.probes.lock(endpoint.to_owned()).await;
        let next = self.unreachable.lock().get(endpoint).map(|(next, _)| *next);
        match next.map(|next| next.saturating_duration_since(Instant::now())) {
            None => Ok(None),
            Some(wait) if wait.is_zero() => Ok(Some(probe)),
            Some(wait) => Err(wait),
        }
    }

    /// A connection failed. Returns the pause until the next one. Failures of requests that began together count once.
    pub fn failed(&self, endpoint: &str) -> Duration {
        let (mut known, now) = (self.unreachable.lock(), Instant::now());
        let new = || (now, doubling(FIRST_PAUSE, MAX_PAUSE));
        let (next, pauses) = known.entry(endpoint.to_owned()).or_insert_with(new);
        if *next <= now {
            *next = now + pauses.next().unwrap_or(MAX_PAUSE);
        }
        next.saturating_duration_since(now)
    }

    /// A connection succeeded. Returns whether the endpoint was unreachable before.
    pub fn reached(&self, endpoint: &str) -> bool {
        self.unreachable.lock().remove(endpoint).is_some()
    }

    pub fn is_unreachable(&self, endpoint: &str) -> bool {
        self.unreachable.lock().contains_key(endpoint)
    }
}

impl Client {
    /// Whether a request to this endpoint can connect, as far as that is known: an endpoint that failed before, or is
    /// `suspect`, is probed, one probe at a time; of any other only the name is resolved, since DNS may take longer than a
    /// claim may wait for its request. Returns whether the endpoint was unreachable before.
    pub async fn reach(&self, endpoint: &Endpoint, suspect: bool) -> Result<bool, Hold> {
        let probe = self
            .health()
            .enter(&endpoint.host)
            .await
            .map_err(|wait| self.unreachable(endpoint, jittered_at_least(wait)))?;
        let result = if probe.is_some() || suspect {
            self.probe(endpoint).await.map(|()| self.health.reached(&endpoint.host))
        } else {
            self.resolve(endpoint).await.map(|()| false)
        };
        result.map_err(|error| {
            let pause = self.health.failed(&endpoint.host);
            tracing::info!(endpoint = %endpoint.host, %error, "the endpoint cannot be reached");
            self.unreachable(endpoint, pause)
        })
    }

    pub const fn health(&self) -> &EndpointHealth {
        &self.health
    }

    /// The endpoint did not accept a connection, or DNS did not resolve its name, which has to come first.
    pub fn unreachable(&self, endpoint: &Endpoint, retry_after: Duration) -> Hold {
        let host = &endpoint.host;
        let message = match self.unresolved(endpoint) {
            Some(name) => format!(
                "{host} cannot be reached: DNS gives no address for {name}. Nothing was sent. The operator retries automatically; check the name, and the DNS of the controller's host or pod"
            ),
            None => format!(
                "{host} cannot be reached. Nothing was sent. The operator retries automatically; check the network, the proxy and --ca-bundle"
            ),
        };
        Hold { reason: Reason::EndpointUnreachable, message, retry_after }
    }

    /// Fails where a call could not connect.
    pub(super) async fn probe(&self, endpoint: &Endpoint) -> Result<(), String> {
        self.resolve(endpoint).await?;
        let result = self.connect(endpoint).await;
        if let (Err(_), Some(name)) = (&result, self.name_of(endpoint)) {
            self.dns.forget(name);
        }
        result
    }

    /// Resolves the addresses of an endpoint in advance, so that the next connection need not wait for DNS.
    pub(super) async fn resolve(&self, endpoint: &Endpoint) -> Result<(), String> {
        match self.name_of(endpoint) {
            Some(name) => self.dns.resolve(name).await.map(drop),
            None => Ok(()),
        }
    }

    /// The name of this endpoint that DNS did not resolve at the last query.
    fn unresolved<'a>(&'a self, endpoint: &'a Endpoint) -> Option<&'a str> {
        self.name_of(endpoint).filter(|name| self.dns.is_failing(name))
    }

    /// The name to resolve: the proxy's if there is a proxy, which resolves the endpoint's name itself. `None` for an IP
    /// address.
    fn name_of<'a>(&'a self, endpoint: &'a Endpoint) -> Option<&'a str> {
        // As for the call: plain http bypasses the proxy.
        let proxy = self.proxy.as_ref().filter(|_| endpoint.url.scheme() == "https");
        match proxy.unwrap_or(&endpoint.url).host() {
            Some(Host::Domain(name)) => Some(name),
            _ => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

#[cfg(test)]
mod pauses {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn an_endpoint_that_failed_is_tried_by_one_after_its_pause() {
        let health = EndpointHealth::default();
        assert!(matches!(health.enter("a").now_or_never(), Some(Ok(None))));
        assert_eq!(health.failed("a"), FIRST_PAUSE);
        assert!(health.failed("a") <= FIRST_PAUSE, "failures that began together count once");
        assert!(matches!(health.enter("a").now_or_never(), Some(Err(_))));
        assert!(matches!(health.enter("b").now_or_never(), Some(Ok(None))));
        for (next, _) in health.unreachable.lock().values_mut() {
            *next = Instant::now();
        }
        let probe = health.enter("a").now_or_never();
        assert!(matches!(probe, Some(Ok(Some(_)))));
        assert!(health.enter("a").now_or_never().is_none(), "one at a time");
        assert!(health.reached("a") && !health.reached("a"));
        drop(probe);
        assert!(matches!(health.enter("a").now_or_never(), Some(Ok(None))));
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        let health = EndpointHealth::default();
        let mut pauses = Vec::new();
        for _ in 0..7 {
            pauses.push(health.failed("a").as_secs());
            health.unreachable.lock().values_mut().for_each(|(next, _)| *next = Instant::now());
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60]);
    }
}
