//! The tasks of objects, at most one each. A task of other work than the present one is cancelled unless it has claimed.
//!
//! What ended a task is kept by object and work, so that the same work is not tried again before its time.

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    sync::Arc,
    time::Duration,
};

use backon::ExponentialBackoff;
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Error, Work,
    waiting::{Wait, Waiting},
};
use crate::{api::Reason, protocol::hold::Hold, runtime::throttle::doubling};

/// First and longest pause after tasks whose fresh view led to another decision than the cached one.
const DIFFERENCES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(300));
/// The rest after a failure whose pause is not known yet.
const REST: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub enum Ended {
    /// The next reconcile decides.
    Done,
    Hold(Hold),
    Differs,
    Failed(Error),
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
struct Entry {
    work: Work,
    view: View,
    /// Tells this task from a later one of the same object.
    number: u64,
    /// The pauses after further differences in a row.
    differences: ExponentialBackoff,
    state: State,
    /// The failure of the last task, until it is returned.
    error: Option<Error>,
}

#[derive(Debug)]
enum State {
    Waiting(Waiting, CancellationToken),
    Claimed,
    Rests(Rest, Instant),
}

impl Entry {
    /// Cancels the task unless it has claimed. Returns whether it has not.
    fn cancel(&self) -> bool {
        if let State::Waiting(_, cancel) = &self.state {
            cancel.cancel();
        }
        !matches!(self.state, State::Claimed)
    }
}

#[derive(Debug)]
struct Table {
    /// By object uid.
    entries: HashMap<String, Entry>,
    count: u64,
    /// Every task that has not claimed obeys it. Replaced when it is cancelled.
    term: CancellationToken,
}

impl Table {
    /// The entry of this task, unless a later one has replaced it.
    fn entry(&mut self, uid: &str, number: u64) -> Option<&mut Entry> {
        self.entries.get_mut(uid).filter(|entry| entry.number == number)
    }
}

#[derive(Debug)]
pub struct Tasks {
    table: Mutex<Table>,
    tracker: TaskTracker,
    closing: CancellationToken,
}

#[derive(Debug)]
pub struct Handle {
    tasks: Arc<Tasks>,
    uid: String,
    number: u64,
}

impl Tasks {
    /// `tracker` is waited for at shutdown, which `closing` begins.
    pub fn new(tracker: TaskTracker, closing: CancellationToken) -> Arc<Self> {
        let term = closing.child_token();
        Arc::new(Self { table: Mutex::new(Table { entries: HashMap::new(), count: 0, term }), tracker, closing })
    }

    /// Sees to it that a task of this work lives, unless it is too early for one. A task of other work that has not claimed
    /// is cancelled. `ended` is called once the task is over, with whether it has claimed and whether it failed.
    pub(super) fn ensure<Run>(
        self: &Arc<Self>,
        uid: &str,
        (work, view): (&Work, View),
        run: impl FnOnce(Handle) -> Run,
        ended: impl FnOnce(bool, bool) + Send + 'static,
    ) -> Ensured
    where
        Run: Future<Output = Ended> + Send + 'static,
    {
        let (mut table, now) = (self.table.lock(), Instant::now());
        let (mut differences, mut last) = (doubling(DIFFERENCES.0, DIFFERENCES.1), None);
        if let Some(entry) = table.entries.get_mut(uid) {
            let is_same_work = entry.work == *work;
            if is_same_work {
                entry.view = entry.view.max(view);
            }
            // An older view than that of the task says nothing about its work.
            let is_same = is_same_work || entry.view > view;
            if is_same && let Some(error) = entry.error.take() {
                entry.state = State::Rests(Rest::Failed, now + REST);
                return Ensured::Failed(error);
            }
            match &entry.state {
                State::Claimed => return Ensured::Claimed,
                State::Waiting(waiting, _) if is_same => return Ensured::Waiting(waiting.clone()),
                State::Waiting(_, cancel) => cancel.cancel(),
                State::Rests(rest, until) if is_same && *until > now => {
                    return Ensured::Rests(rest.clone(), until.saturating_duration_since(now));
                }
                State::Rests(..) if is_same && !is_same_work => return Ensured::Rests(Rest::Differs, DIFFERENCES.0),
                State::Rests(Rest::Held(hold), _) if is_same => last = Some(hold.reason),
                State::Rests(..) => {}
            }
            if is_same {
                std::mem::swap(&mut differences, &mut entry.differences);
            }
        }
        table.count = table.count.wrapping_add(1);
        let (number, cancel) = (table.count, table.term.child_token());
        let waiting = Waiting { on: Wait::Cluster, since: now, last, reported: None };
        let state = State::Waiting(waiting.clone(), cancel.clone());
        let entry = Entry { work: work.clone(), view, number, differences, state, error: None };
        table.entries.insert(uid.to_owned(), entry);
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
            let (has_claimed, has_failed) = (tasks.has_claimed(&uid, number), matches!(result, Ended::Failed(_)));
            tasks.ended(&uid, number, result);
            ended(has_claimed, has_failed);
        });
        Ensured::Waiting(waiting)
    }

    /// Cancels the task of this object, unless it has claimed or was started from a newer view, and forgets how earlier
    /// ones ended.
    pub(super) fn forget_older(&self, uid: &str, view: View) {
        self.forget_if(uid, |entry| entry.view <= view);
    }

    /// The same, whatever it was started from.
    pub(super) fn forget(&self, uid: &str) {
        self.forget_if(uid, |_| true);
    }

    fn forget_if(&self, uid: &str, applies: impl Fn(&Entry) -> bool) {
        let mut table = self.table.lock();
        if table.entries.get(uid).is_some_and(|entry| applies(entry) && entry.cancel()) {
            table.entries.remove(uid);
        }
    }

    /// The same for all objects but these.
    pub(super) fn keep_only(&self, pending: &HashSet<String>) {
        self.table.lock().entries.retain(|uid, entry| pending.contains(uid) || !entry.cancel());
    }

    pub(super) fn cancel_all(&self) {
        let mut table = self.table.lock();
        table.term.cancel();
        table.term = self.closing.child_token();
        table.entries.retain(|_, entry| matches!(entry.state, State::Claimed));
    }

    /// What is held for these reasons may be tried again at once, whichever source or endpoint it waits for. Those whose cause
    /// remains are held again at once. Returns the work, whose objects are to be reconciled.
    pub(super) fn release(&self, reasons: &[Reason]) -> Vec<Work> {
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
    pub(super) fn ahead(&self, is_sought: impl Fn(&Work) -> bool) -> Option<Work> {
        let is_ahead = |entry: &&Entry| match &entry.state {
            State::Waiting(waiting, _) => waiting.on != Wait::Cluster,
            State::Claimed => true,
            State::Rests(..) => false,
        };
        let table = self.table.lock();
        table.entries.values().filter(is_ahead).map(|entry| &entry.work).find(|work| is_sought(work)).cloned()
    }

    fn has_claimed(&self, uid: &str, number: u64) -> bool {
        self.table.lock().entry(uid, number).is_some_and(|entry| matches!(entry.state, State::Claimed))
    }

    fn ended(&self, uid: &str, number: u64, result: Ended) {
        let (mut table, now) = (self.table.lock(), Instant::now());
        let Some(entry) = table.entry(uid, number) else { return };
        let (rest, pause) = match result {
            Ended::Done => {
                table.entries.remove(uid);
                return;
            }
            Ended::Hold(hold) => {
                entry.differences = doubling(DIFFERENCES.0, DIFFERENCES.1);
                let pause = hold.retry_after;
                (Rest::Held(hold), pause)
            }
            Ended::Differs => (Rest::Differs, entry.differences.next().unwrap_or(DIFFERENCES.1)),
            Ended::Failed(error) => {
                entry.error = Some(error);
                (Rest::Failed, REST)
            }
        };
        entry.state = State::Rests(rest, now + pause);
    }
}

impl Handle {
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
