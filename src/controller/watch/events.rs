//! One endless watch: a list, the events after it, and a new list at intervals. The API server streams the list as
//! events of the watch, or sends pages if it cannot. Failures are retried with a growing back-off, and a new error is
//! logged, not one that goes on. Decides nothing about an object.

use std::{
    collections::BTreeMap,
    error::Error,
    iter,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures::{
    Stream, StreamExt,
    future::OptionFuture,
    stream::{self, BoxStream},
};
use http::{Request, Uri, uri::InvalidUri};
use http_body_util::LengthLimitError;
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
    runtime::throttle::{WriteLimit, jittered},
    store::object::StoredObject,
};

/// Objects per page of a list: few, since a page is in memory at once, however many objects there are.
const PAGE: u32 = 200;
/// Objects per page of a list after one that was too long.
const SMALLER_PAGES: [u32; 3] = [50, 10, 1];
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
/// Burst size: lines that may be logged at once.
const LINES: u32 = 3;
/// Interval after the burst, one line in each, even if the error changes with every try.
const LINE_INTERVAL: Duration = Duration::from_secs(120);

/// What a watch delivers.
#[allow(clippy::large_enum_variant, reason = "nearly all values are events")]
pub enum WatchEvent {
    /// An event of the list or the watch.
    Event(Event<StoredObject>),
    /// The API server has accepted the watch. An idle watch may deliver nothing else for a long time.
    Open,
    /// The watch failed and continues after this pause; `None`: at once.
    Failed(watcher::Error, Option<Duration>),
}

/// One of `watches` watches, of this namespace or of all. They share `streams`: whether the API server streams lists.
pub fn objects(
    client: &Client,
    namespace: Option<&str>,
    (config, relist_every): (&watcher::Config, Duration),
    (watches, streams): (usize, Arc<AtomicBool>),
) -> impl Stream<Item = WatchEvent> + Send + use<> {
    let (client, answers) = counted(client);
    let api =
        namespace.map_or_else(|| Api::all(client.clone()), |namespace| Api::namespaced(client.clone(), namespace));
    let watch = Watch {
        api,
        config: config.clone(),
        relist_every,
        answers,
        streams,
        by_pages: false,
        page: PAGE,
        events: None,
        is_streamed: false,
        list: List::Requested,
        relist_at: None,
        pauses: Pauses::new(watches),
        pause: None,
    };
    stream::unfold(watch, |mut watch| async { Some((watch.next().await, watch)) })
}

/// The same client with the number of its successful responses: kube-runtime does not report when a watch is open. And
/// with lists that are current: kube-runtime streams those from version 0, that is, from a cache of any age.
fn counted(client: &Client) -> (Client, watch::Receiver<u64>) {
    let (answers, answered) = watch::channel(0_u64);
    let inner = client.clone();
    let service = tower::service_fn(move |mut request: Request<Body>| {
        let (inner, answers) = (inner.clone(), answers.clone());
        async move {
            *request.uri_mut() = current(request.uri()).map_err(|error| kube::Error::HttpError(error.into()))?;
            let response = inner.send(request).await?;
            if response.status().is_success() {
                answers.send_modify(|answers| *answers = answers.wrapping_add(1));
            }
            Ok::<_, kube::Error>(response)
        }
    });
    (Client::new(service, client.default_namespace()), answered)
}

/// Without a version, a streamed list is at least as new as its request.
fn current(uri: &Uri) -> Result<Uri, InvalidUri> {
    uri.to_string().replace("&resourceVersion=0", "&resourceVersion=").parse()
}

struct Watch {
    api: Api<StoredObject>,
    config: watcher::Config,
    relist_every: Duration,
    answers: watch::Receiver<u64>,
    /// False once the API server has refused to stream a list.
    streams: Arc<AtomicBool>,
    /// The next list comes by pages, since the last one was streamed and broke off.
    by_pages: bool,
    /// Objects per page.
    page: u32,
    /// `None`: the next step is a list.
    events: Option<BoxStream<'static, watcher::Result<Event<StoredObject>>>>,
    /// Whether the list of these events is streamed.
    is_streamed: bool,
    list: List,
    /// kube-runtime lists again only after a 410: without this, an object whose last event was lost would wait without
    /// end.
    relist_at: Option<Instant>,
    pauses: Pauses,
    pause: Option<Duration>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    Requested,
    Begun,
    /// The events after it follow.
    Complete,
}

impl Watch {
    async fn next(&mut self) -> WatchEvent {
        if let Some(pause) = self.pause.take() {
            sleep(pause).await;
        }
        loop {
            let events = self.events.get_or_insert_with(|| {
                self.list = List::Requested;
                self.is_streamed = self.streams.load(Ordering::Relaxed) && !self.by_pages;
                let config = if self.is_streamed {
                    self.config.clone().streaming_lists()
                } else {
                    self.config.clone().page_size(self.page)
                };
                watcher(self.api.clone(), config).boxed()
            });
            tokio::select! {
                // Received events come before the report that the watch is open.
                biased;
                event = events.next() => match event {
                    Some(Ok(Event::Init)) if self.is_streamed && self.list == List::Begun => {
                        // The stream ended before its list did, and kube-runtime has begun another one.
                        (self.events, self.by_pages) = (None, true);
                    }
                    Some(Ok(event)) => {
                        match event {
                            Event::Init => self.list = List::Begun,
                            Event::InitDone => self.listed(),
                            _ => {}
                        }
                        return WatchEvent::Event(event);
                    }
                    Some(Err(error)) => if let Some(failed) = self.failed(error) {
                        return failed;
                    },
                    None => self.events = None,
                },
                Some(()) = OptionFuture::from(self.relist_at.map(sleep_until)) => (self.events, self.relist_at) = (None, None),
                Ok(()) = self.answers.changed(), if self.list == List::Complete => return WatchEvent::Open,
            }
        }
    }

