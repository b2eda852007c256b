//! Which of several controllers is active: a Lease in the controller's own namespace, for orderly operation. The
//! guarantee does not depend on it. Code that records an outcome must not consult it.
//!
//! Own code, since kube-lease-manager compares the clocks of hosts; this follows client-go: only the time for which
//! **this** process has seen a lease unchanged counts.

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::runtime::{
    metrics::Metrics,
    throttle::{ThrottledLog, doubling, jittered},
};

pub type Leadership = watch::Receiver<bool>;

#[derive(Clone, Debug)]
pub struct Settings {
    /// Another one after a restart of the container.
    pub identity: String,
    pub name: String,
    pub namespace: String,
    /// How long a holder keeps a lease that it does not renew; at least 5 s.
    pub duration: Duration,
}

impl Settings {
    /// The holder stops leading this long after its last renewal, well before another candidate may start.
    fn renew_deadline(&self) -> Duration {
        self.duration * 2 / 3
    }

    /// A connection that hangs must leave time for a second one.
    fn request_timeout(&self) -> Duration {
        self.renew_deadline() / 3
    }

    fn retry(&self) -> Duration {
        self.duration * 2 / 15
    }

    /// Leaves time for a renewal that hangs and another one after it.
    fn renew(&self) -> Duration {
        self.duration * 3 / 10
    }
}

pub fn without_election() -> Leadership {
    watch::channel(true).1
}

/// Competes for the lease until `stop`, then releases it. The returned task ends after that.
pub fn compete(
    client: &Client,
    settings: Settings,
    metrics: Metrics,
    stop: CancellationToken,
) -> (Leadership, tokio::task::JoinHandle<()>) {
    let (leads, leadership) = watch::channel(false);
    let api = Api::namespaced(client.clone(), &settings.namespace);
    let observer = Observer::new(&settings.identity, settings.duration);
    let candidate = Candidate { api, settings, observer, leads, metrics, held: None };
    (leadership, tokio::spawn(candidate.run(stop)))
}

struct Candidate {
    api: Api<Lease>,
    settings: Settings,
    observer: Observer,
    leads: watch::Sender<bool>,
    metrics: Metrics,
    /// The lease as this process wrote it last.
    held: Option<Lease>,
}

impl Candidate {
    async fn run(mut self, stop: CancellationToken) {
        self.metrics.leading(&self.settings.name, false);
        // When the last renewal that succeeded was begun.
        let mut renewed = None::<Instant>;
        let (retry, renew_deadline) = (self.settings.retry(), self.settings.renew_deadline());
        // Longer after each failure, but not so long that the lease is taken over late.
        let mut pauses = doubling(retry, renew_deadline);
        let mut throttle = ThrottledLog::default();
        loop {
            let begun = Instant::now();
            let deadline = renewed.unwrap_or(begun) + renew_deadline;
            let round = timeout_at(deadline.min(begun + self.settings.request_timeout()), self.round()).await;
            let result = round.map_or_else(|_| Err("no answer in time".to_owned()), |r| r.map_err(|e| e.to_string()));
            match &result {
                Ok(holds) => {
                    renewed = holds.then_some(begun);
                    (pauses, throttle) = (doubling(retry, renew_deadline), ThrottledLog::default());
                }
                Err(error) => self.log(error, throttle.failed("lease", begun.into_std()).is_some()),
            }
            renewed = renewed.filter(|renewed| renewed.elapsed() < renew_deadline);
            self.set_leading(renewed.is_some());
            let now = Instant::now();
            let next = match (renewed, result) {
                (Some(renewed), Ok(_)) => renewed + self.settings.renew(),
                // A leader without answers must not sleep past its deadline.
                (Some(renewed), Err(_)) => (now + jittered(retry / 2)).min(renewed + renew_deadline),
                (None, Ok(_)) => now + jittered(retry),
                (None, Err(_)) => now + jittered(pauses.next().unwrap_or(renew_deadline)),
            };
            tokio::select! { () = sleep_until(next) => {}, () = stop.cancelled() => break }
        }
        self.set_leading(false);
        if renewed.is_some() {
            match timeout_at(Instant::now() + retry, self.release()).await {
                Ok(Ok(())) => tracing::info!(lease = self.settings.name, "gave the lease back"),
                Ok(Err(error)) => tracing::info!(%error, "the lease could not be given back; it expires by itself"),
                Err(_) => tracing::info!("the lease could not be given back in time; it expires by itself"),
            }
        }
    }

    fn log(&self, error: &str, is_news: bool) {
        let Settings { name: lease, namespace, .. } = &self.settings;
        if is_news {
            tracing::warn!(
                lease,
                namespace,
                error,
                "the lease cannot be read or written, and without it nothing is claimed. The controller's role needs create on leases, and get and update on this one, in this namespace"
            );
        } else {
            tracing::debug!(lease, namespace, error, "the lease cannot be read or written");
        }
    }

