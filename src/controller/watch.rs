//! The cache behind the controller: pending objects only. A finished object leaves it, so that a history of any length
//! costs no attempts. It must not decide anything but "finished", and it writes nothing.

mod errors;
mod events;

mod pauses;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use self::{
    errors::WatchErrors,
    events::{WatchEvent, objects},
};
use crate::{
    admission::Admission,
    observe,
    protocol::{attempts::AttemptTracker, journal},
    runtime::{metrics::Metrics, synced::Synced, watchdog::Watchdog},
    store::object::StoredObject,
};
use futures::{
    Stream, StreamExt,
    stream::{self, select_all},
};
use k8s_openapi::jiff::Timestamp;
use kube::{
    ResourceExt,
    runtime::{
        reflector::{ObjectRef, Store, store::Writer},
        watcher::{self, Event},
    },
};

/// Namespaces that a line of the log names; beyond that their number tells enough.
const MAX_NAMES: usize = 10;

/// Pending objects of one or more watches. See the module.
struct Pending {
    writer: Writer<StoredObject>,
    reader: Store<StoredObject>,
    attempts: Arc<Mutex<AttemptTracker>>,
    admission: Arc<Admission>,
    /// What was called is looked at for longer.
    observe: bool,
    metrics: Metrics,
    scopes: Vec<Scope>,
    synced: Synced,
    trouble: WatchErrors,
}

/// One watch: a namespace, or all of them.
struct Scope {
    namespace: Option<String>,
    /// Pending objects of the list that is being read.
    listing: HashSet<ObjectRef<StoredObject>>,
    /// Its first list is complete.
    is_synced: bool,
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

/// What the objects that are seen are told to.
#[derive(Clone)]
pub struct Listeners {
    /// What this process remembers of them.
    pub attempts: Arc<Mutex<AttemptTracker>>,
    /// Who waits for a turn.
    pub admission: Arc<Admission>,
    /// Which first lists are complete; of the namespaces that are watched.
    pub synced: Synced,
}

/// Watches the given namespaces (none = all) and returns the objects to reconcile, and the cache they are looked up in.
pub fn pending(
    client: &kube::Client,
    watching: &Watching,
    Listeners { attempts, admission, synced }: Listeners,
    metrics: Metrics,
    watchdog: Watchdog,
) -> (impl Stream<Item = Result<StoredObject, watcher::Error>> + Send + use<>, Store<StoredObject>) {
    let mut writer = Writer::<StoredObject>::default();
    // The cache counts as complete from the start: several watches fill it, and when an object is handed on is not its
    // matter.
    writer.apply_watcher_event(&Event::Init);
    writer.apply_watcher_event(&Event::InitDone);
    let reader = writer.as_reader();
    let Watching { namespaces, config, relist_every, observe } = watching;
    let namespaces =
        if namespaces.is_empty() { vec![None] } else { namespaces.iter().cloned().map(Some).collect::<Vec<_>>() };
    let watch = |(scope, namespace): (usize, &Option<String>)| {
        let heard = objects(client, namespace.as_deref(), (config, *relist_every), namespaces.len());
        heard.map(move |heard| (scope, heard)).boxed()
    };
    let watches: Vec<_> = namespaces.iter().enumerate().map(watch).collect();
    let scopes = namespaces.into_iter().map(Scope::new).collect();
    let trouble = WatchErrors::default();
    let mut pending = Pending {
        writer,
        reader: reader.clone(),
        attempts,
        admission,
        observe: *observe,
        metrics,
        scopes,
        synced,
        trouble,
    };
    let stream = select_all(watches).flat_map(move |(scope, heard)| match heard {
        WatchEvent::Event(event) => {
            // A list may begin again and again; one that is complete does not yet make a watch.
            if matches!(event, Event::Apply(_) | Event::Delete(_)) {
                pending.works(scope);
            }
            stream::iter(pending.apply(scope, event)).map(Ok).left_stream()
        }
        WatchEvent::Open => {
            pending.works(scope);
            stream::empty().right_stream()
        }
        // Each watch pauses by itself. Handed on, one forbidden namespace would slow all the others down.
        WatchEvent::Failed(error, pause) => {
            watchdog.notice();
            pending.failed(scope, &error, pause);
            stream::empty().right_stream()
        }
    });
    (stream, reader)
}

impl Scope {
    fn new(namespace: Option<String>) -> Self {
        Self { namespace, listing: HashSet::new(), is_synced: false }
    }
}

impl Pending {
    /// Takes in one event of one watch; returns the objects that are to be reconciled.
    fn apply(&mut self, scope: usize, event: Event<StoredObject>) -> impl Iterator<Item = StoredObject> + Send + use<> {
        let mut all = None;
        let one = match event {
            Event::Init => {
                if let Some(scope) = self.scopes.get_mut(scope) {
                    scope.listing.clear();
                }
                self.metrics.objects().listing(scope);
                None
            }
            Event::InitApply(object) => self.list(scope, object),
            Event::InitDone => {
                // Nothing is begun for an object before all of its scope are known.
                all = self.complete(scope).then(|| self.all_of(scope));
                None
            }
            Event::Apply(object) => self.take(scope, object),
            Event::Delete(object) => {
                self.forget(object);
                None
            }
        };
        one.into_iter().chain(all.into_iter().flatten())
    }

