//! The polls of a redistribution after its call, each in a task of its own: the finding is written into status, logged and
//! emitted as events. No attempt is changed.

use std::{sync::Arc, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};
use k8s_openapi::jiff::Timestamp;
use kube::runtime::{controller::Action, events::EventType};
use tokio::time::sleep;

use super::{
    Error, Reconciler, Work,
    tasks::{Ended, Ensured, Handle},
    view_of,
};
use crate::{
    api::{Attempt, ClusterRedistribution},
    observe::{
        self, Finding, Observer, Stage,
        status::{StatusChange, observed},
    },
    protocol::decide::Step,
    runtime::throttle::jittered,
    store::StoreError,
};

/// First pause between the tries to write a finding, and number of further tries. One that could not be written is found
/// again by a later poll.
const RETRIES: (Duration, usize) = (Duration::from_millis(50), 4);

impl Reconciler {
    /// What is polled of an object whose next step is this one; `None` without `--observe`.
    pub(super) fn stage(&self, object: &ClusterRedistribution, step: &Step) -> Option<Stage> {
        self.observer.as_ref().and_then(|_| observe::due(object, step, Timestamp::now()))
    }

    pub(super) fn poll(
        self: &Arc<Self>,
        object: &ClusterRedistribution,
        stage: Stage,
        is_fresh: bool,
    ) -> Result<Action, Error> {
        let (Some(observer), Some(attempt)) = (&self.observer, object.attempt()) else {
            return Ok(Action::await_change());
        };
        let pause = observer.due_in(attempt);
        if !pause.is_zero() {
            return Ok(Action::requeue(pause));
        }
        let (key, work) = (object.key(), Work::Poll(attempt.id.clone(), stage));
        let (observer, of) = (Arc::clone(observer), (object.clone(), attempt.clone()));
        let run = |handle| Box::pin(Arc::clone(self).poll_and_write(observer, of, stage, handle));
        match self.tasks.ensure(&key.uid, (&work, view_of(object, is_fresh)), run, self.requeue_at_end(&key)) {
            Ensured::Failed(error) => Err(error),
            Ensured::Rests(_, pause) => Ok(Action::requeue(pause)),
            // Its end triggers the next reconcile.
            Ensured::Waiting(_) | Ensured::Claimed => Ok(Action::await_change()),
        }
    }

    async fn poll_and_write(
        self: Arc<Self>,
        observer: Arc<Observer>,
        (object, attempt): (ClusterRedistribution, Attempt),
        stage: Stage,
        handle: Handle,
    ) -> Ended {
        // It schedules the next poll before the write: the watch event that the write causes must not poll again at once.
        let finding = observer.poll(&object, &attempt, stage).await;
        // The watch may deliver the last finding before its write has an answer; the task must not end by that.
        if !handle.begin_claim() {
            return Ended::Done;
        }
        match self.write_finding(&object, &attempt, &finding).await {
            Ok(true) => observer.end(&attempt.uid),
            Ok(false) => {}
            Err(error) => return Ended::Failed(error),
        }
        Ended::Done
    }

    /// Writes a finding that is new, decided on the object in the API server. Returns whether polling ends.
    async fn write_finding(
        &self,
        object: &ClusterRedistribution,
        attempt: &Attempt,
        finding: &Finding,
    ) -> Result<bool, Error> {
        let now = Timestamp::now();
        if observed(&object.status.clone().unwrap_or_default(), attempt.generation, finding, now).is_none() {
            return Ok(false);
        }
        let failed = |source| Error::new(object, source);
        // Changes of a write that may or may not have been applied.
        let mut unreported = Vec::new();
        let pauses = ExponentialBuilder::new().with_min_delay(RETRIES.0).with_max_times(RETRIES.1).build();
        for pause in std::iter::once(Duration::ZERO).chain(pauses) {
            sleep(jittered(pause)).await;
            let latest = match self.reporter.store.get(&object.key()).await {
                Ok(latest) => latest,
                Err(StoreError::Gone) => return Ok(true),
                Err(source) => return Err(failed(source)),
            };
            let is_same = latest.attempt().is_some_and(|there| there.id == attempt.id);
            let status = latest.status.clone().unwrap_or_default();
            let next = observed(&status, attempt.generation, finding, now).filter(|_| is_same);
            let Some((next, changes)) = next else {
                self.announce_changes(object, attempt, &unreported);
                return Ok(is_same && observe::stage(&latest, now).is_none());
            };
            // The current leader, or the next generation, polls by itself.
            if !self.role.may_begin() || observe::due(&latest, &self.decider.decide(&latest), now).is_none() {
                return Ok(false);
            }
            let written = ClusterRedistribution { status: Some(next.clone()), ..latest.clone() };
            match self.reporter.store.write(&latest, next).await {
                Ok(()) => {
                    self.announce_changes(object, attempt, &changes);
                    return Ok(observe::stage(&written, now).is_none());
                }
                // 404 also means that the kind has no status to write; the next read shows whether the object is gone.
                Err(StoreError::Conflict | StoreError::Gone) => {}
                Err(StoreError::Indeterminate(_) | StoreError::KindNotServed(_) | StoreError::Undecodable(_)) => {
                    unreported = changes;
                }
                Err(source) => return Err(failed(source)),
            }
        }
        // Another writer writes the object again and again. A later poll finds the same again.
        Ok(false)
    }

    fn announce_changes(&self, object: &ClusterRedistribution, attempt: &Attempt, changes: &[StatusChange]) {
        let ((namespace, name), generation) = (object.key().object_name(), attempt.generation);
        for StatusChange { reason, is_warning, message } in changes {
            tracing::info!(namespace, name, generation, attempt = attempt.id, reason, message, "observed");
            let event_type = if *is_warning { EventType::Warning } else { EventType::Normal };
            let note = format!("{message} (generation {generation}, attempt {})", attempt.id);
            self.reporter.events.post(object, (reason, event_type, !is_warning), reason, &note);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;
