//! The tasks of objects: at most one for each object, which waits, decides again, claims, sends and records. Reconcile
//! only sees to it that the task of the present plan exists; a task of another plan is cancelled unless it has claimed.
//!
//! What ended a task is kept by object and plan, so that the same plan is not tried again before its time.

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::Error;
use crate::{api::Reason, protocol::hold::Hold};

/// First pause after a task whose fresh view led to another decision than the cached one.
const FIRST_DIFFERENCE: Duration = Duration::from_secs(2);
/// Longest such pause.
const MAX_DIFFERENCE: Duration = Duration::from_secs(300);

/// The rest after a failure whose pause is not known yet.
const REST: Duration = Duration::from_secs(1);

/// How a task ended.
#[derive(Debug)]
pub enum Ended {
    /// It claimed and recorded, or has to start again: the next reconcile decides.
    Done,
    /// It was not the time.
    Hold(Hold),
    /// The fresh object led to another decision.
    Differs,
    /// The API server did not answer as it has to.
    Failed(Error),
}

/// What a task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Another request of its namespace to the same cluster.
    Cluster,
    /// A place among the requests in flight.
    Place,
    /// The endpoint, its credentials or a login.
    Preparation,
    /// Another request to the same cluster with the same credential.
    Credential,
    /// A slot of the rate limit, or an answer.
    Slot,
}

/// A task that has not claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// What it waits for.
    pub on: Wait,
    /// Since when.
    pub since: Instant,
    /// The reason of the hold that the last task of the same plan ended with: status may still show it.
    pub last: Option<Reason>,
    /// When the wait was last written to status.
    pub written: Option<Instant>,
}

/// What reconcile finds of its plan.
#[derive(Debug)]
pub enum Ensured {
    /// Its task waits.
    Waiting(Waiting),
    /// Its task has claimed, or a task of another plan has: what it records is awaited.
    Claimed,
    /// The last task of this plan ended so; nothing is started for so long.
    Held(Hold, Duration),
    /// The last task of this plan found an object that leads to another decision; nothing is started for so long.
    Differs(Duration),
    /// The last task of this plan failed. [`Calls::rest`] says how long nothing is started.
    Failed(Error),
    /// The same, and the failure was returned before; nothing is started for so long.
    Resting(Duration),
}

/// The view of an object that a plan was made from: its resourceVersion, and whether it was read from the API server. A
/// cached view can be older than that, or lack what an outdated schema hides, and must not end the task.
pub type View = (u64, bool);

#[derive(Debug)]
struct Call<P> {
    plan: P,
    view: View,
    /// Tells this task from a later one of the same object.
    number: u64,
    /// The differences in a row.
    differences: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    Waiting(Waiting, CancellationToken),
    Claimed,
    Held(Hold, Instant),
    Differs(Instant),
    Failed(Error),
    Resting(Instant),
}

#[derive(Debug)]
struct Table<P> {
    calls: HashMap<String, Call<P>>,
    count: u64,
    /// Every task that has not claimed obeys it. Replaced when it is cancelled.
    term: CancellationToken,
}

/// See the module. `P`: the plan, which is compared whole.
#[derive(Debug)]
pub struct Calls<P> {
    table: Mutex<Table<P>>,
    tasks: TaskTracker,
    closing: CancellationToken,
}

/// What a task tells the table about itself.
#[derive(Debug)]
pub struct Handle<P> {
    calls: Arc<Calls<P>>,
    uid: String,
    number: u64,
}