    fn listed(&mut self) {
        (self.list, self.by_pages, self.page) = (List::Complete, false, PAGE);
        self.relist_at = Some(Instant::now() + jittered(self.relist_every));
        // The responses so far belong to the pages. A streamed list has one response, and that is the open watch.
        if !self.is_streamed {
            self.answers.mark_unchanged();
        }
    }

    /// `None`: not a failure, since the list can be read in another way.
    fn failed(&mut self, error: watcher::Error) -> Option<WatchEvent> {
        let (is_gone, is_listing) = (is_gone(&error), self.list != List::Complete);
        if is_gone || is_listing {
            // kube-runtime would repeat the request for the watch that was answered with 410, and go on with a streamed
            // list that lacks an object.
            (self.events, self.relist_at) = (None, None);
        }
        if is_listing && self.lists_otherwise(&error) {
            return None;
        }
        let pause = self.pauses.after_failure(is_gone, std::time::Instant::now());
        self.pause = (!pause.is_zero()).then(|| jittered(pause));
        Some(WatchEvent::Failed(error, self.pause))
    }

    /// A list failed. Returns whether it can be read in another way at once.
    fn lists_otherwise(&mut self, error: &watcher::Error) -> bool {
        // A stream that breaks off, or a cache of the API server that lags behind, may do so again and again.
        self.by_pages |= self.is_streamed && self.list == List::Begun;
        match error {
            watcher::Error::WatchStartFailed(kube::Error::Api(status)) if status.code == 422 => {
                if self.streams.swap(false, Ordering::Relaxed) {
                    tracing::info!("the API server does not stream lists; they are read by pages from now on");
                }
                true
            }
            watcher::Error::WatchStartFailed(kube::Error::Api(status)) => {
                // A cache of the API server that is not ready yet refuses a watch with 429, and a list is read without it.
                self.by_pages |= status.code >= 500 || status.code == 429;
                false
            }
            // Some API servers take the request and refuse it by an event.
            watcher::Error::WatchError(status) if self.is_streamed && self.list == List::Begun => status.code != 410,
            watcher::Error::InitialListFailed(error) if is_too_long(error) => {
                let smaller = SMALLER_PAGES.into_iter().find(|objects| *objects < self.page);
                if let Some(objects) = smaller {
                    tracing::info!(objects, "a page of a list was too long; this list is read by smaller pages");
                    self.page = objects;
                }
                smaller.is_some()
            }
            _ => false,
        }
    }
}

/// Whether an answer was longer than the client takes.
fn is_too_long(error: &kube::Error) -> bool {
    let mut causes = iter::successors(Some(error as &dyn Error), |&error| error.source());
    causes.any(<dyn Error>::is::<LengthLimitError>)
}

/// Whether the version to continue from is too old (410).
fn is_gone(error: &watcher::Error) -> bool {
    let (watcher::Error::WatchError(status)
    | watcher::Error::InitialListFailed(kube::Error::Api(status))
    | watcher::Error::WatchStartFailed(kube::Error::Api(status))
    | watcher::Error::WatchFailed(kube::Error::Api(status))) = error
    else {
        return false;
    };
    status.code == 410
}

#[derive(Debug)]
pub struct Pauses {
    builder: ExponentialBuilder,
    backoff: ExponentialBackoff,
    /// When the last pause ended.
    last_try: Option<std::time::Instant>,
}

impl Pauses {
    /// The back-off of one of this many watches.
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

/// The failing watches and what was logged of them.
#[derive(Debug)]
pub struct WatchErrors {
    /// By watch: its last error, and whether that was logged.
    failing: BTreeMap<usize, (String, bool)>,
    lines: WriteLimit,
    /// A failure was logged since all watches last worked.
    has_logged: bool,
}

impl Default for WatchErrors {
    fn default() -> Self {
        Self { failing: BTreeMap::new(), lines: WriteLimit::new(LINES, LINE_INTERVAL), has_logged: false }
    }
}

impl WatchErrors {
    /// A watch failed. Returns whether to log it; the line then covers all watches that fail now.
    pub fn failed(&mut self, watch: usize, error: String, now: std::time::Instant) -> bool {
        let is_logged = self.failing.get(&watch).is_some_and(|(last, is_logged)| *is_logged && *last == error);
        self.failing.insert(watch, (error, is_logged));
        if is_logged || !self.lines.allows(now) {
            return false;
        }
        for (_, is_logged) in self.failing.values_mut() {
            *is_logged = true;
        }
        self.has_logged = true;
        true
    }

    /// The watches that fail.
    pub fn failing(&self) -> impl Iterator<Item = usize> {
        self.failing.keys().copied()
    }

    /// A watch works. Returns whether to log that all of them do.
    pub fn recovered(&mut self, watch: usize) -> bool {
        self.failing.remove(&watch).is_some() && self.failing.is_empty() && std::mem::take(&mut self.has_logged)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
