//! One endless watch: a list, the events after it, and a new list at intervals. Failures are retried with a growing
//! back-off. Decides nothing about an object.

use std::{future::pending, time::Duration};

use futures::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use http::Request;
use kube::{
    Api, Client,
    client::Body,
    runtime::watcher::{self, Event, watcher},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::pauses::Pauses;
use crate::{runtime::jitter::jittered, store::object::StoredObject};

/// Objects per page of a list: few, since a page is in memory at once, however many objects there are.
const PAGE: u32 = 200;

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
                () = reached(self.relist_at) => (self.events, self.relist_at) = (None, None),
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
        let is_gone = is_gone(&error);
        if is_gone {
            // If a 410 answers the request for the watch itself, kube-runtime would repeat that request.
            (self.events, self.relist_at) = (None, None);
        }
        let pause = self.pauses.after_failure(is_gone, std::time::Instant::now());
        self.pause = (!pause.is_zero()).then(|| jittered(pause));
        WatchEvent::Failed(error, self.pause)
    }
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

async fn reached(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}
