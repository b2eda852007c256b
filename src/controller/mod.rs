//! Reconciliation: carries out, step by step, what `protocol::decide` decides. It never waits for a call: that has a task of
//! its own. Contains no rule of its own about when a call may be made.

pub mod attempt;
pub mod call_task;
pub mod decider;
mod failed_reconciles;
mod messages;
pub mod observe;
pub mod recovery;
pub mod report;
pub mod requeue;
pub mod role;
pub mod tasks;
mod waiting;
pub mod watch;

use std::{
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{Stream, StreamExt, future::ready};
use k8s_openapi::jiff::Timestamp;
use kube::{
    core::error_boundary::InvalidObject,
    runtime::{
        Controller,
        controller::{Action, Config, Error as ControllerError},
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::{UnboundedReceiverStream, WatchStream};

use self::{
    call_task::CallTask,
    decider::Decider,
    failed_reconciles::FailedReconciles,
    observe::Poller,
    recovery::Recovery,
    report::{Reporter, is_reported},
    role::Role,
    tasks::{Ensured, Over, Tasks, View},
    waiting::{Report, WAIT_RECHECK, WaitReports},
};
use crate::{
    api::{ClusterRedistribution, ObjectKey, ObjectName},
    observe::{Stage, due},
    protocol::{
        decide::{Plan, Step},
        hold::{Hold, RECHECK_AFTER},
    },
    runtime::jitter::jittered,
    store::{StoreError, object::StoredObject},
};

/// Requeue after a change by another writer, in case the watch does not deliver the change at once.
const SOON: Duration = Duration::from_secs(2);
/// So many conflicts in a row with another writer of an object are no longer a coincidence.
const EXPECTED_CONFLICTS: u32 = 4;
/// Objects that are reconciled at once. Each makes one request to the API server at a time.
const WORKERS: u16 = 32;

/// Why a reconciliation failed. It is retried with a growing back-off; nothing is lost.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object could not be read, or its status not written.
    #[error("{0}/{1}: {2}", object.0, object.1, source)]
    Write {
        /// Namespace and name of the object.
        object: ObjectName,
        /// The failure of the read or write.
        source: StoreError,
    },
}

impl Error {
    fn write(object: &ClusterRedistribution, source: StoreError) -> Self {
        Self::Write { object: object.key().object_name(), source }
    }

    /// The kind of the failure for the log, from a closed set.
    const fn kind(&self) -> &'static str {
        let Self::Write { source, .. } = self;
        source.reason()
    }

    /// Another writer changed or deleted the object in between, which is normal, but not many times in a row.
    const fn is_expected(&self, failures: u32) -> bool {
        matches!(self, Self::Write { source: StoreError::Conflict | StoreError::Gone, .. })
            && failures < EXPECTED_CONFLICTS
    }
}

/// What the task of an object does.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// It calls.
    Call(Arc<Plan>),
    /// It polls the redistribution of this attempt.
    Poll {
        /// Id of the attempt.
        attempt_id: String,
        /// What the poll asks.
        stage: Stage,
    },
}

/// What reconciliations need.
pub struct Reconciler {
    /// Decides.
    pub decider: Decider,
    /// What this process may begin.
    pub role: Role,
    /// Reads, writes and reports.
    pub reporter: Reporter,
    /// Closes what others left open.
    pub recovery: Recovery,
    /// The tasks of objects.
    pub tasks: Arc<Tasks<Work>>,
    /// What a call's task does.
    pub call: Arc<CallTask>,
    /// What a poll's task does, with `--observe`.
    pub poller: Option<Poller>,
    failures: Arc<FailedReconciles>,
    wait_reports: WaitReports,
}

impl Reconciler {
    /// From its parts.
    pub fn new(call: Arc<CallTask>, recovery: Recovery, poller: Option<Poller>) -> Self {
        Self {
            decider: call.decider.clone(),
            role: call.role.clone(),
            reporter: call.reporter.clone(),
            tasks: Arc::clone(&call.tasks),
            recovery,
            call,
            poller,
            failures: Arc::default(),
            wait_reports: WaitReports::default(),
        }
    }

    /// Reconciles one object.
    async fn reconcile(&self, object: &StoredObject) -> Result<Action, Error> {
        let cached = match &object.object {
            Ok(object) => object,
            Err(invalid) => return self.undecodable(invalid).await,
        };
        let step = self.decider.decide(cached);
        // What an outdated schema hides from the watch does not end a task that the object in the API server has begun.
        if !matches!(step, Step::Call(_) | Step::Hidden(_)) && self.stage(cached, &step).is_none() {
            self.tasks.forget_older(&cached.key().uid, view_of(cached, false));
        }
        match self.on_cached_view(cached, &step)? {
            ControlFlow::Break(action) => Ok(action),
            ControlFlow::Continue(report) => self.on_fresh_view(cached, step, report).await,
        }
    }

