//! The runner's own watch: when was each object settled? It is open in every step, including the limit's, so that its
//! cost is the same for all.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::StreamExt;
use kube::{
    Api, Client, ResourceExt,
    core::{ApiResource, Object},
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, task::AbortHandle, time::timeout};

use crate::{Failure, objects, process::as_float, stage::Place};

/// Longest time without any settled object before a step is abandoned.
const PATIENCE: Duration = Duration::from_secs(180);

/// The parts of an object that the watch reads.
type Light = Object<Ignored, Status>;

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Ignored {}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Status {
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    #[serde(default)]
    observed_generation: i64,
}

#[derive(Clone, Copy)]
struct Settled {
    at: Instant,
    delivered: bool,
}

/// The watch. Ends when dropped.
pub struct Watching {
    settled: Arc<Mutex<HashMap<String, Settled>>>,
    changed: watch::Receiver<usize>,
    task: AbortHandle,
}

impl Watching {
    /// Opens it; objects that a candidate should serve carry the label.
    pub async fn open(client: &Client, place: &Place) -> Result<Self, Failure> {
        let resource = ApiResource::erase::<redistribution_operator::api::ClusterRedistribution>(&());
        let api = Api::<Light>::namespaced_with(client.clone(), &place.namespace, &resource);
        let mut events = watcher(api, watcher::Config::default().labels(objects::LABEL)).default_backoff().boxed();
        // The first list is part of the preparation.
        while !matches!(events.next().await.ok_or("the runner's watch ended")??, Event::InitDone) {}
        let settled = Arc::<Mutex<HashMap<String, Settled>>>::default();
        let (tell, changed) = watch::channel(0);
        let seen = Arc::clone(&settled);
        let task = tokio::spawn(async move {
            while let Some(event) = events.next().await {
                // A failed watch reopens by itself.
                let Ok(Event::Apply(object) | Event::InitApply(object)) = event else { continue };
                let delivered = is_true(&object, "Ready");
                if delivered || is_true(&object, "Stalled") {
                    let mut settled = seen.lock();
                    settled.entry(object.name_any()).or_insert_with(|| Settled { at: Instant::now(), delivered });
                    tell.send_replace(settled.len());
                }
            }
        });
        Ok(Self { settled, changed, task: task.abort_handle() })
    }

    /// Waits until this number of objects is settled; fails when there is no more progress.
    pub async fn settled(&self, wanted: usize) -> Result<(), Failure> {
        let mut changed = self.changed.clone();
        loop {
            let now = *changed.borrow_and_update();
            if now >= wanted {
                return Ok(());
            }
            match timeout(PATIENCE, changed.changed()).await {
                Ok(Ok(())) => {}
                _ => return Err(format!("{now} of {wanted} objects were settled, and no more in {PATIENCE:?}").into()),
            }
        }
    }

    /// Waits until that object is settled and returns when it was.
    pub async fn settled_at(&self, number: usize) -> Result<Instant, Failure> {
        let (mut changed, name) = (self.changed.clone(), objects::name(number));
        loop {
            let settled = self.settled.lock().get(&name).copied();
            if let Some(settled) = settled {
                return Ok(settled.at);
            }
            let moved = timeout(PATIENCE, changed.changed()).await;
            moved.map_err(|_| format!("{name} was not settled in {PATIENCE:?}"))??;
        }
    }

    /// When the last object was settled.
    pub fn last(&self) -> Option<Instant> {
        self.all().values().map(|settled| settled.at).max()
    }

    /// Objects that settled without a delivery.
    pub fn undelivered(&self) -> f64 {
        as_float(self.all().values().filter(|settled| !settled.delivered).count() as u64)
    }

    fn all(&self) -> HashMap<String, Settled> {
        self.settled.lock().clone()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Whether this condition is true at the current generation.
fn is_true(object: &Light, kind: &str) -> bool {
    let conditions = object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    conditions.iter().any(|condition| {
        condition.kind == kind
            && condition.status == "True"
            && Some(condition.observed_generation) == object.metadata.generation
    })
}
