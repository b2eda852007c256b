//! Reconciliation: carries out, step by step, what `protocol::decide` decides. It never waits for a call: that has a task of
//! its own.

mod attempt;
pub(crate) mod call;
mod polls;
mod report;
mod run;
pub(crate) mod tasks;
mod waiting;
pub mod watch;

use std::{sync::Arc, time::Duration};

use kube::runtime::controller::Action;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

pub use self::{
    report::Reporter,
    run::{FailedReconciles, run},
    tasks::Tasks,
    waiting::WaitReports,
};
use self::{
    report::is_reported,
    tasks::{Ensured, Rest, View},
    waiting::{WAIT_RECHECK, is_for_same_cluster},
};
use crate::{
    admission::Admission,
    api::{ClusterRedistribution, ObjectName},
    cloud::Client,
    credentials::Credentials,
    observe::{Observer, Stage},
    precheck::Precheck,
    protocol::{
        attempts::AttemptTracker,
        decide::{Now, Plan, Rules, Step, decide},
        hold::{Hold, RECHECK_AFTER},
    },
    runtime::{clock::Clock, election::Leadership, synced::Synced, throttle::jittered},
    store::{
        StoreError,
        object::{StoredObject, Undecodable},
    },
};

/// Requeue after a change by another writer, in case the watch does not deliver the change at once.
const SOON: Duration = Duration::from_secs(2);

/// The object could not be read, or its status not written. It is retried with a growing back-off; nothing is lost.
#[derive(Debug, thiserror::Error)]
#[error("{0}/{1}: {source}", object.0, object.1)]
pub struct Error {
    object: ObjectName,
    source: StoreError,
}

impl Error {
    fn new(object: &ClusterRedistribution, source: StoreError) -> Self {
        Self { object: object.key().object_name(), source }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    Call(Arc<Plan>),
    /// It polls the redistribution of the attempt with this id.
    Poll(String, Stage),
}

/// `decide`, with what this process remembers of attempts.
#[derive(Clone)]
pub struct Decider {
    pub rules: Arc<Rules>,
    attempts: Arc<Mutex<AttemptTracker>>,
}

impl Decider {
    pub fn new(rules: Rules) -> Self {
        Self { rules: Arc::new(rules), attempts: Arc::default() }
    }

    pub fn decide(&self, object: &ClusterRedistribution) -> Step {
        let now = Now::read();
        let mut attempts = self.attempts();
        // The watch may not have delivered the object yet (the reply of a write): its grace starts now.
        attempts.note(object, now.instant);
        decide(object, &attempts, &self.rules, now)
    }

    pub fn attempts(&self) -> MutexGuard<'_, AttemptTracker> {
        self.attempts.lock()
    }
}

/// What this process may begin. Attempts with a claim continue either way.
#[derive(Clone)]
pub struct Role {
    pub closing: CancellationToken,
    pub leadership: Leadership,
    pub synced: Synced,
}

impl Role {
    /// Whether a new step may begin: this process leads and is not being stopped.
    pub fn may_begin(&self) -> bool {
        !self.closing.is_cancelled() && *self.leadership.borrow()
    }

    /// Whether the process may claim for an object of this namespace: not before the first list of its scope is complete,
    /// since the earlier requests in the status of others are not known until then. The watch delivers the object again
    /// when it is complete.
    pub fn may_claim(&self, namespace: &str) -> bool {
        self.may_begin() && self.synced.is_complete(namespace)
    }
}

pub struct Reconciler {
    pub decider: Decider,
    pub role: Role,
    pub reporter: Reporter,
    pub admission: Arc<Admission>,
    pub credentials: Arc<Credentials>,
    pub cloud: Arc<Client>,
    pub precheck: Arc<Precheck>,
    pub observer: Option<Arc<Observer>>,
    /// From the start of the claim to the first byte of the request.
    pub send_budget: Duration,
    pub clock: Clock,
    pub holder: String,
    pub tasks: Arc<Tasks>,
    pub requeue: UnboundedSender<ObjectName>,
    pub failures: FailedReconciles,
    pub wait_reports: WaitReports,
}