    /// Reports an object whose spec this version cannot read.
    async fn undecodable(&self, invalid: &InvalidObject) -> Result<Action, Error> {
        let uid = invalid.metadata.uid.as_deref().unwrap_or_default();
        self.tasks.forget(uid);
        let generation = invalid.metadata.generation.unwrap_or_default();
        if !self.role.may_begin() || invalid.metadata.deletion_timestamp.is_some() {
            return Ok(Action::await_change());
        }
        // If this view lacks an attempt of this process, writing the condition would overwrite that attempt.
        if self.decider.attempts().may_have_sent(uid, generation) {
            return Ok(Action::requeue(jittered(RECHECK_AFTER)));
        }
        self.reporter.undecodable(invalid).await.map(Action::requeue)
    }

    /// Takes the step that was decided on the watched view, as far as that may be done without a read of the object. Else
    /// continues, with what is to be reported of a call that waits.
    fn on_cached_view(
        &self,
        cached: &ClusterRedistribution,
        step: &Step,
    ) -> Result<ControlFlow<Action, Option<(Hold, Action)>>, Error> {
        let key = cached.key();
        Ok(ControlFlow::Break(match step {
            Step::Retract { .. } => return Ok(ControlFlow::Continue(None)),
            _ if !self.role.may_begin() => Action::await_change(),
            Step::Call(_) if !self.role.may_claim(&key.namespace) => Action::await_change(),
            Step::Done => match self.stage(cached, step) {
                Some(stage) => self.poll(cached, stage, false)?,
                None => {
                    self.failures.reset(&key.uid);
                    Action::await_change()
                }
            },
            Step::Wait(pause) => Action::requeue(*pause),
            Step::Hold { reason, message } if is_reported(cached, *reason, message) => {
                Action::requeue(jittered(RECHECK_AFTER))
            }
            Step::Call(plan) => match self.ensure(cached, plan, false)? {
                Next::Later(action) => action,
                Next::Report(hold, action) => return Ok(ControlFlow::Continue(Some((hold, action)))),
                Next::Reread(_) => return Ok(ControlFlow::Continue(None)),
            },
            _ => return Ok(ControlFlow::Continue(None)),
        }))
    }

    /// Decides again on the object in the API server, and carries that out. `step`: what was decided on the watched view.
    ///
    /// A step that writes is not decided on the watched view alone: a watch that was opened before the CRD was replaced
    /// continues to prune the fields that the old CRD lacks, with current resourceVersions. Written back, such a view would
    /// erase the journal, and the compare-and-swap would not notice.
    async fn on_fresh_view(
        &self,
        cached: &ClusterRedistribution,
        step: Step,
        report: Option<(Hold, Action)>,
    ) -> Result<Action, Error> {
        let key = cached.key();
        let object = &match self.reporter.store.get(&key).await {
            Ok(object) => object,
            // The watch will remove it from the cache soon. If it does not, the object is reconciled again.
            Err(StoreError::Gone) => {
                self.tasks.forget(&key.uid);
                return Ok(Action::requeue(jittered(RECHECK_AFTER)));
            }
            Err(source) => return Err(Error::write(cached, source)),
        };
        let fresh = self.decider.decide(object);
        if !matches!(fresh, Step::Hidden(_)) {
            self.recovery.mark_whole(object);
        }
        if !matches!(fresh, Step::Call(_)) && self.stage(object, &fresh).is_none() {
            self.tasks.forget_older(&key.uid, view_of(object, true));
        }
        // Of a call only the end of its task is a success.
        let is_call = report.is_none() && matches!(fresh, Step::Call(_));
        let action = self.carry_out(object, (step, fresh), report).await?;
        if !is_call {
            self.failures.reset(&key.uid);
        }
        Ok(action)
    }

