//! Many objects at once, and many versions of them. It holds no assertion.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use futures::{StreamExt, TryStreamExt, stream};
use kube::{
    ResourceExt,
    api::PostParams,
    runtime::{WatchStreamExt, watcher, watcher::Event},
};
use redistribution_operator::api::ClusterRedistribution;
use testbed::{eventually, simulator::Script};
use tokio::sync::oneshot;

use crate::support::world::{PATIENCE, World, reason_of, spec};

/// Creates this number of objects `request-0`, `request-1`, ..., each for a cluster of its own whose first call meets
/// this script; returns the clusters.
pub async fn burst(world: &World, objects: usize, script: impl Fn(usize) -> Option<Script>) -> Vec<String> {
    let mut clusters = Vec::new();
    for number in 0..objects {
        let cluster = world.cluster();
        world.cloud.script(&cluster, script(number));
        clusters.push(cluster);
    }
    let api = world.api();
    stream::iter(clusters.iter().enumerate())
        .map(|(number, cluster)| {
            let object = ClusterRedistribution::new(&format!("request-{number}"), spec(cluster));
            let api = api.clone();
            async move { api.create(&PostParams::default(), &object).await }
        })
        .buffer_unordered(16)
        .try_for_each(|_| async { Ok(()) })
        .await
        .unwrap();
    clusters
}

/// Versions of objects, in the order in which they were seen.
pub type History = Arc<Mutex<Vec<ClusterRedistribution>>>;

/// Every version of every object of the namespace, each once, beginning with the present ones.
pub async fn history(world: &World) -> History {
    let history = History::default();
    let (kept, api) = (Arc::clone(&history), world.api());
    let (is_listed, listed) = oneshot::channel();
    tokio::spawn(async move {
        let mut events = Box::pin(watcher(api, watcher::Config::default()).default_backoff());
        let (mut is_listed, mut newest) = (Some(is_listed), HashMap::new());
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::InitApply(object) | Event::Apply(object)) => {
                    // When all are listed again, versions that were seen before come once more.
                    let version = object.resource_version();
                    if newest.insert(object.name_any(), version.clone()) != Some(version) {
                        kept.lock().unwrap().push(object);
                    }
                }
                Ok(Event::InitDone) => {
                    if let Some(is_listed) = is_listed.take() {
                        // The receiver may be gone by now.
                        let _ = is_listed.send(());
                    }
                }
                Ok(Event::Init | Event::Delete(_)) | Err(_) => {}
            }
        }
    });
    listed.await.unwrap();
    history
}

/// The first version of the object with this reason for its generation. A check at intervals would miss a short-lived
/// one.
pub async fn version_with_reason(history: &History, name: &str, reason: &str) -> ClusterRedistribution {
    eventually(PATIENCE, &format!("a version of {name} with the reason {reason}"), async || {
        let history = history.lock().unwrap();
        let versions: Vec<_> = history.iter().filter(|object| object.name_any() == name).collect();
        let said: Vec<_> = versions.iter().map(|object| reason_of(object)).collect();
        let found = versions.into_iter().find(|object| reason_of(object).as_deref() == Some(reason)).cloned();
        found.ok_or(format!("{said:?}"))
    })
    .await
}

/// The reasons of each object for its generation, version by version.
pub fn reasons(history: &History) -> HashMap<String, Vec<String>> {
    let mut reasons = HashMap::<String, Vec<String>>::new();
    for object in history.lock().unwrap().iter() {
        reasons.entry(object.name_any()).or_default().push(reason_of(object).unwrap_or_default());
    }
    reasons
}
