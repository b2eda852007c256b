//! The world around two controllers: an API server with compare-and-swap, a network that loses and delays, a cloud that
//! carries out or refuses, people who edit. All of it as steps from one state to the next.

use std::fmt;

use redistribution_operator::store::ReadBack;

use super::product::{Move, NO_ATTEMPT, Number, ObjectId, Outcome, Product};

/// The budget of faults and edits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Budget {
    pub replicas: u8,
    pub crashes: u8,
    pub edits: u8,
    pub recreations: u8,
    pub attempts: u8,
    /// The fields that the older CRD prunes.
    pub pruned: u8,
    /// The older CRD is installed at first.
    pub old_at_first: bool,
    /// How often the older CRD may be installed later. It may be replaced by the current one at any time.
    pub rollbacks: u8,
    /// Writes by others that do not change status, except for what the CRD prunes.
    pub labels: u8,
    /// How often the managed fields may be emptied.
    pub emptied: u8,
}

/// A protocol with one part left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    NoClaim,
    ClaimWithoutSwap,
    EveryErrorIsNotSent,
    RetryOrphanedClaim,
    SendAfterLostClaimReply,
    NoReadBack,
    NoSendDeadline,
    NoCoolDown,
    AbsenceIsAccepted,
    ReadyNotChecked,
    ManagedFieldsAreNotRead,
}

impl Mutant {
    pub const ALL: [Self; 11] = [
        Self::NoClaim,
        Self::ClaimWithoutSwap,
        Self::EveryErrorIsNotSent,
        Self::RetryOrphanedClaim,
        Self::SendAfterLostClaimReply,
        Self::NoReadBack,
        Self::NoSendDeadline,
        Self::NoCoolDown,
        Self::AbsenceIsAccepted,
        Self::ReadyNotChecked,
        Self::ManagedFieldsAreNotRead,
    ];
}

/// A step: the actor, its number if it has one, and its action.
#[derive(Clone, Copy, Debug)]
pub struct Label(&'static str, Option<u8>, &'static str);

impl fmt::Display for Label {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(actor, number, what) = self;
        match number {
            Some(number) => write!(formatter, "{actor}{number} {what}"),
            None => write!(formatter, "{actor}{what}"),
        }
    }
}

/// A stored object or a view, and its resourceVersion.
pub(super) type Seen = (ObjectId, u8);
/// A task: controller, slot.
type At = (usize, usize);
/// A request: attempt, uid, generation.
pub(super) type Call = (Number, u8, u8);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Task {
    None,
    /// It has read the object afresh, and decided again that it is to be called.
    Fresh(Seen, (u8, u8)),
    /// The reply to the claim was lost. The claim was made for the spec of this object.
    Lost(Call, ObjectId),
    /// The CRD pruned the claim; the reply showed this.
    Withdrawing(Call, ObjectId),
    Ready(Call),
    Waiting(Call),
    Recording(Call, Outcome),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Replica {
    /// What a reconcile has read of the present version before the CRD was changed.
    pub(super) cache: Option<ObjectId>,
    /// The attempt whose grace has ended for this process.
    pub(super) lapsed: Option<Number>,
    pub(super) abandoned: u8,
    pub(super) sent: Option<(u8, u8)>,
    /// A dry run came back complete.
    pub(super) is_kept: bool,
    /// At most one for each uid and generation.
    pub(super) tasks: [Task; 2],
}

const IDLE: Replica =
    Replica { cache: None, lapsed: None, abandoned: 0, sent: None, is_kept: false, tasks: [Task::None; 2] };

/// The modelled world. Lists are kept sorted, so that equal worlds are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub(super) object: Seen,
    pub(super) replicas: [Replica; 2],
    pub(super) under_way: Vec<Call>,
    pub(super) sent: Vec<Call>,
    pub(super) executed: Vec<Call>,
    /// Claims that may still be applied: the attempt, and the view that they were built from.
    pub(super) late_claims: Vec<(Number, Seen)>,
    /// Attempts whose send budget is not used up.
    pub(super) permits: u8,
    pub(super) old_crd: bool,
    pub(super) left: Budget,
}

pub struct World {
    pub(super) product: Product,
    pub(super) budget: Budget,
    pub(super) mutant: Option<Mutant>,
}