    /// Carries out the step that was decided on the object in the API server. `cached`: the one that was decided on the
    /// watched view.
    async fn carry_out(
        &self,
        object: &ClusterRedistribution,
        (cached, fresh): (Step, Step),
        report: Option<(Hold, Action)>,
    ) -> Result<Action, Error> {
        let recheck = || Action::requeue(jittered(RECHECK_AFTER));
        match fresh {
            Step::Retract { attempt_id } => {
                self.recovery.retract(object, &attempt_id).await.map(|()| Action::requeue(SOON))
            }
            _ if !self.role.may_begin() => Ok(Action::await_change()),
            Step::Done => match self.stage(object, &fresh) {
                Some(stage) => self.poll(object, stage, true),
                None => Ok(Action::await_change()),
            },
            Step::Hidden(field) => {
                let next = self.recovery.hidden(object, &field).await?;
                Ok(next.map_or_else(Action::await_change, Action::requeue))
            }
            Step::Wait(pause) => Ok(Action::requeue(pause)),
            Step::Expire { attempt_id } => {
                self.recovery.expire(object, &attempt_id).await.map(|()| Action::requeue(SOON))
            }
            Step::Hold { reason, message } => {
                let held = Hold { reason, message, retry_after: RECHECK_AFTER };
                self.reporter.hold(object, &held).await.map(|()| recheck())
            }
            Step::Preview(plan) => {
                let purpose = self.call.purpose(&plan);
                let problem = self.call.credentials.problem(&purpose).await;
                let held = messages::suspended(&plan, &purpose.source, problem.as_ref());
                self.reporter.hold(object, &held).await.map(|()| Action::requeue(held.retry_after))
            }
            Step::Call(ref plan) => self.begin_or_report(object, plan, report.filter(|_| cached == fresh)).await,
        }
    }

    /// The task's wait, or the hold that ended the last one, is written. If the cached view led elsewhere, there is no
    /// `report` of it, and the task of the fresh plan starts here.
    async fn begin_or_report(
        &self,
        object: &ClusterRedistribution,
        plan: &Plan,
        report: Option<(Hold, Action)>,
    ) -> Result<Action, Error> {
        let next = match report {
            Some((hold, action)) => Next::Report(hold, action),
            None => self.ensure(object, plan, true)?,
        };
        match next {
            Next::Later(action) => Ok(action),
            Next::Reread(pause) => Ok(Action::requeue(pause)),
            Next::Report(hold, action) => {
                self.reporter.hold(object, &hold).await?;
                self.tasks.wait_reported(object.metadata.uid.as_deref().unwrap_or_default());
                Ok(action)
            }
        }
    }

    /// Sees to it that the task of this plan exists, and returns what is left to do.
    fn ensure(&self, object: &ClusterRedistribution, plan: &Plan, is_fresh: bool) -> Result<Next, Error> {
        let (call, shared, view) = (Arc::clone(&self.call), Arc::new(plan.clone()), view_of(object, is_fresh));
        let work = Work::Call(Arc::clone(&shared));
        let run = |handle| call.run(shared, handle);
        let ensured = self.tasks.ensure(&plan.object.uid, (&work, view), run, self.requeue_at_end(&plan.object));
        Ok(match ensured {
            Ensured::Claimed => Next::Later(Action::await_change()),
            Ensured::Failed(error) => return Err(error),
            Ensured::Differs(pause) => Next::Reread(pause),
            Ensured::Resting(pause) => Next::Later(Action::requeue(pause)),
            Ensured::Held(hold, wait) if is_reported(object, hold.reason, &hold.message) => {
                Next::Later(Action::requeue(wait))
            }
            Ensured::Held(hold, wait) => Next::Report(hold, Action::requeue(wait)),
            Ensured::Waiting(waiting) => {
                let source = self.call.purpose(plan).source;
                match self.wait_reports.due(object, (plan, &source), &waiting, &self.tasks) {
                    Report::Now(hold) => Next::Report(hold, Action::requeue(jittered(WAIT_RECHECK))),
                    Report::Later(pause) => Next::Later(Action::requeue(pause)),
                }
            }
        })
    }

    /// With `--observe`: what is polled of an object whose next step is this one.
    fn stage(&self, object: &ClusterRedistribution, step: &Step) -> Option<Stage> {
        self.poller.as_ref().and_then(|_| due(object, step, Timestamp::now()))
    }

    /// Sees to it that a poll that is due is made.
    fn poll(&self, object: &ClusterRedistribution, stage: Stage, is_fresh: bool) -> Result<Action, Error> {
        let (Some(poller), Some(attempt)) = (&self.poller, object.attempt()) else {
            return Ok(Action::await_change());
        };
        let pause = poller.due_in(object, attempt);
        if !pause.is_zero() {
            return Ok(Action::requeue(pause));
        }
        let (key, work) = (object.key(), Work::Poll { attempt_id: attempt.id.clone(), stage });
        let (poller, of) = (poller.clone(), object.clone());
        let run = |handle| Box::pin(poller.run(of, stage, handle));
        let view = view_of(object, is_fresh);
        match self.tasks.ensure(&key.uid, (&work, view), run, self.requeue_at_end(&key)) {
            Ensured::Failed(error) => Err(error),
            Ensured::Resting(pause) | Ensured::Held(_, pause) | Ensured::Differs(pause) => Ok(Action::requeue(pause)),
            // Its end triggers the next reconcile.
            _ => Ok(Action::await_change()),
        }
    }