    /// One object of a list. Of the first list none is reconciled until it is complete.
    fn list(&mut self, scope: usize, object: StoredObject) -> Option<StoredObject> {
        let name = ObjectRef::from_obj(&object);
        let object = self.take(scope, object)?;
        let scope = self.scopes.get_mut(scope)?;
        scope.listing.insert(name);
        scope.is_synced.then_some(object)
    }

    /// The pending objects of that scope. Copied one by one: all at once may be many.
    fn all_of(&self, scope: usize) -> impl Iterator<Item = StoredObject> + Send + use<> {
        let namespace = self.scopes.get(scope).and_then(|scope| scope.namespace.clone());
        let is_of = move |object: &Arc<StoredObject>| namespace.is_none() || namespace == object.namespace();
        self.reader.state().into_iter().filter(is_of).map(|object| StoredObject::clone(&object))
    }

    /// A watch failed: counted each time, said once.
    fn failed(&mut self, scope: usize, error: &watcher::Error, pause: Option<Duration>) {
        self.metrics.watch_error();
        let Some(pause) = pause else {
            tracing::debug!(%error, "a watch is too old to go on, and all is listed anew");
            return;
        };
        let is_refused =
            matches!(error, watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.code == 403);
        self.synced.failed(scope, is_refused);
        if !self.trouble.failed(scope, error.to_string(), Instant::now()) {
            tracing::debug!(%error, seconds = pause.as_secs_f64(), "a watch failed again");
            return;
        }
        let name = |scope: usize| self.scopes.get(scope)?.namespace.as_deref();
        let failing: Vec<_> = self.trouble.failing().collect();
        let namespaces: Vec<_> = failing.iter().filter_map(|scope| name(*scope)).take(MAX_NAMES).collect();
        tracing::warn!(
            %error,
            watches = failing.len(),
            namespaces = namespaces.join(" "),
            "a watch failed; it is opened again after pauses that grow, and this is said again when the error changes"
        );
    }

    /// A watch works.
    fn works(&mut self, scope: usize) {
        if self.trouble.works(scope) {
            tracing::info!("the watch works again");
        }
    }

    fn take(&mut self, scope: usize, mut object: StoredObject) -> Option<StoredObject> {
        object.seen = Some(Instant::now());
        if let Ok(decoded) = &object.object {
            self.admission.hear(decoded);
            let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
            attempts.note(decoded, Instant::now());
            if self.observe {
                attempts.schedule.record_status(decoded);
            }
            let is_observed = || self.observe && observe::stage(decoded, Timestamp::now()).is_some();
            if journal::is_finished(decoded) && attempts.to_retract(decoded).is_none() && !is_observed() {
                attempts.finished(decoded.metadata.uid.as_deref().unwrap_or_default());
                self.metrics.hidden(attempts.hidden_objects());
                drop(attempts);
                self.metrics.objects().seen(scope, &object, (false, self.observe));
                // Another controller may have called it while it waited here for its turn.
                self.admission.forget(&(object.namespace().unwrap_or_default(), object.name_any()));
                self.writer.apply_watcher_event(&Event::Delete(object));
                return None;
            }
        }
        self.metrics.objects().seen(scope, &object, (true, self.observe));
        self.writer.apply_watcher_event(&Event::Apply(object.clone()));
        Some(object)
    }

    fn forget(&mut self, object: StoredObject) {
        if let Some(uid) = object.uid() {
            let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
            attempts.forget(&uid);
            self.metrics.hidden(attempts.hidden_objects());
        }
        self.metrics.objects().gone(&object);
        self.admission.forget(&(object.namespace().unwrap_or_default(), object.name_any()));
        self.writer.apply_watcher_event(&Event::Delete(object));
    }

    /// A list is complete: what it did not hold was deleted while no watch was open. Returns whether it was the first list.
    fn complete(&mut self, index: usize) -> bool {
        self.metrics.objects().listed(index);
        let Some(scope) = self.scopes.get_mut(index) else { return false };
        let (namespace, listed) = (scope.namespace.clone(), std::mem::take(&mut scope.listing));
        scope.is_synced = true;
        let gone = |object: &StoredObject| {
            (namespace.is_none() || namespace == object.namespace()) && !listed.contains(&ObjectRef::from_obj(object))
        };
        for object in self.reader.state() {
            if gone(&object) {
                self.forget(StoredObject::clone(&object));
            }
        }
        // Of a scope that was never listed nothing is remembered that is not in the cache.
        let pending: HashSet<_> = self.reader.state().iter().filter_map(|object| object.uid()).collect();
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.keep_only(&pending, Instant::now());
        self.metrics.hidden(attempts.hidden_objects());
        drop(attempts);
        self.synced.complete(index)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