impl World {
    pub fn new(budget: Budget, mutant: Option<Mutant>) -> Self {
        Self { product: Product::new(mutant != Some(Mutant::ReadyNotChecked)), budget, mutant }
    }

    pub fn first(&mut self) -> State {
        State {
            object: (self.product.create(1), 0),
            replicas: [IDLE; 2],
            under_way: Vec::new(),
            sent: Vec::new(),
            executed: Vec::new(),
            late_claims: Vec::new(),
            permits: 0,
            old_crd: self.budget.old_at_first,
            left: self.budget,
        }
    }

    /// All possible next steps.
    pub fn steps(&mut self, state: &State) -> Vec<(Label, State)> {
        let mut steps = Vec::new();
        for replica in 0..usize::from(self.budget.replicas) {
            self.replica_steps(state, replica, &mut steps);
        }
        self.network_steps(state, &mut steps);
        self.people_steps(state, &mut steps);
        steps
    }

    fn replica_steps(&mut self, state: &State, which: usize, steps: &mut Vec<(Label, State)>) {
        let replica = state.replicas[which];
        let number = u8::try_from(which).ok();
        let mut add = |label: &'static str, next: State| steps.push((Label("r", number, label), next));
        if state.left.crashes > 0 && replica != IDLE {
            let mut next = state.clone();
            next.replicas[which] = IDLE;
            next.left.crashes -= 1;
            add("crashes", next);
        }
        // A reconcile reads and writes in one step: if anything changed in between, its write would meet a conflict.
        let view = self.seen(state);
        self.idle_steps(state, which, (view, replica.is_kept && replica.cache.is_none()), &mut add);
        if let Some(outdated) = replica.cache {
            self.idle_steps(state, which, (outdated, replica.is_kept), &mut add);
        }
        for slot in 0..replica.tasks.len() {
            self.task_steps(state, (which, slot), &mut add);
        }
    }