    /// Has this object reconciled once its task is over. What a task has recorded is left to the watch for a moment: until
    /// then the cached view is old, and only a read would tell.
    fn requeue_at_end(&self, object: &ObjectKey) -> impl FnOnce(Over) + Send + 'static {
        let (requeue, failures, object) = (self.call.requeue.clone(), Arc::clone(&self.failures), object.clone());
        move |over| {
            if over.has_claimed && !over.has_failed {
                failures.reset(&object.uid);
            }
            if over.has_claimed {
                tokio::spawn(async move {
                    tokio::time::sleep(SOON).await;
                    requeue.soon(&object);
                });
            } else {
                requeue.soon(&object);
            }
        }
    }
}

/// What is left to do for an object whose call is due.
enum Next {
    /// Nothing now.
    Later(Action),
    /// Report this, if the object in the API server leads to the same plan.
    Report(Hold, Action),
    /// The task found an object that leads to another step; the same plan is not tried again before this time is over.
    Reread(Duration),
}

fn view_of(object: &ClusterRedistribution, is_fresh: bool) -> View {
    let version = object.metadata.resource_version.as_deref().and_then(|version| version.parse().ok());
    (version.unwrap_or_default(), is_fresh)
}

/// Runs until the stream of objects and the running reconciliations have ended.
pub async fn run(
    reconciler: Arc<Reconciler>,
    objects: impl Stream<Item = Result<StoredObject, watcher::Error>> + Send + 'static,
    cache: Store<StoredObject>,
    requeued: mpsc::UnboundedReceiver<ObjectName>,
) {
    let Role { closing, leadership, .. } = reconciler.role.clone();
    reconciler.reporter.metrics.workers(WORKERS);
    // A new leader reconciles all pending objects: as a follower it has watched them and done nothing.
    let elected = WatchStream::new(leadership.clone()).filter(|leads| ready(*leads)).map(|_| ());
    let requeued = UnboundedReceiverStream::new(requeued)
        .map(|(namespace, name)| ObjectRef::<StoredObject>::new(&name).within(&namespace));
    let tasks = Arc::clone(&reconciler.tasks);
    let deposed = WatchStream::new(leadership).filter(|leads| ready(!*leads)).for_each(move |_| {
        tasks.cancel_all();
        ready(())
    });
    let controller = Controller::for_stream(objects, cache)
        .reconcile_on(requeued)
        .reconcile_all_on(elected)
        .with_config(Config::default().concurrency(WORKERS))
        .graceful_shutdown_on(async move { closing.cancelled().await })
        .run(measured, error_policy, reconciler)
        .for_each(|result| {
            match result {
                // Finished objects leave the cache while a requeue of them may still be due.
                Ok(_) | Err(ControllerError::ObjectNotFound(_) | ControllerError::ReconcilerFailed(..)) => {}
                Err(error) => tracing::warn!(%error, "the controller's queue reports an error"),
            }
            ready(())
        });
    tokio::select! {
        () = controller => {}
        () = async { deposed.await; std::future::pending().await } => {}
    }
}

/// Counts and times a reconciliation.
async fn measured(object: Arc<StoredObject>, reconciler: Arc<Reconciler>) -> Result<Action, Error> {
    let metrics = &reconciler.reporter.metrics;
    let reconciling = metrics.reconciling(&object);
    let uid = uid_of(&object);
    let result = reconciler.reconcile(&object).await;
    let label = match &result {
        Ok(action) if *action == Action::await_change() => "success",
        Ok(_) => "requeue_after",
        Err(error) if error.is_expected(reconciler.failures.count(uid) + 1) => "requeue_after",
        Err(_) => "error",
    };
    metrics.reconciled(&reconciling, label);
    result
}

fn uid_of(object: &StoredObject) -> &str {
    let uid = match &object.object {
        Ok(object) => object.metadata.uid.as_deref(),
        Err(invalid) => invalid.metadata.uid.as_deref(),
    };
    uid.unwrap_or_default()
}

/// Retries after a failure, later each time.
#[allow(clippy::needless_pass_by_value, reason = "the signature is the framework's")]
fn error_policy(object: Arc<StoredObject>, error: &Error, reconciler: Arc<Reconciler>) -> Action {
    let (uid, failures) = (uid_of(&object), &reconciler.failures);
    let pause = failures.pause_after(uid, Instant::now());
    reconciler.tasks.rest(uid, pause);
    let seconds = pause.as_secs_f64();
    let is_logged = !error.is_expected(failures.count(uid));
    let logged = is_logged.then(|| failures.to_log(error.kind(), Instant::now())).flatten();
    if let Some(more) = logged {
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests;
