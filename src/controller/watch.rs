//! The controller's cache of pending objects. A finished object leaves it, so that a history of any length costs no
//! memory. Decides nothing but "finished", and writes nothing.

mod events;

use std::{
    collections::HashSet,
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use futures::{
    Stream, StreamExt,
    stream::{self, select_all},
};
use k8s_openapi::jiff::Timestamp;
use kube::{
    Resource, ResourceExt,
    runtime::{
        reflector::{ObjectRef, Store, store::Writer},
        watcher::{self, Event},
    },
};

use self::events::{WatchErrors, WatchEvent, objects};
use super::Reconciler;
use crate::{
    observe,
    protocol::journal,
    runtime::{health::Watchdog, metrics::Metrics},
    store::object::StoredObject,
};

/// Maximum number of namespaces that a log line names; beyond that their number is enough.
const MAX_NAMES: usize = 10;

/// The pending objects of one or more watches.
struct Pending {
    writer: Writer<StoredObject>,
    reader: Store<StoredObject>,
    reconciler: Arc<Reconciler>,
    scopes: Vec<Scope>,
    errors: WatchErrors,
}

/// The scope of one watch: a namespace, or all of them.
#[derive(Default)]
struct Scope {
    namespace: Option<String>,
    /// Pending objects of the list that is being read.
    listing: HashSet<ObjectRef<StoredObject>>,
    /// Whether its first list is complete.
    is_synced: bool,
}

/// How the objects are watched.
#[derive(Clone, Debug)]
pub struct Watching {
    /// Namespaces; none for all.
    pub namespaces: Vec<String>,
    /// Selector, and how long a single watch request lasts.
    pub config: watcher::Config,
    /// How often all objects are listed again.
    pub relist_every: Duration,
}

/// Watches the given namespaces (none = all) and returns the objects to reconcile, and the cache that holds them.
pub fn pending(
    client: &kube::Client,
    watching: &Watching,
    reconciler: Arc<Reconciler>,
    watchdog: Watchdog,
) -> (impl Stream<Item = Result<StoredObject, watcher::Error>> + Send + use<>, Store<StoredObject>) {
    let mut writer = Writer::<StoredObject>::default();
    // The cache counts as complete from the start: several watches fill it, and `Pending` decides when an object is
    // delivered.
    writer.apply_watcher_event(&Event::Init);
    writer.apply_watcher_event(&Event::InitDone);
    let reader = writer.as_reader();
    let Watching { namespaces, config, relist_every } = watching;
    let namespaces =
        if namespaces.is_empty() { vec![None] } else { namespaces.iter().cloned().map(Some).collect::<Vec<_>>() };
    let streams = Arc::new(AtomicBool::new(true));
    let watch = |(scope, namespace): (usize, &Option<String>)| {
        let events =
            objects(client, namespace.as_deref(), (config, *relist_every), (namespaces.len(), Arc::clone(&streams)));
        events.map(move |event| (scope, event)).boxed()
    };
    let watches: Vec<_> = namespaces.iter().enumerate().map(watch).collect();
    let scopes = namespaces.into_iter().map(|namespace| Scope { namespace, ..Scope::default() }).collect();
    let errors = WatchErrors::default();
    let mut pending = Pending { writer, reader: reader.clone(), reconciler, scopes, errors };
    let events = select_all(watches).inspect(move |_| watchdog.record_arrival());
    let stream = events.flat_map(move |(scope, event)| match event {
        WatchEvent::Event(event) => {
            // A list may start again and again; a complete list does not yet mean a working watch.
            if matches!(event, Event::Apply(_) | Event::Delete(_)) {
                pending.recovered(scope);
            }
            stream::iter(pending.apply(scope, event)).map(Ok).left_stream()
        }
        WatchEvent::Open => {
            pending.recovered(scope);
            stream::empty().right_stream()
        }
        // Each watch has its own back-off. Passed on to the controller, the error of one forbidden namespace would slow
        // all the others down.
        WatchEvent::Failed(error, pause) => {
            pending.failed(scope, &error, pause);
            stream::empty().right_stream()
        }
    });
    (stream, reader)
}

impl Pending {
    fn metrics(&self) -> &Metrics {
        &self.reconciler.reporter.metrics
    }

    /// Applies one event of one watch; returns the objects to reconcile.
    fn apply(&mut self, scope: usize, event: Event<StoredObject>) -> impl Iterator<Item = StoredObject> + Send + use<> {
        let mut all = None;
        let one = match event {
            Event::Init => {
                if let Some(scope) = self.scopes.get_mut(scope) {
                    scope.listing.clear();
                }
                self.metrics().objects().listing(scope);
                None
            }
            Event::InitApply(object) => self.list(scope, object),
            Event::InitDone => {
                // No object is reconciled before all objects of its scope are known.
                all = self.complete(scope).then(|| self.pending_of(scope));
                None
            }
            Event::Apply(object) => self.accept(scope, object),
            Event::Delete(object) => {
                self.forget(object);
                None
            }
        };
        one.into_iter().chain(all.into_iter().flatten())
    }

    /// Applies one object of a list. Objects of the first list are reconciled only when the list is complete.
    fn list(&mut self, scope: usize, object: StoredObject) -> Option<StoredObject> {
        let name = ObjectRef::from_obj(&object);
        let object = self.accept(scope, object)?;
        let scope = self.scopes.get_mut(scope)?;
        scope.listing.insert(name);
        scope.is_synced.then_some(object)
    }

    /// The pending objects of that scope. Cloned one by one: there may be many.
    fn pending_of(&self, scope: usize) -> impl Iterator<Item = StoredObject> + Send + use<> {
        let namespace = self.scopes.get(scope).and_then(|scope| scope.namespace.clone());
        let is_in_scope = move |object: &Arc<StoredObject>| namespace.is_none() || namespace == object.namespace();
        self.reader.state().into_iter().filter(is_in_scope).map(|object| StoredObject::clone(&object))
    }

    /// A watch failed: counted each time, logged once.
    fn failed(&mut self, scope: usize, error: &watcher::Error, pause: Option<Duration>) {
        self.metrics().watch_error();
        let Some(pause) = pause else {
            tracing::debug!(%error, "a watch is too old to continue, and all objects are listed again");
            return;
        };
        let is_refused = matches!(
            error,
            watcher::Error::InitialListFailed(kube::Error::Api(status))
                | watcher::Error::WatchStartFailed(kube::Error::Api(status)) if status.code == 403
        );
        self.reconciler.role.synced.failed(scope, is_refused);
        if !self.errors.failed(scope, error.to_string(), Instant::now()) {
            tracing::debug!(%error, seconds = pause.as_secs_f64(), "a watch failed again");
            return;
        }
        let name = |scope: usize| self.scopes.get(scope)?.namespace.as_deref();
        let failing: Vec<_> = self.errors.failing().collect();
        let namespaces: Vec<_> = failing.iter().filter_map(|scope| name(*scope)).take(MAX_NAMES).collect();
        tracing::warn!(
            %error,
            watches = failing.len(),
            namespaces = namespaces.join(" "),
            "a watch failed; it is opened again after growing pauses, and this is logged again when the error changes"
        );
    }

    /// A watch works.
    fn recovered(&mut self, scope: usize) {
        if self.errors.recovered(scope) {
            tracing::info!("the watch works again");
        }
    }

    fn accept(&mut self, scope: usize, object: StoredObject) -> Option<StoredObject> {
        self.replaced(&object);
        let observer = self.reconciler.observer.as_ref();
        if let Ok(decoded) = &object.object {
            self.reconciler.admission.restore_from_status(decoded);
            let mut attempts = self.reconciler.decider.attempts();
            attempts.note(decoded, Instant::now());
            if let Some(observer) = observer {
                observer.seen(decoded);
            }
            // With `--observe` objects stay pending after their call, for polls.
            let is_observed = || observer.is_some() && observe::stage(decoded, Timestamp::now()).is_some();
            if journal::is_finished(decoded) && attempts.to_retract(decoded).is_none() && !is_observed() {
                let uid = decoded.metadata.uid.as_deref().unwrap_or_default();
                attempts.finished(uid);
                self.ended(uid, attempts.hidden_objects());
                drop(attempts);
                self.metrics().objects().seen(scope, Ok(decoded), (false, observer.is_some()));
                self.writer.apply_watcher_event(&Event::Delete(object));
                return None;
            }
        }
        self.metrics().objects().seen(scope, object.decoded(), (true, observer.is_some()));
        let object = object.for_cache();
        self.writer.apply_watcher_event(&Event::Apply(object.clone()));
        Some(object)
    }

    /// An object needs no task and no polls any more.
    fn ended(&self, uid: &str, hidden_objects: usize) {
        self.metrics().hidden(hidden_objects);
        self.reconciler.tasks.forget(uid);
        if let Some(observer) = &self.reconciler.observer {
            observer.end(uid);
        }
    }

    /// A new object under the name of another one, whose deletion no event has shown: that one's task ends.
    fn replaced(&self, object: &StoredObject) {
        let known = self.reader.get(&ObjectRef::from_obj(object));
        if let Some(uid) = known.and_then(|known| known.uid()).filter(|uid| Some(uid) != object.uid().as_ref()) {
            self.reconciler.tasks.forget(&uid);
        }
    }

    fn forget(&mut self, object: StoredObject) {
        if let Some(uid) = object.uid() {
            let mut attempts = self.reconciler.decider.attempts();
            attempts.forget(&uid);
            self.ended(&uid, attempts.hidden_objects());
        }
        self.metrics().objects().gone(object.meta());
        self.writer.apply_watcher_event(&Event::Delete(object));
    }

    /// A list is complete: objects that it does not contain were deleted while no watch was open. Returns whether it
    /// was the first list.
    fn complete(&mut self, index: usize) -> bool {
        self.metrics().objects().listed(index);
        let Some(scope) = self.scopes.get_mut(index) else { return false };
        let (namespace, listed) = (scope.namespace.clone(), std::mem::take(&mut scope.listing));
        scope.is_synced = true;
        let is_gone = |object: &StoredObject| {
            (namespace.is_none() || namespace == object.namespace()) && !listed.contains(&ObjectRef::from_obj(object))
        };
        for object in self.reader.state() {
            if is_gone(&object) {
                self.forget(StoredObject::clone(&object));
            }
        }
        // Objects of a scope that was never listed are remembered only if they are in the cache.
        let pending: HashSet<_> = self.reader.state().iter().filter_map(|object| object.uid()).collect();
        let mut attempts = self.reconciler.decider.attempts();
        let keeps = attempts.keep_only(&pending, Instant::now());
        self.metrics().hidden(attempts.hidden_objects());
        drop(attempts);
        self.reconciler.tasks.keep_only(&pending);
        if let Some(observer) = &self.reconciler.observer {
            observer.keep_only(|uid| keeps.contains(uid));
        }
        self.reconciler.role.synced.complete(index)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