    /// What the task in this slot does next, beside the reconciles of the same controller.
    fn task_steps(&mut self, state: &State, (which, slot): At, add: &mut dyn FnMut(&'static str, State)) {
        let replica = state.replicas[which];
        let with = |change: &dyn Fn(&mut State, &mut Replica)| {
            let mut next = state.clone();
            let mut own = replica;
            change(&mut next, &mut own);
            next.replicas[which] = own;
            next
        };
        match replica.tasks[slot] {
            Task::None => {}
            Task::Fresh(seen, _) => {
                // An edit, a suspension, a deletion or the loss of the Lease.
                add("cancels its task", with(&|_, own| own.tasks[slot] = Task::None));
                self.claim_steps(state, (which, slot), seen, add);
            }
            Task::Lost(call, view) => {
                add("reads for its claim", self.read_for_claim(state, (which, slot), (call, view)));
            }
            Task::Withdrawing(_, reply) => {
                let view = self.seen(state);
                let object = self.product.withdrawn(view, reply).map(|next| self.kept(state, next));
                add("retracts its claim", Self::rewritten(with(&|_, own| own.tasks[slot] = Task::None), object));
            }
            Task::Ready(call) => {
                if state.permits & 1 << call.0 != 0 || self.mutant == Some(Mutant::NoSendDeadline) {
                    add(
                        "sends",
                        with(&|next, own| {
                            own.tasks[slot] = Task::Waiting(call);
                            // By uid: what another object was sent for is remembered beside it.
                            if own.sent.is_none_or(|sent| sent.0 <= call.1) {
                                own.sent = Some((call.1, call.2));
                            }
                            insert(&mut next.sent, call);
                            insert(&mut next.under_way, call);
                        }),
                    );
                }
                add(
                    "cannot connect, or is too late",
                    with(&|_, own| own.tasks[slot] = Task::Recording(call, Outcome::NotSent)),
                );
            }
            Task::Waiting(call) => {
                let assumed =
                    if self.mutant == Some(Mutant::EveryErrorIsNotSent) { Outcome::NotSent } else { Outcome::Unknown };
                add("gets no answer", with(&|_, own| own.tasks[slot] = Task::Recording(call, assumed)));
            }
            Task::Recording(call, outcome) => {
                // Retried until it is written: one read and one swap, at some moment. The first try is made on the
                // object that the claim returned, even if the CRD would hide that by now.
                for view in [self.seen(state), self.product.seen(state.object.0, 0)] {
                    let is_ours = self.product.uid(view) == call.1;
                    let recorded = if is_ours { self.product.recorded(view, call.0, outcome) } else { None };
                    if is_ours && recorded.is_none() && self.product.facts(view).is_hidden {
                        // The outcome is kept until the view is complete.
                        continue;
                    }
                    let object = recorded.map(|object| self.kept(state, object));
                    let done = with(&|_, own| {
                        own.tasks[slot] = Task::None;
                        if outcome == Outcome::NotSent && own.sent == Some((call.1, call.2)) {
                            own.sent = None;
                        }
                    });
                    add("records", Self::rewritten(done, object));
                }
            }
        }
    }

    /// The reply to a claim was lost: the object itself shows whether it was applied.
    fn read_for_claim(&mut self, state: &State, (which, slot): At, (call, made_on): (Call, ObjectId)) -> State {
        let mut next = state.clone();
        let view = self.seen(state);
        let is_there = self.product.facts(view).attempt.is_some_and(|(number, ..)| number == call.0);
        let check_claim = is_there.then(|| self.product.check_claim(view, made_on, call.0));
        let own = &mut next.replicas[which];
        own.tasks[slot] = match check_claim {
            _ if self.mutant == Some(Mutant::SendAfterLostClaimReply) => Task::Ready(call),
            Some(ReadBack::Pruned) if self.mutant == Some(Mutant::NoReadBack) => Task::Ready(call),
            Some(ReadBack::Complete) => Task::Ready(call),
            Some(ReadBack::Altered | ReadBack::Closed) => Task::Recording(call, Outcome::NotSent),
            Some(ReadBack::Pruned) | None => Task::None,
        };
        if own.tasks[slot] == Task::None {
            own.abandoned |= 1 << call.0;
            if check_claim.is_some()
                && let Some(object) = self.product.withdrawn(view, view)
            {
                let kept = self.kept(state, object);
                return Self::rewritten(next, Some(kept));
            }
        }
        next
    }

    /// What this controller may have read, and not used yet, when the CRD is changed: only that change makes what it read
    /// differ without a conflict. Each is what it holds afterwards.
    fn reads_before(&mut self, state: &State, which: usize) -> Vec<Replica> {
        let (own, view) = (state.replicas[which], self.seen(state));
        let mut read = vec![own, Replica { cache: Some(view), is_kept: false, ..own }];
        let decided = self.decided(state, which, view);
        if matches!(decided, Move::DryRun(_)) && !state.old_crd {
            read.push(Replica { cache: None, is_kept: true, ..own });
            read.push(Replica { cache: Some(view), is_kept: true, ..own });
        }
        if let Some(slot) = self.free_slot(state, which, view).filter(|_| decided == Move::Claim) {
            let of = (self.product.uid(view), self.product.generation(view));
            for own in read.clone() {
                let mut begun = own;
                begun.tasks[slot] = Task::Fresh((view, state.object.1), of);
                read.push(begun);
            }
        }
        read
    }

    /// The attempts whose tasks live in this controller.
    pub(super) fn live(replica: &Replica) -> u8 {
        let number = |task: &Task| match *task {
            Task::None | Task::Fresh(..) => None,
            Task::Lost((number, ..), _)
            | Task::Withdrawing((number, ..), _)
            | Task::Ready((number, ..))
            | Task::Waiting((number, ..))
            | Task::Recording((number, ..), _) => Some(number),
        };
        replica.tasks.iter().filter_map(number).map(|number| 1 << number).sum()
    }

    /// The slot of a new task for this view, unless a task lives for its uid and generation.
    fn free_slot(&self, state: &State, which: usize, view: ObjectId) -> Option<usize> {
        let of = (self.product.uid(view), self.product.generation(view));
        let is_of = |task: &Task| match task {
            Task::None => false,
            Task::Fresh(_, other) => *other == of,
            Task::Lost(call, _)
            | Task::Withdrawing(call, _)
            | Task::Ready(call)
            | Task::Waiting(call)
            | Task::Recording(call, _) => (call.1, call.2) == of,
        };
        let tasks = &state.replicas[which].tasks;
        let slot = tasks.iter().position(|task| *task == Task::None);
        slot.filter(|_| state.left.attempts > 0 && !tasks.iter().any(is_of))
    }

    /// A task begins: it reads the object afresh, decides again and claims, in one step for the same reason.
    fn begin_task(&mut self, state: &State, which: usize, seen: ObjectId, add: &mut dyn FnMut(&'static str, State)) {
        let Some(slot) = self.free_slot(state, which, seen) else { return };
        let view = self.seen(state);
        let of = (self.product.uid(view), self.product.generation(view));
        let is_same = of == (self.product.uid(seen), self.product.generation(seen));
        if !is_same || self.decided(state, which, view) != Move::Claim {
            return;
        }
        let read = (view, state.object.1);
        if self.mutant != Some(Mutant::ClaimWithoutSwap) {
            return self.claim_steps(state, (which, slot), read, add);
        }
        let mut next = state.clone();
        next.replicas[which].tasks[slot] = Task::Fresh(read, of);
        add("begins a task", next);
    }

    /// What this controller decides on this view.
    fn decided(&mut self, state: &State, which: usize, view: ObjectId) -> Move {
        let replica = state.replicas[which];
        let lapsed = self.lapsed(state, which, view);
        let decided = self.product.next(view, lapsed, (replica.abandoned, Self::live(&replica)), replica.sent);
        let is_retried = matches!(decided, Move::Settle(_)) && self.mutant == Some(Mutant::RetryOrphanedClaim);
        if is_retried { Move::Claim } else { decided }
    }

    /// Whether this controller has waited for the grace of what this view shows.
    fn lapsed(&self, state: &State, which: usize, view: ObjectId) -> bool {
        let pending = self.product.facts(view).waits_for;
        let hurried = self.mutant == Some(Mutant::NoCoolDown) && self.product.facts(view).is_quiet;
        // A grace that may end stays so, and whether it ended makes a difference only once something is decided.
        let is_over = pending != Some(NO_ATTEMPT) && Self::may_lapse(state, pending);
        is_over || (pending.is_some() && state.replicas[which].lapsed == pending) || hurried
    }

    /// The step of a reconcile on the object that the controller has seen, after a dry run that came back complete or not.
    fn idle_steps(
        &mut self,
        state: &State,
        which: usize,
        (seen, is_kept): (ObjectId, bool),
        add: &mut dyn FnMut(&'static str, State),
    ) {
        let pending = self.product.facts(seen).waits_for;
        let is_over = self.lapsed(state, which, seen);
        if pending == Some(NO_ATTEMPT) && !is_over && Self::may_lapse(state, pending) {
            let mut next = state.clone();
            next.replicas[which].lapsed = pending;
            add("has waited for the grace", next);
        }
        match self.decided(state, which, seen) {
            // It is written on what is read after a dry run.
            Move::DryRun(_) if !is_kept && (state.old_crd || self.seen(state) != seen) => {}
            Move::Rest => {}
            Move::Write(object) | Move::Settle(object) | Move::DryRun(object) => {
                let mut next = state.clone();
                (next.replicas[which].cache, next.replicas[which].is_kept) = (None, false);
                let object = self.kept(state, object);
                add("writes", Self::rewritten(next, Some(object)));
            }
            Move::Claim => self.begin_task(state, which, seen, add),
            Move::Observe(number) => self.observe_steps(state, which, (seen, number), add),
        }
    }

    /// The possible results of a read of the cloud: what was carried out, or, for any reason, nothing of it in time.
    fn observe_steps(
        &mut self,
        state: &State,
        which: usize,
        (seen, number): (ObjectId, Number),
        add: &mut dyn FnMut(&'static str, State),
    ) {
        let was_executed =
            state.executed.iter().any(|&(other, ..)| other == number) || self.mutant == Some(Mutant::AbsenceIsAccepted);
        for (label, running) in [("sees it run", true), ("sees nothing in time", false)] {
            if running && !was_executed {
                continue;
            }
            let Some(object) = self.product.observed(seen, running) else { continue };
            let mut next = state.clone();
            (next.replicas[which].cache, next.replicas[which].is_kept) = (None, false);
            let object = self.kept(state, object);
            add(label, Self::rewritten(next, Some(object)));
        }
    }

    fn claim_steps(&mut self, state: &State, (which, slot): At, seen: Seen, add: &mut dyn FnMut(&'static str, State)) {
        if state.left.attempts == 0 {
            return;
        }
        let number = self.unused(state);
        let asked = self.product.asked(seen.0);
        let call = (number, self.product.uid(seen.0), self.product.generation(seen.0));
        let mut base = state.clone();
        base.left.attempts -= 1;
        base.permits |= 1 << number;
        let with = |task: Task, object: Option<ObjectId>| {
            let mut next = base.clone();
            next.replicas[which].tasks[slot] = task;
            if let Some(object) = object {
                next.object = (object, next.object.1 + 1);
            }
            next
        };
        if self.mutant == Some(Mutant::NoClaim) {
            return add("calls without a claim", with(Task::Ready(call), None));
        }
        let unswapped = self.mutant == Some(Mutant::ClaimWithoutSwap) && self.product.uid(state.object.0) == call.1;
        if state.object.1 == seen.1 || unswapped {
            let claimed = self.product.claimed(seen.0, number);
            let kept = self.kept(state, claimed);
            let reply = self.product.seen(kept, self.pruned(state));
            let check_claim = self.product.check_claim(reply, seen.0, number);
            match check_claim {
                ReadBack::Complete => add("claims", with(Task::Ready(call), Some(kept))),
                _ if self.mutant == Some(Mutant::NoReadBack) || unswapped => {
                    add("claims", with(Task::Ready(call), Some(kept)));
                }
                _ => {
                    // Read back without the journal: nothing is sent, and the object reports why.
                    let pruned = |task: Task| {
                        let mut next = with(task, Some(kept));
                        next.replicas[which].abandoned |= 1 << number;
                        next
                    };
                    let held = self.product.withdrawn(reply, reply);
                    let held = held.map(|held| self.product.kept(kept, held, self.pruned(state)));
                    add("claims, and the CRD prunes it", Self::rewritten(pruned(Task::None), held));
                    add("claims, the CRD prunes it, another account writes", pruned(Task::Withdrawing(call, reply)));
                }
            }
            add("claims, and the reply is lost", with(Task::Lost(call, asked), Some(kept)));
        } else {
            add("claims, and meets a conflict", with(Task::None, None));
        }
        let mut late = with(Task::Lost(call, asked), None);
        insert(&mut late.late_claims, (number, seen));
        add("claims, no reply, perhaps later", late);
    }

    /// The least number of an attempt that nothing refers to.
    fn unused(&self, state: &State) -> Number {
        let mut used = self.product.facts(state.object.0).named;
        for replica in &state.replicas {
            used |= Self::live(replica);
        }
        for &(number, _) in &state.late_claims {
            used |= 1 << number;
        }
        for &(number, ..) in state.under_way.iter().chain(&state.sent).chain(&state.executed) {
            used |= if number == NO_ATTEMPT { 0 } else { 1 << number };
        }
        u8::try_from(used.trailing_ones()).unwrap()
    }

    fn network_steps(&mut self, state: &State, steps: &mut Vec<(Label, State)>) {
        for &call in &state.under_way {
            let mut gone = state.clone();
            gone.under_way.retain(|other| *other != call);
            for (label, outcome) in [("is carried out", Outcome::Accepted), ("is refused or lost", Outcome::Refused)] {
                let mut next = gone.clone();
                // Who waits for it gets the answer at once: to wait longer, or in vain, is to end without an answer before.
                let mut tasks = next.replicas.iter_mut().flat_map(|replica| &mut replica.tasks);
                if let Some(task) = tasks.find(|task| **task == Task::Waiting(call)) {
                    *task = Task::Recording(call, outcome);
                }
                if outcome == Outcome::Accepted {
                    insert(&mut next.executed, call);
                }
                steps.push((Label("request ", Some(call.0), label), next));
            }
        }
        for &(number, base) in &state.late_claims {
            let mut next = state.clone();
            next.late_claims.retain(|other| *other != (number, base));
            let object = (state.object.1 == base.1).then(|| {
                let claimed = self.product.claimed(base.0, number);
                self.kept(state, claimed)
            });
            steps.push((Label("claim ", Some(number), "arrives late"), Self::rewritten(next, object)));
        }
        // Who holds a permit that stands and is too late records the same as who cannot connect.
        let is_ready = |number: Number| {
            let mut tasks = state.replicas.iter().flat_map(|replica| &replica.tasks);
            tasks.any(|task| matches!(task, Task::Ready(call) if call.0 == number))
        };
        let ends = |number: &Number| {
            state.permits & 1 << number != 0 && (!is_ready(*number) || self.mutant == Some(Mutant::NoSendDeadline))
        };
        for number in (0..self.budget.attempts).filter(ends) {
            let mut next = state.clone();
            next.permits &= !(1 << number);
            steps.push((Label("send budget ", Some(number), "ends"), next));
        }
    }

    fn people_steps(&mut self, state: &State, steps: &mut Vec<(Label, State)>) {
        let here = self.kept(state, state.object.0);
        let mut add = |label: &'static str, object: Option<ObjectId>, change: &dyn Fn(&mut State)| {
            let mut next = Self::rewritten(state.clone(), object);
            change(&mut next);
            steps.push((Label("", None, label), next));
        };
        if state.left.edits > 0 {
            let edited = self.product.edited(here);
            add("the spec is edited", Some(edited), &|next| next.left.edits -= 1);
        }
        if state.left.recreations > 0 {
            let created = self.product.create(self.product.uid(state.object.0) + 1);
            add("the object is deleted and created again", Some(created), &|next| next.left.recreations -= 1);
        }
        // A label that changes nothing in the store makes no difference except a conflict.
        if state.left.labels > 0 && state.old_crd {
            add("the object gets a label", Some(here), &|next| next.left.labels -= 1);
        }
        if state.left.emptied > 0 {
            let unmanaged = self.product.unmanaged(here);
            add("the managed fields are emptied", Some(unmanaged), &|next| next.left.emptied -= 1);
        }
        if state.old_crd || state.left.rollbacks > 0 {
            let label = if state.old_crd { "the CRD is replaced" } else { "the older CRD is installed" };
            let (first, second) = (self.reads_before(state, 0), self.reads_before(state, 1));
            for (&first, &second) in first.iter().flat_map(|first| second.iter().map(move |second| (first, second))) {
                let mut next = state.clone();
                next.replicas = [first, if self.budget.replicas > 1 { second } else { IDLE }];
                next.left.rollbacks -= u8::from(!state.old_crd);
                next.old_crd = !state.old_crd;
                steps.push((Label("", None, label), next));
            }
        }
    }

    /// The grace is longer than a send budget and a request's life together: it ends after both.
    fn may_lapse(state: &State, pending: Option<Number>) -> bool {
        match pending {
            None => false,
            Some(NO_ATTEMPT) => state.permits == 0 && state.under_way.is_empty(),
            Some(number) => {
                state.permits & 1 << number == 0 && state.under_way.iter().all(|&(other, ..)| other != number)
            }
        }
    }

    /// The fields that the installed CRD prunes.
    fn pruned(&self, state: &State) -> u8 {
        if state.old_crd { self.budget.pruned } else { 0 }
    }

    /// The object as the API server shows it now.
    pub(super) fn seen(&mut self, state: &State) -> ObjectId {
        let stored = if self.mutant == Some(Mutant::ManagedFieldsAreNotRead) {
            self.product.unmanaged(state.object.0)
        } else {
            state.object.0
        };
        self.product.seen(stored, self.pruned(state))
    }

    /// The stored object after the status of this object was written.
    fn kept(&mut self, state: &State, object: ObjectId) -> ObjectId {
        self.product.kept(state.object.0, object, self.pruned(state))
    }

    /// With another object stored, if any.
    fn rewritten(mut state: State, object: Option<ObjectId>) -> State {
        if let Some(object) = object {
            state.object = (object, state.object.1 + 1);
        }
        state
    }
}

fn insert<T: Ord>(list: &mut Vec<T>, item: T) {
    let at = list.partition_point(|other| *other < item);
    list.insert(at, item);
}
