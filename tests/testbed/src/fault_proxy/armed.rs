//! A plan in progress: counts the requests of each kind and decides which of them a fault strikes. It does nothing to
//! them.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::plan::{Fault, Kind, Plan, Step};

#[derive(Debug, Default)]
struct State {
    /// Since the start, for the trace.
    total: HashMap<Kind, u32>,
    /// Since the last strike, for the plan.
    since: HashMap<Kind, u32>,
    done: usize,
    old_list_is_next: bool,
}

#[derive(Debug)]
pub struct Armed {
    steps: Vec<Step>,
    is_paged: bool,
    state: Mutex<State>,
    changes: watch::Sender<usize>,
}

impl Armed {
    pub fn new(plan: &Plan) -> Self {
        Self {
            steps: plan.steps.clone(),
            is_paged: plan.is_paged(),
            state: Mutex::default(),
            changes: watch::channel(0).0,
        }
    }

    /// Lists are not streamed.
    pub const fn is_paged(&self) -> bool {
        self.is_paged
    }

    /// A request of this kind has come: its number, and its fault.
    pub fn come(&self, kind: Kind) -> (u32, Option<Fault>) {
        let mut state = self.state();
        let total = state.total.entry(kind).or_default();
        *total += 1;
        let number = *total;
        let since = state.since.entry(kind).or_default();
        *since += 1;
        let since = *since;
        let step = self.steps.get(state.done).filter(|step| step.kind == kind && step.ordinal == since).copied();
        if step.is_some_and(|step| step.fault.serves_old()) {
            state.old_list_is_next = true;
        }
        if step.is_some() {
            state.done += 1;
            state.since.clear();
        }
        drop(state);
        self.changes.send_modify(|changes| *changes += 1);
        (number, step.map(|step| step.fault))
    }

    /// The fault of the next request of this kind.
    pub fn next(&self, kind: Kind) -> Option<Fault> {
        let state = self.state();
        let since = state.since.get(&kind).copied().unwrap_or_default();
        let step = self.steps.get(state.done)?;
        (step.kind == kind && step.ordinal == since + 1).then_some(step.fault)
    }

    /// True once for each fault after which an old list is served.
    pub fn takes_old_list(&self) -> bool {
        std::mem::take(&mut self.state().old_list_is_next)
    }

    pub fn changes(&self) -> watch::Receiver<usize> {
        self.changes.subscribe()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