impl Reconciler {
    /// Decides on the watched view, and takes the step if it needs no read of the object.
    async fn reconcile(self: &Arc<Self>, object: &StoredObject) -> Result<Action, Error> {
        let cached = match &object.object {
            Ok(object) => object,
            Err(invalid) => return self.undecodable(invalid).await,
        };
        let (key, step) = (cached.key(), self.decider.decide(cached));
        let stage = self.stage(cached, &step);
        // What an outdated schema hides from the watch does not end a task that the object in the API server has begun.
        if !matches!(step, Step::Call(_) | Step::Hidden(_)) && stage.is_none() {
            self.tasks.forget_older(&key.uid, view_of(cached, false));
        }
        let report = match &step {
            Step::Retract { .. } => None,
            _ if !self.role.may_begin() => return Ok(Action::await_change()),
            Step::Call(_) if !self.role.may_claim(&key.namespace) => return Ok(Action::await_change()),
            Step::Done => {
                if let Some(stage) = stage {
                    return self.poll(cached, stage, false);
                }
                self.failures.reset(&key.uid);
                return Ok(Action::await_change());
            }
            Step::Wait(pause) => return Ok(Action::requeue(*pause)),
            Step::Hold { reason, message } if is_reported(cached, *reason, message) => return Ok(recheck()),
            Step::Call(plan) => match self.ensure(cached, plan, false)? {
                Next::Later(action) => return Ok(action),
                Next::Report(hold, action) => Some((hold, action)),
                Next::Reread(_) => None,
            },
            _ => None,
        };
        self.on_fresh_view(cached, &step, report).await
    }

    async fn undecodable(&self, invalid: &Undecodable) -> Result<Action, Error> {
        let uid = invalid.metadata.uid.as_deref().unwrap_or_default();
        self.tasks.forget(uid);
        let generation = invalid.metadata.generation.unwrap_or_default();
        if !self.role.may_begin() || invalid.metadata.deletion_timestamp.is_some() {
            return Ok(Action::await_change());
        }
        // If this view lacks an attempt of this process, writing the condition would overwrite that attempt.
        if self.decider.attempts().may_have_sent(uid, generation) {
            return Ok(recheck());
        }
        self.reporter.undecodable(invalid).await
    }

    /// Decides again on the object in the API server, and carries that out. `step` and `report` are of the watched view.
    ///
    /// A step that writes is not decided on the watched view alone: a watch that was opened before the CRD was replaced
    /// continues to prune the fields that the old CRD lacks, with current resourceVersions. Written back, such a view would
    /// erase the journal, and the compare-and-swap would not notice.
    async fn on_fresh_view(
        self: &Arc<Self>,
        cached: &ClusterRedistribution,
        step: &Step,
        report: Option<(Hold, Action)>,
    ) -> Result<Action, Error> {
        let key = cached.key();
        let object = &match self.reporter.store.get(&key).await {
            Ok(object) => object,
            // The watch will remove it from the cache soon. If it does not, the object is reconciled again.
            Err(StoreError::Gone) => {
                self.tasks.forget(&key.uid);
                return Ok(recheck());
            }
            Err(source) => return Err(Error::new(cached, source)),
        };
        let fresh = self.decider.decide(object);
        if !matches!(fresh, Step::Hidden(_)) {
            self.mark_whole(object);
        }
        if !matches!(fresh, Step::Call(_)) && self.stage(object, &fresh).is_none() {
            self.tasks.forget_older(&key.uid, view_of(object, true));
        }
        // Of a call only the end of its task is a success.
        let is_call = report.is_none() && matches!(fresh, Step::Call(_));
        let action = self.carry_out(object, fresh, report, step).await?;
        if !is_call {
            self.failures.reset(&key.uid);
        }
        Ok(action)
    }

