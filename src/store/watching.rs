//! One watch, for ever: first those that nobody has looked at yet, then a list of all and the events after it, and the list
//! again now and then. It decides nothing about an object.

use std::{sync::Arc, time::Duration};

use backon::ExponentialBuilder;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use kube::{
    Api,
    api::ListParams,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use crate::{jitter::jittered, view::Guarded};

/// First and longest pause before a watch that failed is opened again. Short, since nothing else wakes an object whose
/// user waits; one request each ten seconds is no burden for an API server that comes back.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// Objects in one answer of the list: few, since that many are in memory at once, whatever there is in all.
const PAGE: u32 = 200;
/// What the CRD's default says of an object whose status nobody has written.
const NEW: &str = "status.observedGeneration=-1";
/// The early list is worth no longer wait.
const EARLY: Duration = Duration::from_secs(2);

/// The events of one watch.
pub fn objects(
    api: Api<Guarded>,
    config: watcher::Config,
    relist_every: Duration,
) -> impl Stream<Item = watcher::Result<Event<Guarded>>> + Send {
    let newcomers = stream::once(newcomers(api.clone(), config.clone())).flat_map(stream::iter);
    newcomers.map(|object| Ok(Event::Apply(object))).chain(watch_anew(api, config.page_size(PAGE), relist_every))
}

/// What holds a new object would otherwise be said only once the list of a long history is complete; its call waits for that
/// list in any case. Not more than a page: who wakes to a backlog has enough to do with that. Only a head start: where it is not to be had, the list brings the same objects.
async fn newcomers(api: Api<Guarded>, config: watcher::Config) -> Vec<Guarded> {
    let mut few = ListParams::default().fields(NEW).limit(PAGE);
    few.label_selector = config.label_selector;
    match timeout(EARLY, api.list(&few)).await {
        Ok(Ok(list)) => list.items,
        Ok(Err(error)) => {
            tracing::debug!(%error, "no early look at new objects");
            Vec::new()
        }
        Err(_) => Vec::new(),
    }
}

/// A watch that begins with a list, and so again each time `relist_every` has passed since a list was complete. kube-
/// runtime by itself lists again only when it is told to (410): an object whose last event was lost on the way would wait
/// for ever.
fn watch_anew(
    api: Api<Guarded>,
    config: watcher::Config,
    relist_every: Duration,
) -> impl Stream<Item = watcher::Result<Event<Guarded>>> + Send {
    stream::repeat_with(move || {
        let listed = Arc::new(Notify::new());
        let tell = Arc::clone(&listed);
        let due = async move {
            listed.notified().await;
            sleep(jittered(relist_every)).await;
        };
        let events = watcher(api.clone(), config.clone()).backoff(pauses());
        let events = events.inspect_ok(move |event| {
            if matches!(event, Event::InitDone) {
                tell.notify_one();
            }
        });
        events.take_until(Box::pin(due))
    })
    .flatten()
}

fn pauses() -> watcher::ExponentialBackoff {
    let (first, longest) = RETRY;
    let doubling = ExponentialBuilder::default().with_min_delay(first).with_max_delay(longest).with_factor(2.0);
    doubling.without_max_times().with_jitter().into()
}
