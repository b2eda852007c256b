//! The cache behind the controller: pending objects only. A finished object leaves it, so that a history of any length
//! costs no memory. It must not decide anything but "finished", and it writes nothing.

mod watching;

use std::{
    collections::HashSet,
    future::ready,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::{Stream, StreamExt, stream::select_all};
use k8s_openapi::jiff::Timestamp;
use kube::{
    Api, ResourceExt,
    runtime::{
        reflector::{ObjectRef, Store, store::Writer},
        watcher::{self, Event},
    },
};
use tokio::sync::watch;

use self::watching::objects;
use crate::{gate::Gate, journal, memory::Memory, metrics::Metrics, observation, view::Guarded, watchdog::Watchdog};

/// Pending objects of one or more watches. See the module.
struct Pending {
    writer: Writer<Guarded>,
    reader: Store<Guarded>,
    memory: Arc<Mutex<Memory>>,
    gate: Arc<Gate>,
    /// What was called is looked at for longer.
    observe: bool,
    metrics: Metrics,
    scopes: Vec<Scope>,
    synced: watch::Sender<bool>,
}

/// One watch: a namespace, or all of them.
struct Scope {
    namespace: Option<String>,
    /// Pending objects of the list that is being read.
    listing: HashSet<ObjectRef<Guarded>>,
    synced: bool,
}

/// How the objects are watched.
#[derive(Clone, Debug)]
pub struct Watching {
    /// Namespaces; none for all.
    pub namespaces: Vec<String>,
    /// Selector, and how long a watch lasts.
    pub config: watcher::Config,
    /// How often all objects are listed anew.
    pub relist_every: Duration,
    /// What was called is looked at for longer.
    pub observe: bool,
}

/// Watches the given namespaces (none = all) and returns the objects to reconcile, the cache they are looked up in,
/// and whether all first lists are complete.
pub fn pending(
    client: &kube::Client,
    watching: &Watching,
    (memory, gate): (Arc<Mutex<Memory>>, Arc<Gate>),
    metrics: Metrics,
    watchdog: Watchdog,
) -> (impl Stream<Item = Result<Guarded, watcher::Error>> + Send + use<>, Store<Guarded>, watch::Receiver<bool>) {
    let mut writer = Writer::<Guarded>::default();
    // The cache counts as complete from the start: each object is decided by its own journal, as it arrives, and waits
    // for no other.
    writer.apply_watcher_event(&Event::Init);
    writer.apply_watcher_event(&Event::InitDone);
    let reader = writer.as_reader();
    let (synced, is_synced) = watch::channel(false);
    let all = || vec![None];
    let Watching { namespaces, config, relist_every, observe } = watching;
    let namespaces = if namespaces.is_empty() { all() } else { namespaces.iter().cloned().map(Some).collect() };
    let watches: Vec<_> = namespaces
        .iter()
        .enumerate()
        .map(|(scope, namespace)| {
            let api = namespace
                .as_ref()
                .map_or_else(|| Api::all(client.clone()), |namespace| Api::namespaced(client.clone(), namespace));
            objects(api, config.clone(), *relist_every).map(move |event| event.map(|event| (scope, event))).boxed()
        })
        .collect();
    let scopes = namespaces.into_iter().map(Scope::new).collect();
    let counted = metrics.clone();
    let mut pending =
        Pending { writer, reader: reader.clone(), memory, gate, observe: *observe, metrics: counted, scopes, synced };
    let stream = select_all(watches).filter_map(move |event| {
        ready(match event {
            Ok((scope, event)) => pending.apply(scope, event).map(Ok),
            // Each watch backs off by itself. Handed on, one forbidden namespace would slow all the others down.
            Err(error) => {
                metrics.watch_error();
                watchdog.notice();
                tracing::warn!(%error, "a watch failed and is opened again");
                None
            }
        })
    });
    (stream, reader, is_synced)
}

impl Scope {
    fn new(namespace: Option<String>) -> Self {
        Self { namespace, listing: HashSet::new(), synced: false }
    }
}

impl Pending {
    /// Takes in one event of one watch; returns the object if it is to be reconciled.
    fn apply(&mut self, scope: usize, event: Event<Guarded>) -> Option<Guarded> {
        match event {
            Event::Init => {
                self.scopes.get_mut(scope)?.listing.clear();
                self.metrics.objects().listing(scope);
                None
            }
            Event::InitApply(object) => {
                let name = ObjectRef::from_obj(&object);
                let object = self.take(scope, object)?;
                self.scopes.get_mut(scope)?.listing.insert(name);
                Some(object)
            }
            Event::InitDone => {
                self.drop_unlisted(scope);
                None
            }
            Event::Apply(object) => self.take(scope, object),
            Event::Delete(object) => {
                self.forget(object);
                None
            }
        }
    }

    fn take(&mut self, scope: usize, mut object: Guarded) -> Option<Guarded> {
        object.seen = Some(Instant::now());
        if let Ok(decoded) = &object.object {
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            memory.note(decoded, Instant::now());
            if self.observe {
                memory.watches.note(decoded);
            }
            let is_observed = || self.observe && observation::stage(decoded, Timestamp::now()).is_some();
            if journal::is_finished(decoded) && memory.to_recall(decoded).is_none() && !is_observed() {
                memory.finished(decoded.metadata.uid.as_deref().unwrap_or_default());
                drop(memory);
                self.metrics.objects().seen(scope, &object, (false, self.observe));
                // Another controller may have called it while it waited here for its turn.
                self.gate.forget(&(object.namespace().unwrap_or_default(), object.name_any()));
                self.writer.apply_watcher_event(&Event::Delete(object));
                return None;
            }
        }
        self.metrics.objects().seen(scope, &object, (true, self.observe));
        self.writer.apply_watcher_event(&Event::Apply(object.clone()));
        Some(object)
    }

    fn forget(&mut self, object: Guarded) {
        if let Some(uid) = object.uid() {
            self.memory.lock().unwrap_or_else(PoisonError::into_inner).forget(&uid);
        }
        self.metrics.objects().gone(&object);
        self.gate.forget(&(object.namespace().unwrap_or_default(), object.name_any()));
        self.writer.apply_watcher_event(&Event::Delete(object));
    }

    /// A list is complete: what it did not hold was deleted while no watch was open.
    fn drop_unlisted(&mut self, scope: usize) {
        self.metrics.objects().listed(scope);
        let Some(scope) = self.scopes.get_mut(scope) else { return };
        let (namespace, listed) = (scope.namespace.clone(), std::mem::take(&mut scope.listing));
        scope.synced = true;
        let gone = |object: &Guarded| {
            (namespace.is_none() || namespace == object.namespace()) && !listed.contains(&ObjectRef::from_obj(object))
        };
        for object in self.reader.state() {
            if gone(&object) {
                self.forget(Guarded::clone(&object));
            }
        }
        if self.scopes.iter().all(|scope| scope.synced) {
            let pending: HashSet<_> = self.reader.state().iter().filter_map(|object| object.uid()).collect();
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            memory.keep_only(&pending, Instant::now());
            memory.watches.complete();
            drop(memory);
            self.synced.send_replace(true);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
