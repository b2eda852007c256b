//! One endless watch: a list, the events after it, and a new list at intervals. Failures are retried with a growing
//! back-off, and a new kind of error is logged, not one that goes on. Decides nothing about an object.

use std::{collections::BTreeSet, time::Duration};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures::{
    Stream, StreamExt,
    future::OptionFuture,
    stream::{self, BoxStream},
};
use http::{Request, StatusCode};
use kube::{
    Api, Client,
    client::Body,
    runtime::watcher::{self, Event, watcher},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    runtime::{jitter::jittered, write_limit::ThrottledLog},
    store::object::StoredObject,
};

/// Objects per page of a list: few, since a page is in memory at once, however many objects there are.
const PAGE: u32 = 200;
/// First pause. Short, since a user may wait for an object, and only the watch shows it.
const FIRST: Duration = Duration::from_millis(500);
/// Longest pause of a single watch: one request per ten seconds is no burden for an API server that recovers.
const MAX: Duration = Duration::from_secs(10);
/// Longest pause per watch, if there are several: all of them together make less than one request a second.
const PAUSE_PER_WATCH: Duration = Duration::from_secs(3);
/// Longest pause for any number of watches.
const MAX_OF_MANY: Duration = Duration::from_secs(300);
/// After this long without a failure the pauses start again. Received data is no sign of recovery: a list whose second
/// page fails starts again and again.
const STEADY: Duration = Duration::from_secs(10);

#[allow(clippy::large_enum_variant, reason = "nearly all values are events")]
pub enum WatchEvent {
    Event(Event<StoredObject>),
    /// The API server has accepted the watch. An idle watch may deliver nothing else for a long time.
    Open,
    /// The watch failed and continues after this pause; `None`: at once.
    Failed(watcher::Error, Option<Duration>),
}

/// One of `watches` watches, of this namespace or of all.
pub fn objects(
    client: &Client,
    namespace: Option<&str>,
    (config, relist_every): (&watcher::Config, Duration),
    watches: usize,
) -> impl Stream<Item = WatchEvent> + Send + use<> {
    let (client, answers) = counted(client);
    let api =
        namespace.map_or_else(|| Api::all(client.clone()), |namespace| Api::namespaced(client.clone(), namespace));
    let config = config.clone().page_size(PAGE);
    let watch = Watch {
        api,
        config,
        relist_every,
        answers,
        events: None,
        is_listed: false,
        relist_at: None,
        pauses: Pauses::new(watches),
        pause: None,
    };
    stream::unfold(watch, |mut watch| async { Some((watch.next().await, watch)) })
}

/// The same client with the number of its successful responses: kube-runtime does not report when a watch is open.
fn counted(client: &Client) -> (Client, watch::Receiver<u64>) {
    let (answers, answered) = watch::channel(0_u64);
    let inner = client.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let (inner, answers) = (inner.clone(), answers.clone());
        async move {
            let response = inner.send(request).await?;
            if response.status().is_success() {
                answers.send_modify(|answers| *answers = answers.wrapping_add(1));
            }
            Ok::<_, kube::Error>(response)
        }
    });
    (Client::new(service, client.default_namespace()), answered)
}

struct Watch {
    api: Api<StoredObject>,
    config: watcher::Config,
    relist_every: Duration,
    answers: watch::Receiver<u64>,
    /// `None`: the next step is a list.
    events: Option<BoxStream<'static, watcher::Result<Event<StoredObject>>>>,
    /// The list is complete, so that the next request is a watch.
    is_listed: bool,
    /// kube-runtime lists again only after a 410: without this, an object whose last event was lost would wait without
    /// end.
    relist_at: Option<Instant>,
    pauses: Pauses,
    pause: Option<Duration>,
}

