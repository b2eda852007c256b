//! The tasks of calls: at most one for each object, which waits, decides again, claims, sends and records. Reconcile
//! only sees to it that the task of the present plan exists; a task of another plan is cancelled unless it has claimed.
//!
//! What ended a task is kept by object and plan, so that the same plan is not tried again before its time.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{api::Reason, protocol::hold::Hold};

/// First pause after a task whose fresh view led to another decision than the cached one.
const FIRST_DIFFERENCE: Duration = Duration::from_secs(2);
/// Longest such pause.
const MAX_DIFFERENCE: Duration = Duration::from_secs(300);

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It claimed and recorded, or claimed nothing since the object was gone: the watch shows what is next.
    Done,
    /// It was not the time.
    Hold(Hold),
    /// The fresh object led to another decision.
    Differs,
}

/// What reconcile finds of its plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ensured {
    /// Its task lives, since so long.
    Running(Duration),
    /// The last task of this plan ended so; nothing is started for so long.
    Held(Option<Hold>, Duration),
    /// A task of another plan has claimed: what it records is awaited.
    Busy,
}

#[derive(Debug)]
struct Call<P> {
    plan: P,
    /// Tells this task from a later one of the same object.
    number: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Running { since: Instant, cancel: CancellationToken, has_claimed: bool },
    Ended { hold: Option<Hold>, until: Instant, differences: u32 },
}

#[derive(Debug)]
struct Table<P> {
    calls: HashMap<String, Call<P>>,
    count: u64,
}

/// See the module. `P`: the plan, which is compared whole.
#[derive(Debug)]
pub struct Calls<P> {
    table: Mutex<Table<P>>,
    tasks: TaskTracker,
    /// Cancelled on loss of the Lease and at shutdown: every task that has not claimed obeys.
    stop: CancellationToken,
}

/// What a task tells the table about itself.
#[derive(Debug)]
pub struct Handle<P> {
    calls: Arc<Calls<P>>,
    uid: String,
    number: u64,
}

impl<P: Clone + PartialEq + Send + 'static> Calls<P> {
    /// `tasks` is waited for at shutdown.
    pub fn new(tasks: TaskTracker, stop: CancellationToken) -> Arc<Self> {
        Arc::new(Self { table: Mutex::new(Table { calls: HashMap::new(), count: 0 }), tasks, stop })
    }

    /// Sees to it that a task of this plan lives, unless it is too early for one. A task of another plan that has not
    /// claimed is cancelled.
    pub fn ensure<Run>(
        self: &Arc<Self>,
        uid: &str,
        plan: &P,
        run: impl FnOnce(Handle<P>) -> Run,
        ended: impl FnOnce() + Send + 'static,
    ) -> Ensured
    where
        Run: Future<Output = Ended> + Send + 'static,
    {
        let (mut table, now) = (self.table(), Instant::now());
        let mut differences = 0;
        if let Some(call) = table.calls.get(uid) {
            match &call.state {
                State::Running { since, .. } if call.plan == *plan => {
                    return Ensured::Running(now.saturating_duration_since(*since));
                }
                State::Running { has_claimed: true, .. } => return Ensured::Busy,
                State::Running { cancel, .. } => cancel.cancel(),
                State::Ended { hold, until, .. } if call.plan == *plan && *until > now => {
                    return Ensured::Held(hold.clone(), until.saturating_duration_since(now));
                }
                State::Ended { differences: before, .. } if call.plan == *plan => differences = *before,
                State::Ended { .. } => {}
            }
        }
        table.count = table.count.wrapping_add(1);
        let (number, cancel) = (table.count, self.stop.child_token());
        let state = State::Running { since: now, cancel: cancel.clone(), has_claimed: false };
        table.calls.insert(uid.to_owned(), Call { plan: plan.clone(), number, state });
        drop(table);
        let handle = Handle { calls: Arc::clone(self), uid: uid.to_owned(), number };
        let (calls, uid) = (Arc::clone(self), uid.to_owned());
        let task = run(handle);
        self.tasks.spawn(async move {
            tokio::pin!(task);
            let result = tokio::select! {
                result = &mut task => Some(result),
                () = cancel.cancelled() => {
                    // Of a task that has claimed only the end of the process stops the rest.
                    if calls.has_claimed(&uid, number) { Some(task.await) } else { None }
                }
            };
            calls.ended(&uid, number, result, differences);
            ended();
        });
        Ensured::Running(Duration::ZERO)
    }

    /// Cancels the task of this object, unless it has claimed, and forgets how earlier ones ended.
    pub fn forget(&self, uid: &str) {
        let mut table = self.table();
        match table.calls.get(uid).map(|call| &call.state) {
            Some(State::Running { has_claimed: true, .. }) | None => {}
            Some(State::Running { cancel, .. }) => {
                cancel.cancel();
                table.calls.remove(uid);
            }
            Some(State::Ended { .. }) => drop(table.calls.remove(uid)),
        }
    }

    /// What is held for this reason may be tried again at once. Returns the objects, for their next reconcile.
    pub fn release(&self, reason: Reason) -> Vec<String> {
        let (mut table, now) = (self.table(), Instant::now());
        let mut released = Vec::new();
        for (uid, call) in &mut table.calls {
            if let State::Ended { hold: Some(hold), until, .. } = &mut call.state
                && hold.reason == reason
                && *until > now
            {
                *until = now;
                released.push(uid.clone());
            }
        }
        released
    }

    fn has_claimed(&self, uid: &str, number: u64) -> bool {
        let table = self.table();
        let call = table.calls.get(uid).filter(|call| call.number == number);
        call.is_some_and(|call| matches!(call.state, State::Running { has_claimed: true, .. }))
    }

    fn ended(&self, uid: &str, number: u64, result: Option<Ended>, differences: u32) {
        let (mut table, now) = (self.table(), Instant::now());
        let Some(call) = table.calls.get_mut(uid).filter(|call| call.number == number) else { return };
        call.state = match result {
            None | Some(Ended::Done) => {
                table.calls.remove(uid);
                return;
            }
            Some(Ended::Hold(hold)) => State::Ended { until: now + hold.retry_after, hold: Some(hold), differences: 0 },
            Some(Ended::Differs) => {
                let pause = FIRST_DIFFERENCE.saturating_mul(1 << differences.min(8)).min(MAX_DIFFERENCE);
                State::Ended { hold: None, until: now + pause, differences: differences.saturating_add(1) }
            }
        };
    }

    /// What lies behind the lock is whole after each change.
    fn table(&self) -> MutexGuard<'_, Table<P>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Clone + PartialEq + Send + 'static> Handle<P> {
    /// The task is about to claim. False if it was cancelled: then it must not. From here on nothing cancels it.
    #[must_use]
    pub fn claims(&self) -> bool {
        let mut table = self.calls.table();
        let call = table.calls.get_mut(&self.uid).filter(|call| call.number == self.number);
        match call.map(|call| &mut call.state) {
            Some(State::Running { cancel, has_claimed, .. }) if !cancel.is_cancelled() => {
                *has_claimed = true;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
