//! Many objects at once. It waits for nothing and holds no assertion.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use futures::{StreamExt, TryStreamExt, stream};
use kube::{
    ResourceExt,
    api::PostParams,
    runtime::{WatchStreamExt, watcher},
};
use redistribution_operator::resource::ClusterRedistribution;
use testbed::simulator::Script;

use crate::world::{World, message, reason_of, spec};

/// So many objects `wish-0`, `wish-1`, ..., each for a cluster of its own whose first call meets this; returns the
/// clusters.
pub async fn crowd(world: &World, objects: usize, script: impl Fn(usize) -> Option<Script>) -> Vec<String> {
    let mut clusters = Vec::new();
    for number in 0..objects {
        let cluster = world.cluster();
        world.cloud.script(&cluster, script(number));
        clusters.push(cluster);
    }
    let api = world.api();
    stream::iter(clusters.iter().enumerate())
        .map(|(number, cluster)| {
            let object = ClusterRedistribution::new(&format!("wish-{number}"), spec(cluster));
            let api = api.clone();
            async move { api.create(&PostParams::default(), &object).await }
        })
        .buffer_unordered(16)
        .try_for_each(|_| async { Ok(()) })
        .await
        .unwrap();
    clusters
}

/// What each version of every object of the namespace shows from now on, its creation included.
pub fn versions(world: &World) -> Arc<Mutex<HashMap<String, Vec<String>>>> {
    let shown = Arc::<Mutex<HashMap<String, Vec<String>>>>::default();
    let counted = Arc::clone(&shown);
    let seen = watcher(world.api(), watcher::Config::default()).default_backoff().applied_objects();
    tokio::spawn(seen.for_each(move |object| {
        if let Ok(object) = object {
            let version = format!("{}: {}", reason_of(&object).unwrap_or_default(), message(&object));
            counted.lock().unwrap().entry(object.name_any()).or_default().push(version);
        }
        futures::future::ready(())
    }));
    shown
}