    fn set_leading(&self, leads: bool) {
        let changed = self.leads.send_if_modified(|before| std::mem::replace(before, leads) != leads);
        if changed {
            self.metrics.leading(&self.settings.name, leads);
            tracing::info!(
                lease = self.settings.name,
                identity = self.settings.identity,
                leads,
                "{}",
                if leads { "leading" } else { "not leading any more: no new claim is made" }
            );
        }
    }

    /// One round: renews the lease, or reads it and takes it if it may. Returns whether this process holds the lease.
    async fn round(&mut self) -> Result<bool, kube::Error> {
        // A lease that this process wrote last needs no read: the write fails if another one has written it since.
        if let Some(mut lease) = self.held.take() {
            if let Some(spec) = &mut lease.spec {
                spec.renew_time = Some(now());
            }
            if self.write(&lease).await? {
                return Ok(true);
            }
        }
        let Some(lease) = self.api.get_opt(&self.settings.name).await? else {
            let metadata = ObjectMeta { name: Some(self.settings.name.clone()), ..ObjectMeta::default() };
            let first = Lease { metadata, spec: Some(self.taken(None)) };
            let created = self.api.create(&PostParams::default(), &first).await;
            return self.keep(created);
        };
        let spec = match self.observer.step(&lease, Instant::now()) {
            Step::Wait => return Ok(false),
            Step::Take => self.taken(lease.spec.as_ref()),
            Step::Renew => LeaseSpec { renew_time: Some(now()), ..lease.spec.clone().unwrap_or_default() },
        };
        // With the resourceVersion that was read: of two that take the lease at once, one gets a conflict.
        let next = Lease { metadata: lease.metadata, spec: Some(spec) };
        self.write(&next).await
    }

    async fn write(&mut self, lease: &Lease) -> Result<bool, kube::Error> {
        let written = self.api.replace(&self.settings.name, &PostParams::default(), lease).await;
        self.keep(written)
    }

    /// Keeps the lease that was written. A conflict is no failure: another candidate was faster.
    fn keep(&mut self, written: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
        match written {
            Ok(lease) => {
                self.held = Some(lease);
                Ok(true)
            }
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn release(&self) -> Result<(), kube::Error> {
        let Some(mut lease) = self.api.get_opt(&self.settings.name).await? else { return Ok(()) };
        let is_own = |spec: &&mut LeaseSpec| spec.holder_identity.as_ref() == Some(&self.settings.identity);
        if let Some(spec) = lease.spec.as_mut().filter(is_own) {
            spec.holder_identity = None;
            spec.lease_duration_seconds = Some(1);
            spec.renew_time = Some(now());
            self.api.replace(&self.settings.name, &PostParams::default(), &lease).await?;
        }
        Ok(())
    }

    fn taken(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let transitions = before.and_then(|spec| spec.lease_transitions).unwrap_or_default();
        LeaseSpec {
            acquire_time: Some(now()),
            holder_identity: Some(self.settings.identity.clone()),
            lease_duration_seconds: i32::try_from(self.settings.duration.as_secs()).ok(),
            lease_transitions: Some(if before.is_some() { transitions.saturating_add(1) } else { 0 }),
            renew_time: Some(now()),
            ..before.cloned().unwrap_or_default()
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Another process holds the lease and may still be alive.
    Wait,
    /// Nobody holds the lease, or its holder has not renewed it for the duration that the lease states.
    Take,
    /// This process holds the lease.
    Renew,
}

/// PURE: for how long this process has seen a lease unchanged. Never compares the clock with the times in the lease, which
/// come from other hosts.
#[derive(Debug)]
struct Observer {
    identity: String,
    /// For a lease that does not state its own.
    duration: Duration,
    seen: Option<(Option<String>, Instant)>,
}

impl Observer {
    fn new(identity: &str, duration: Duration) -> Self {
        Self { identity: identity.to_owned(), duration, seen: None }
    }

    fn step(&mut self, lease: &Lease, now: Instant) -> Step {
        let spec = lease.spec.as_ref();
        let holder = spec.and_then(|spec| spec.holder_identity.as_deref()).filter(|holder| !holder.is_empty());
        let version = &lease.metadata.resource_version;
        if self.seen.as_ref().is_none_or(|(seen, _)| seen != version) {
            self.seen = Some((version.clone(), now));
        }
        let since = self.seen.as_ref().map_or(now, |(_, since)| *since);
        match holder {
            None => Step::Take,
            Some(holder) if holder == self.identity => Step::Renew,
            Some(_) => {
                let stated = spec.and_then(|spec| spec.lease_duration_seconds).and_then(|s| u64::try_from(s).ok());
                let held = stated.map_or(self.duration, Duration::from_secs);
                if now.saturating_duration_since(since) >= held { Step::Take } else { Step::Wait }
            }
        }
    }
}

fn now() -> MicroTime {
    MicroTime(Timestamp::now())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;