impl<P: Clone + PartialEq + Send + 'static> Calls<P> {
    /// `tasks` is waited for at shutdown, which `closing` begins.
    pub fn new(tasks: TaskTracker, closing: CancellationToken) -> Arc<Self> {
        let term = closing.child_token();
        Arc::new(Self { table: Mutex::new(Table { calls: HashMap::new(), count: 0, term }), tasks, closing })
    }

    /// Sees to it that a task of this plan lives, unless it is too early for one. A task of another plan that has not
    /// claimed is cancelled. `ended` is called once the task is over, with whether it has claimed.
    pub fn ensure<Run>(
        self: &Arc<Self>,
        uid: &str,
        (plan, view): (&P, View),
        run: impl FnOnce(Handle<P>) -> Run,
        ended: impl FnOnce(bool) + Send + 'static,
    ) -> Ensured
    where
        Run: Future<Output = Ended> + Send + 'static,
    {
        let (mut table, now) = (self.table(), Instant::now());
        let (mut differences, mut last) = (0, None);
        if let Some(call) = table.calls.get(uid) {
            // An older view than that of the task says nothing about its plan.
            let is_same = call.plan == *plan || call.view > view;
            match &call.state {
                State::Claimed => return Ensured::Claimed,
                State::Waiting(waiting, _) if is_same => return Ensured::Waiting(waiting.clone()),
                State::Waiting(_, cancel) => cancel.cancel(),
                State::Held(hold, until) if is_same && *until > now => {
                    return Ensured::Held(hold.clone(), until.saturating_duration_since(now));
                }
                State::Differs(until) if is_same && *until > now => {
                    return Ensured::Differs(until.saturating_duration_since(now));
                }
                State::Resting(until) if is_same && *until > now => {
                    return Ensured::Resting(until.saturating_duration_since(now));
                }
                State::Held(hold, _) if is_same => last = Some(hold.reason),
                State::Differs(_) if is_same => differences = call.differences,
                State::Held(..) | State::Differs(_) | State::Failed(_) | State::Resting(_) => {}
            }
        }
        if let Some(call) = table.calls.get_mut(uid).filter(|call| call.plan == *plan)
            && matches!(call.state, State::Failed(_))
            && let State::Failed(error) = std::mem::replace(&mut call.state, State::Resting(now + REST))
        {
            return Ensured::Failed(error);
        }
        table.count = table.count.wrapping_add(1);
        let (number, cancel) = (table.count, table.term.child_token());
        let waiting = Waiting { on: Wait::Cluster, since: now, last, written: None };
        let state = State::Waiting(waiting.clone(), cancel.clone());
        table.calls.insert(uid.to_owned(), Call { plan: plan.clone(), view, number, differences, state });
        drop(table);
        let task = run(Handle { calls: Arc::clone(self), uid: uid.to_owned(), number });
        let (calls, uid) = (Arc::clone(self), uid.to_owned());
        self.tasks.spawn(async move {
            tokio::pin!(task);
            let result = tokio::select! {
                result = &mut task => result,
                () = cancel.cancelled() => {
                    // Only the end of the process stops a task that has claimed.
                    if calls.has_claimed(&uid, number) { task.await } else { Ended::Done }
                }
            };
            let has_claimed = calls.has_claimed(&uid, number);
            calls.ended(&uid, number, result);
            ended(has_claimed);
        });
        Ensured::Waiting(waiting)
    }

    /// Cancels the task of this object, unless it has claimed or was started from a newer view, and forgets how earlier
    /// ones ended.
    pub fn forget_older(&self, uid: &str, view: View) {
        if self.table().calls.get(uid).is_some_and(|call| call.view <= view) {
            self.forget(uid);
        }
    }

    /// The same, whatever it was started from.
    pub fn forget(&self, uid: &str) {
        let mut table = self.table();
        match table.calls.get(uid).map(|call| &call.state) {
            Some(State::Claimed) | None => {}
            Some(State::Waiting(_, cancel)) => {
                cancel.cancel();
                table.calls.remove(uid);
            }
            Some(State::Held(..) | State::Differs(_) | State::Failed(_) | State::Resting(_)) => {
                table.calls.remove(uid);
            }
        }
    }

    /// The same for all objects but these.
    pub fn keep_only(&self, pending: &HashSet<String>) {
        let others: Vec<_> = self.table().calls.keys().filter(|uid| !pending.contains(*uid)).cloned().collect();
        others.iter().for_each(|uid| self.forget(uid));
    }

    /// Cancels every task that has not claimed.
    pub fn cancel_all(&self) {
        let mut table = self.table();
        table.term.cancel();
        table.term = self.closing.child_token();
        table.calls.retain(|_, call| matches!(call.state, State::Claimed));
    }

    /// What is held for this reason may be tried again at once. Returns the plans, whose objects are to be reconciled.
    pub fn release(&self, reasons: &[Reason]) -> Vec<P> {
        let (mut table, now) = (self.table(), Instant::now());
        let mut released = Vec::new();
        for call in table.calls.values_mut() {
            if let State::Held(hold, until) = &mut call.state
                && reasons.contains(&hold.reason)
                && *until > now
            {
                *until = now;
                released.push(call.plan.clone());
            }
        }
        released
    }

    /// After a failure that was returned: nothing is started for this object and plan for so long, whatever triggers it.
    pub fn rest(&self, uid: &str, pause: Duration) {
        if let Some(State::Resting(until)) = self.table().calls.get_mut(uid).map(|call| &mut call.state) {
            *until = Instant::now() + pause;
        }
    }

    /// The wait of this object was written to status.
    pub fn written(&self, uid: &str) {
        if let Some(State::Waiting(waiting, _)) = self.table().calls.get_mut(uid).map(|call| &mut call.state) {
            waiting.written = Some(Instant::now());
        }
    }

    /// A plan that `is_sought` and whose task no longer waits for its cluster.
    pub fn ahead(&self, is_sought: impl Fn(&P) -> bool) -> Option<P> {
        let is_ahead = |call: &&Call<P>| match &call.state {
            State::Waiting(waiting, _) => waiting.on != Wait::Cluster,
            State::Claimed => true,
            State::Held(..) | State::Differs(_) | State::Failed(_) | State::Resting(_) => false,
        };
        self.table().calls.values().filter(is_ahead).map(|call| &call.plan).find(|plan| is_sought(plan)).cloned()
    }

    fn has_claimed(&self, uid: &str, number: u64) -> bool {
        let table = self.table();
        let call = table.calls.get(uid).filter(|call| call.number == number);
        call.is_some_and(|call| matches!(call.state, State::Claimed))
    }

    fn ended(&self, uid: &str, number: u64, result: Ended) {
        let (mut table, now) = (self.table(), Instant::now());
        let Some(call) = table.calls.get_mut(uid).filter(|call| call.number == number) else { return };
        call.state = match result {
            Ended::Done => {
                table.calls.remove(uid);
                return;
            }
            Ended::Hold(hold) => {
                let until = now + hold.retry_after;
                State::Held(hold, until)
            }
            Ended::Differs => {
                let pause = FIRST_DIFFERENCE.saturating_mul(1 << call.differences.min(8)).min(MAX_DIFFERENCE);
                call.differences = call.differences.saturating_add(1);
                State::Differs(now + pause)
            }
            Ended::Failed(error) => State::Failed(error),
        };
    }

    /// What lies behind the lock is whole after each change.
    fn table(&self) -> MutexGuard<'_, Table<P>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Clone + PartialEq + Send + 'static> Handle<P> {
    /// What the task waits for next.
    pub fn waits_for(&self, on: Wait) {
        let mut table = self.calls.table();
        let call = table.calls.get_mut(&self.uid).filter(|call| call.number == self.number);
        if let Some(State::Waiting(waiting, _)) = call.map(|call| &mut call.state) {
            waiting.on = on;
        }
    }

    /// The task is about to claim. False if it was cancelled: then it must not. From here on nothing cancels it.
    #[must_use]
    pub fn claims(&self) -> bool {
        let mut table = self.calls.table();
        let call = table.calls.get_mut(&self.uid).filter(|call| call.number == self.number);
        let Some(call) = call else { return false };
        let is_free = matches!(&call.state, State::Waiting(_, cancel) if !cancel.is_cancelled());
        if is_free {
            call.state = State::Claimed;
        }
        is_free
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