impl Watch {
    async fn next(&mut self) -> WatchEvent {
        if let Some(pause) = self.pause.take() {
            sleep(pause).await;
        }
        loop {
            let events = self.events.get_or_insert_with(|| {
                self.is_listed = false;
                watcher(self.api.clone(), self.config.clone()).boxed()
            });
            tokio::select! {
                // Received events come before the report that the watch is open.
                biased;
                event = events.next() => match event {
                    Some(Ok(event)) => {
                        if matches!(event, Event::InitDone) {
                            self.listed();
                        }
                        return WatchEvent::Event(event);
                    }
                    Some(Err(error)) => return self.failed(error),
                    None => self.events = None,
                },
                Some(()) = OptionFuture::from(self.relist_at.map(sleep_until)) => (self.events, self.relist_at) = (None, None),
                Ok(()) = self.answers.changed(), if self.is_listed => return WatchEvent::Open,
            }
        }
    }

    fn listed(&mut self) {
        self.is_listed = true;
        self.relist_at = Some(Instant::now() + jittered(self.relist_every));
        // The responses so far belong to the list.
        self.answers.mark_unchanged();
    }

    fn failed(&mut self, error: watcher::Error) -> WatchEvent {
        // The version to continue from is too old.
        let is_gone = code(&error) == Some(410);
        if is_gone {
            // If a 410 answers the request for the watch itself, kube-runtime would repeat that request.
            (self.events, self.relist_at) = (None, None);
        }
        let pause = self.pauses.after_failure(is_gone, std::time::Instant::now());
        self.pause = (!pause.is_zero()).then(|| jittered(pause));
        WatchEvent::Failed(error, self.pause)
    }
}

/// The HTTP status code of a failure that has one.
fn code(error: &watcher::Error) -> Option<u16> {
    match error {
        watcher::Error::WatchError(status)
        | watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status)) => Some(status.code),
        _ => None,
    }
}

#[derive(Debug)]
pub struct Pauses {
    builder: ExponentialBuilder,
    backoff: ExponentialBackoff,
    /// When the last pause ended.
    last_try: Option<std::time::Instant>,
}

impl Pauses {
    pub fn new(watches: usize) -> Self {
        let all = PAUSE_PER_WATCH.saturating_mul(u32::try_from(watches).unwrap_or(u32::MAX));
        let longest = MAX.max(all).min(MAX_OF_MANY);
        let builder = ExponentialBuilder::new().with_min_delay(FIRST).with_max_delay(longest).without_max_times();
        Self { builder, backoff: builder.build(), last_try: None }
    }

    /// The pause after a failure. After a 410 (`is_gone`) there is none, since a new list fixes it; but there is one if
    /// the list does not help.
    pub fn after_failure(&mut self, is_gone: bool, now: std::time::Instant) -> Duration {
        let was_steady = self.last_try.is_none_or(|last_try| now.saturating_duration_since(last_try) >= STEADY);
        if was_steady {
            self.backoff = self.builder.build();
        }
        let pause = if was_steady && is_gone { Duration::ZERO } else { self.backoff.next().unwrap_or(MAX_OF_MANY) };
        self.last_try = Some(now + pause);
        pause
    }
}

/// The failing watches, and which of their failures to log.
#[derive(Debug, Default)]
pub struct WatchErrors {
    failing: BTreeSet<usize>,
    log: ThrottledLog,
    /// A failure was logged since all watches last worked.
    has_logged: bool,
}

impl WatchErrors {
    /// A watch failed. Returns whether to log it; the line then covers all watches that fail now.
    pub fn failed(&mut self, watch: usize, error: &watcher::Error, now: std::time::Instant) -> bool {
        self.failing.insert(watch);
        let status = code(error).and_then(|code| StatusCode::from_u16(code).ok()?.canonical_reason());
        let is_logged = self.log.failed(status.unwrap_or("no answer"), now).is_some();
        self.has_logged |= is_logged;
        is_logged
    }

    pub fn failing(&self) -> impl Iterator<Item = usize> {
        self.failing.iter().copied()
    }

    /// A watch works. Returns whether to log that all of them do.
    pub fn recovered(&mut self, watch: usize) -> bool {
        if !self.failing.remove(&watch) || !self.failing.is_empty() {
            return false;
        }
        std::mem::take(self).has_logged
    }
}

#[cfg(test)]
mod tests;
