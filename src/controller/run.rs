//! Runs reconciliations: what triggers them, how they are counted, and when one that failed is tried again.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use backon::ExponentialBackoff;
use futures::{Stream, StreamExt, future::ready};
use kube::{
    Resource,
    runtime::{
        Controller,
        controller::{Action, Config, Error as ControllerError},
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{UnboundedReceiverStream, WatchStream};

use super::{Error, Reconciler, Role, SOON};
use crate::{
    api::{ObjectKey, ObjectName},
    runtime::throttle::{ThrottledLog, doubling, jittered},
    store::{StoreError, object::StoredObject},
};

/// Objects that are reconciled at once. Each makes one request to the API server at a time.
const WORKERS: u16 = 32;
/// So many conflicts in a row with another writer of an object are no longer a coincidence.
const EXPECTED_CONFLICTS: u32 = 4;
/// Longest pause after a conflict: the API server answers, and against a writer that changes the object without pause only
/// more tries help.
const MAX_CONFLICT_PAUSE: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause after a failure that has not lasted long.
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// Longest pause per failing object in a long outage: all of them together then make less than one request a second.
const PAUSE_PER_OBJECT: Duration = Duration::from_secs(4);
/// Failures that last this long are a long outage; after a shorter one, objects are retried soon.
const LONG_OUTAGE: Duration = Duration::from_secs(300);
/// Longest pause for any number of objects.
const MAX_PAUSE_OF_MANY: Duration = Duration::from_secs(300);
/// An object that has not failed for this long was deleted or waits for something else.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(900);

/// Runs until the stream of objects and the running reconciliations have ended.
pub async fn run(
    reconciler: Arc<Reconciler>,
    objects: impl Stream<Item = Result<StoredObject, watcher::Error>> + Send + 'static,
    cache: Store<StoredObject>,
    requeued: mpsc::UnboundedReceiver<ObjectName>,
) {
    let Role { closing, leadership, .. } = reconciler.role.clone();
    reconciler.reporter.metrics.max_workers.set(i64::from(WORKERS));
    // A new leader reconciles all pending objects: as a follower it has watched them and done nothing.
    let elected = WatchStream::new(leadership.clone()).filter(|leads| ready(*leads)).map(|_| ());
    let requeued = UnboundedReceiverStream::new(requeued)
        .map(|(namespace, name)| ObjectRef::<StoredObject>::new(&name).within(&namespace));
    let tasks = Arc::clone(&reconciler.tasks);
    let deposed = async {
        let mut lost = WatchStream::new(leadership).filter(|leads| ready(!*leads));
        while lost.next().await.is_some() {
            tasks.cancel_all();
        }
        std::future::pending::<()>().await;
    };
    let controller = Controller::for_stream(objects, cache)
        .reconcile_on(requeued)
        .reconcile_all_on(elected)
        .with_config(Config::default().concurrency(WORKERS))
        .graceful_shutdown_on(async move { closing.cancelled().await })
        .run(measured, error_policy, reconciler)
        .for_each(async |result| match result {
            // Finished objects leave the cache while a requeue of them may still be due.
            Ok(_) | Err(ControllerError::ObjectNotFound(_) | ControllerError::ReconcilerFailed(..)) => {}
            Err(error) => tracing::warn!(%error, "the controller's queue reports an error"),
        });
    tokio::select! { () = controller => {}, () = deposed => {} }
}

async fn measured(object: Arc<StoredObject>, reconciler: Arc<Reconciler>) -> Result<Action, Error> {
    let metrics = &reconciler.reporter.metrics;
    metrics.objects().reconcile_started(object.meta());
    metrics.active_workers.inc();
    let begun = Instant::now();
    let result = reconciler.reconcile(&object).await;
    metrics.active_workers.dec();
    metrics.reconcile_seconds.observe(begun.elapsed().as_secs_f64());
    let label = match &result {
        Ok(action) if *action == Action::await_change() => "success",
        Ok(_) => "requeue_after",
        Err(error) if is_expected(error, reconciler.failures.count(uid_of(&object)) + 1) => "requeue_after",
        Err(_) => "error",
    };
    metrics.reconciles.get_or_create(&[("result", label)]).inc();
    if label == "error" {
        metrics.reconcile_errors.inc();
    }
    result
}

fn uid_of(object: &StoredObject) -> &str {
    object.meta().uid.as_deref().unwrap_or_default()
}

/// Another writer changed or deleted the object in between, which is normal, but not many times in a row.
pub(super) const fn is_expected(error: &Error, failures: u32) -> bool {
    matches!(error.source, StoreError::Conflict | StoreError::Gone) && failures < EXPECTED_CONFLICTS
}

#[allow(clippy::needless_pass_by_value, reason = "the signature is the framework's")]
pub(super) fn error_policy(object: Arc<StoredObject>, error: &Error, reconciler: Arc<Reconciler>) -> Action {
    let (uid, failures, now) = (uid_of(&object), &reconciler.failures, Instant::now());
    let mut pause = failures.pause_after(uid, now);
    if matches!(error.source, StoreError::Conflict) {
        pause = pause.min(jittered(MAX_CONFLICT_PAUSE));
    }
    reconciler.tasks.rest(uid, pause);
    let seconds = pause.as_secs_f64();
    let is_logged = !is_expected(error, failures.count(uid));
    if let Some(more) = is_logged.then(|| failures.log.lock().failed(error.source.reason(), now)).flatten() {
        tracing::warn!(
            %error,
            seconds,
            more,
            "reconciliation failed; trying again. Further failures of this kind are logged after ten minutes"
        );
    } else {
        tracing::debug!(%error, seconds, "reconciliation failed; trying again");
    }
    Action::requeue(pause)
}

impl Reconciler {
    /// Has this object reconciled once its task is over. What a task has recorded is left to the watch for a moment: until
    /// then the cached view is old, and only a read would tell.
    pub(super) fn requeue_at_end(self: &Arc<Self>, object: &ObjectKey) -> impl FnOnce(bool, bool) + Send + use<> {
        let (reconciler, object) = (Arc::clone(self), object.clone());
        move |has_claimed, has_failed| {
            if has_claimed && !has_failed {
                reconciler.failures.reset(&object.uid);
            }
            tokio::spawn(async move {
                if has_claimed {
                    tokio::time::sleep(SOON).await;
                }
                reconciler.requeue(&object);
            });
        }
    }

    pub(super) fn requeue(&self, object: &ObjectKey) {
        // The receiver is gone once the controller stops.
        let _ = self.requeue.send(object.object_name());
    }
}

/// The failures in a row, by object uid, and which of them to log.
#[derive(Debug, Default)]
pub struct FailedReconciles {
    objects: Mutex<HashMap<String, Failing>>,
    log: Mutex<ThrottledLog>,
}

#[derive(Debug)]
struct Failing {
    count: u32,
    backoff: ExponentialBackoff,
    since: Instant,
    last: Instant,
}

impl FailedReconciles {
    /// The pause after one more failure in a row of this object: 1 s, doubling, half of it random.
    pub(super) fn pause_after(&self, uid: &str, now: Instant) -> Duration {
        let mut objects = self.objects.lock();
        objects.retain(|_, failing| now.saturating_duration_since(failing.last) < FORGOTTEN_AFTER);
        let new = || Failing { count: 0, backoff: doubling(FIRST_PAUSE, MAX_PAUSE_OF_MANY), since: now, last: now };
        let failing = objects.entry(uid.to_owned()).or_insert_with(new);
        (failing.count, failing.last) = (failing.count.saturating_add(1), now);
        let is_long = now.saturating_duration_since(failing.since) >= LONG_OUTAGE;
        let pause = failing.backoff.next().unwrap_or(MAX_PAUSE);
        let many = u32::try_from(objects.len()).unwrap_or(u32::MAX);
        let all = PAUSE_PER_OBJECT.saturating_mul(many).min(MAX_PAUSE_OF_MANY);
        jittered(pause.min(if is_long { MAX_PAUSE.max(all) } else { MAX_PAUSE }))
    }

    pub(super) fn count(&self, uid: &str) -> u32 {
        self.objects.lock().get(uid).map_or(0, |failing| failing.count)
    }

    pub(super) fn reset(&self, uid: &str) {
        self.objects.lock().remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_objects_that_fail_for_long_are_retried_less_than_once_a_second() {
        let (failures, objects) = (FailedReconciles::default(), 50_u32);
        let (begun, each) = (Instant::now(), |now| {
            (0..objects).map(|object| failures.pause_after(&object.to_string(), now)).collect::<Vec<_>>()
        });
        for round in 0..10 {
            let now = begun + Duration::from_secs(30) * round;
            assert!(each(now).iter().all(|pause| *pause <= Duration::from_secs(60)), "an outage may end soon");
        }
        let pauses = each(begun + Duration::from_secs(300));
        assert!(pauses.iter().all(|pause| *pause >= Duration::from_secs(1) * objects), "{pauses:?}");
    }
}