    /// `fresh` was decided on the object in the API server; `cached` and `report` are of the watched view.
    async fn carry_out(
        self: &Arc<Self>,
        object: &ClusterRedistribution,
        fresh: Step,
        report: Option<(Hold, Action)>,
        cached: &Step,
    ) -> Result<Action, Error> {
        match &fresh {
            Step::Retract { attempt_id } => self.retract(object, attempt_id).await,
            _ if !self.role.may_begin() => Ok(Action::await_change()),
            Step::Done => match self.stage(object, &fresh) {
                Some(stage) => self.poll(object, stage, true),
                None => Ok(Action::await_change()),
            },
            Step::Hidden(field) => self.hidden(object, field).await,
            Step::Wait(pause) => Ok(Action::requeue(*pause)),
            Step::Expire { attempt_id } => self.expire(object, attempt_id).await,
            Step::Hold { reason, message } => {
                let held = Hold { reason: *reason, message: message.clone(), retry_after: RECHECK_AFTER };
                self.reporter.hold(object, &held).await.map(|()| recheck())
            }
            Step::Preview(plan) => {
                let purpose = self.purpose(plan);
                let problem = self.credentials.problem(&purpose).await;
                let held = report::suspended(plan, &purpose.source, problem.as_ref());
                self.reporter.hold(object, &held).await.map(|()| Action::requeue(held.retry_after))
            }
            // If the watched view led elsewhere, its report does not count, and the task of the fresh plan starts here.
            Step::Call(plan) => match report.filter(|_| *cached == fresh) {
                Some((hold, action)) => self.report_wait(object, &hold, action).await,
                None => match self.ensure(object, plan, true)? {
                    Next::Later(action) | Next::Reread(action) => Ok(action),
                    Next::Report(hold, action) => self.report_wait(object, &hold, action).await,
                },
            },
        }
    }

    async fn report_wait(&self, object: &ClusterRedistribution, hold: &Hold, then: Action) -> Result<Action, Error> {
        self.reporter.hold(object, hold).await?;
        self.tasks.wait_reported(object.metadata.uid.as_deref().unwrap_or_default());
        Ok(then)
    }

    fn ensure(self: &Arc<Self>, object: &ClusterRedistribution, plan: &Plan, is_fresh: bool) -> Result<Next, Error> {
        let (shared, view) = (Arc::new(plan.clone()), view_of(object, is_fresh));
        let work = Work::Call(Arc::clone(&shared));
        let run = |handle| Arc::clone(self).call(shared, handle);
        let ensured = self.tasks.ensure(&plan.object.uid, (&work, view), run, self.requeue_at_end(&plan.object));
        Ok(match ensured {
            Ensured::Claimed => Next::Later(Action::await_change()),
            Ensured::Failed(error) => return Err(error),
            Ensured::Rests(Rest::Differs, pause) => Next::Reread(Action::requeue(pause)),
            Ensured::Rests(Rest::Held(hold), wait) if !is_reported(object, hold.reason, &hold.message) => {
                Next::Report(hold, Action::requeue(wait))
            }
            Ensured::Rests(Rest::Held(_) | Rest::Failed, wait) => Next::Later(Action::requeue(wait)),
            Ensured::Waiting(waiting) => {
                let source = self.purpose(plan).source;
                let ahead = || self.tasks.ahead(|work| is_for_same_cluster(work, plan));
                match self.wait_reports.due(object, (plan, &source), &waiting, ahead) {
                    Ok(hold) => Next::Report(hold, Action::requeue(jittered(WAIT_RECHECK))),
                    Err(pause) => Next::Later(Action::requeue(pause)),
                }
            }
        })
    }
}

enum Next {
    Later(Action),
    /// Report this, if the object in the API server leads to the same plan.
    Report(Hold, Action),
    /// The task found an object that leads to another step.
    Reread(Action),
}

/// A hold that only a person can end is checked again.
fn recheck() -> Action {
    Action::requeue(jittered(RECHECK_AFTER))
}

fn view_of(object: &ClusterRedistribution, is_fresh: bool) -> View {
    let version = object.metadata.resource_version.as_deref().and_then(|version| version.parse().ok());
    (version.unwrap_or_default(), is_fresh)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests;
