//! The tasks of objects, at most one each. A task of other work than the present one is cancelled unless it has claimed.
//!
//! What ended a task is kept by object and work, so that the same work is not tried again before its time.

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    sync::Arc,
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Error,
    waiting::{Wait, Waiting},
};
use crate::{api::Reason, protocol::hold::Hold};

/// Pauses after tasks whose fresh view led to another decision than the cached one, while that repeats.
const DIFFERENCES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(FIRST_DIFFERENCE)
    .with_max_delay(Duration::from_secs(300))
    .without_max_times();
const FIRST_DIFFERENCE: Duration = Duration::from_secs(2);
/// The rest after a failure whose pause is not known yet.
const REST: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub enum Ended {
    /// It claimed and recorded, or has to start again: the next reconcile decides.
    Done,
    /// It claimed and sent nothing, which is retried after a pause.
    NotSent,
    Hold(Hold),
    Differs,
    Failed(Error),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over {
    /// It has begun to write.
    pub has_claimed: bool,
    /// The API server did not answer as it has to.
    pub has_failed: bool,
}

#[derive(Debug)]
pub enum Ensured {
    Waiting(Waiting),
    /// Its task has claimed, or a task of other work has: what it records is awaited.
    Claimed,
    /// The last task of this work failed. [`Tasks::rest`] says how long nothing is started.
    Failed(Error),
    /// Nothing is started for so long.
    Rests(Rest, Duration),
}

/// Why no task of some work is started for a while.
#[derive(Clone, Debug)]
pub enum Rest {
    /// The last one ended so.
    Held(Hold),
    /// The last one found an object that leads to another decision.
    Differs,
    /// The last one failed, and that was returned.
    Failed,
}

/// The view of an object that work was made from: its resourceVersion, and whether it was read from the API server. A
/// cached view can be older than that, or lack what an outdated schema hides, and must not end the task.
pub type View = (u64, bool);

#[derive(Debug)]
struct Entry<W> {
    work: W,
    view: View,
    /// Tells this task from a later one of the same object.
    number: u64,
    /// The pauses after further differences in a row.
    differences: ExponentialBackoff,
    state: State,
}

#[derive(Debug)]
enum State {
    Waiting(Waiting, CancellationToken),
    Claimed,
    Failed(Error),
    Rests(Rest, Instant),
}

impl<W> Entry<W> {
    /// What there is instead of a new task, for the same work or other work.
    fn present(&self, is_same: bool, now: Instant) -> Option<Ensured> {
        match &self.state {
            State::Claimed => Some(Ensured::Claimed),
            State::Waiting(waiting, _) if is_same => Some(Ensured::Waiting(waiting.clone())),
            State::Rests(rest, until) if is_same && *until > now => {
                Some(Ensured::Rests(rest.clone(), until.saturating_duration_since(now)))
            }
            _ => None,
        }
    }
}

#[derive(Debug)]
struct Table<W> {
    entries: HashMap<String, Entry<W>>,
    count: u64,
    /// Every task that has not claimed obeys it. Replaced when it is cancelled.
    term: CancellationToken,
}

impl<W> Table<W> {
    /// The entry of this task, unless a later one has replaced it.
    fn entry(&mut self, uid: &str, number: u64) -> Option<&mut Entry<W>> {
        self.entries.get_mut(uid).filter(|entry| entry.number == number)
    }
}

/// The tasks by object uid. `W`: the work of a task, which is compared whole.
#[derive(Debug)]
pub struct Tasks<W> {
    table: Mutex<Table<W>>,
    tracker: TaskTracker,
    closing: CancellationToken,
}

#[derive(Debug)]
pub struct Handle<W> {
    tasks: Arc<Tasks<W>>,
    uid: String,
    number: u64,
}

impl<W: Clone + PartialEq + Send + 'static> Tasks<W> {
    /// `tracker` is waited for at shutdown, which `closing` begins.
    pub fn new(tracker: TaskTracker, closing: CancellationToken) -> Arc<Self> {
        let term = closing.child_token();
        Arc::new(Self { table: Mutex::new(Table { entries: HashMap::new(), count: 0, term }), tracker, closing })
    }

    /// Sees to it that a task of this work lives, unless it is too early for one. A task of other work that has not claimed
    /// is cancelled. `ended` is called once the task is over.
    pub(super) fn ensure<Run>(
        self: &Arc<Self>,
        uid: &str,
        (work, view): (&W, View),
        run: impl FnOnce(Handle<W>) -> Run,
        ended: impl FnOnce(Over) + Send + 'static,
    ) -> Ensured
    where
        Run: Future<Output = Ended> + Send + 'static,
    {
        let (mut table, now) = (self.table.lock(), Instant::now());
        let (mut differences, mut last) = (DIFFERENCES.build(), None);
        if let Some(entry) = table.entries.get_mut(uid) {
            // An older view than that of the task says nothing about its work.
            let is_same = entry.work == *work || entry.view > view;
            if entry.work == *work {
                entry.view = entry.view.max(view);
            }
            if let Some(present) = entry.present(is_same, now) {
                return present;
            }
            match &entry.state {
                State::Waiting(_, cancel) => cancel.cancel(),
                State::Failed(_) if is_same => {
                    if let State::Failed(error) =
                        std::mem::replace(&mut entry.state, State::Rests(Rest::Failed, now + REST))
                    {
                        return Ensured::Failed(error);
                    }
                }
                _ if is_same && entry.work != *work => return Ensured::Rests(Rest::Differs, FIRST_DIFFERENCE),
                State::Rests(Rest::Held(hold), _) if is_same => last = Some(hold.reason),
                _ => {}
            }
            if is_same {
                differences = std::mem::replace(&mut entry.differences, DIFFERENCES.build());
            }
        }
        table.count = table.count.wrapping_add(1);
        let (number, cancel) = (table.count, table.term.child_token());
        let waiting = Waiting { on: Wait::Cluster, since: now, last, reported: None };
        let state = State::Waiting(waiting.clone(), cancel.clone());
        table.entries.insert(uid.to_owned(), Entry { work: work.clone(), view, number, differences, state });
        drop(table);
        // Boxed, since a future that is moved into another one takes its memory twice.
        let mut task = Box::pin(run(Handle { tasks: Arc::clone(self), uid: uid.to_owned(), number }));
        let (tasks, uid) = (Arc::clone(self), uid.to_owned());
        self.tracker.spawn(async move {
            let result = tokio::select! {
                result = &mut task => result,
                () = cancel.cancelled() => {
                    // Only the end of the process stops a task that has claimed.
                    if tasks.has_claimed(&uid, number) { task.await } else { Ended::Done }
                }
            };
            let has_failed = matches!(result, Ended::Failed(_));
            let over = Over { has_claimed: tasks.has_claimed(&uid, number), has_failed };
            tasks.ended(&uid, number, result);
            ended(over);
        });
        Ensured::Waiting(waiting)
    }

    /// Cancels the task of this object, unless it has claimed or was started from a newer view, and forgets how earlier
    /// ones ended.
    pub(super) fn forget_older(&self, uid: &str, view: View) {
        if self.table.lock().entries.get(uid).is_some_and(|entry| entry.view <= view) {
            self.forget(uid);
        }
    }

    /// The same, whatever it was started from.
    pub(super) fn forget(&self, uid: &str) {
        let mut table = self.table.lock();
        match table.entries.get(uid).map(|entry| &entry.state) {
            Some(State::Claimed) | None => return,
            Some(State::Waiting(_, cancel)) => cancel.cancel(),
            Some(_) => {}
        }
        table.entries.remove(uid);
    }

    /// The same for all objects but these.
    pub(super) fn keep_only(&self, pending: &HashSet<String>) {
        let others: Vec<_> = self.table.lock().entries.keys().filter(|uid| !pending.contains(*uid)).cloned().collect();
        for uid in &others {
            self.forget(uid);
        }
    }

    pub(super) fn cancel_all(&self) {
        let mut table = self.table.lock();
        table.term.cancel();
        table.term = self.closing.child_token();
        table.entries.retain(|_, entry| matches!(entry.state, State::Claimed));
    }

    /// What is held for these reasons may be tried again at once, whichever source or endpoint it waits for. Those whose cause
    /// remains are held again at once. Returns the work, whose objects are to be reconciled.
    pub(super) fn release(&self, reasons: &[Reason]) -> Vec<W> {
        let (mut table, now) = (self.table.lock(), Instant::now());
        let mut released = Vec::new();
        for entry in table.entries.values_mut() {
            if let State::Rests(Rest::Held(hold), until) = &mut entry.state
                && reasons.contains(&hold.reason)
                && *until > now
            {
                *until = now;
                released.push(entry.work.clone());
            }
        }
        released
    }

    /// After a failure that was returned: nothing is started for this object and plan for so long, whatever triggers it.
    pub(super) fn rest(&self, uid: &str, pause: Duration) {
        if let Some(State::Rests(Rest::Failed, until)) =
            self.table.lock().entries.get_mut(uid).map(|entry| &mut entry.state)
        {
            *until = Instant::now() + pause;
        }
    }

    pub(super) fn wait_reported(&self, uid: &str) {
        if let Some(State::Waiting(waiting, _)) = self.table.lock().entries.get_mut(uid).map(|entry| &mut entry.state) {
            waiting.reported = Some(Instant::now());
        }
    }

    /// Work that `is_sought` and whose task no longer waits for its cluster.
    pub(super) fn ahead(&self, is_sought: impl Fn(&W) -> bool) -> Option<W> {
        let is_ahead = |entry: &&Entry<W>| match &entry.state {
            State::Waiting(waiting, _) => waiting.on != Wait::Cluster,
            State::Claimed => true,
            _ => false,
        };
        self.table
            .lock()
            .entries
            .values()
            .filter(is_ahead)
            .map(|entry| &entry.work)
            .find(|work| is_sought(work))
            .cloned()
    }

    fn has_claimed(&self, uid: &str, number: u64) -> bool {
        self.table.lock().entry(uid, number).is_some_and(|entry| matches!(entry.state, State::Claimed))
    }

    fn ended(&self, uid: &str, number: u64, result: Ended) {
        let (mut table, now) = (self.table.lock(), Instant::now());
        let Some(entry) = table.entry(uid, number) else { return };
        entry.state = match result {
            Ended::Done | Ended::NotSent => {
                table.entries.remove(uid);
                return;
            }
            Ended::Hold(hold) => {
                entry.differences = DIFFERENCES.build();
                let until = now + hold.retry_after;
                State::Rests(Rest::Held(hold), until)
            }
            Ended::Differs => {
                let pause = entry.differences.next().unwrap_or(FIRST_DIFFERENCE);
                State::Rests(Rest::Differs, now + pause)
            }
            Ended::Failed(error) => State::Failed(error),
        };
    }
}

impl<W: Clone + PartialEq + Send + 'static> Handle<W> {
    pub fn waits_for(&self, on: Wait) {
        let mut table = self.tasks.table.lock();
        if let Some(State::Waiting(waiting, _)) = table.entry(&self.uid, self.number).map(|entry| &mut entry.state) {
            waiting.on = on;
        }
    }

    /// The task is about to claim. False if it was cancelled: then it must not. From here on nothing cancels it.
    #[must_use]
    pub fn begin_claim(&self) -> bool {
        let mut table = self.tasks.table.lock();
        let Some(entry) = table.entry(&self.uid, self.number) else { return false };
        let is_free = matches!(&entry.state, State::Waiting(_, cancel) if !cancel.is_cancelled());
        if is_free {
            entry.state = State::Claimed;
        }
        is_free
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
