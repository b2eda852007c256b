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
    /// The reply to the claim was lost. The claim was made on this view.
    Lost(Call, ObjectId),
    /// The CRD pruned the claim; the reply showed this.
    Withdrawing(Call, ObjectId),
    Ready(Call),
    Waiting(Call),
    Recording(Call, Outcome),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Replica {
    pub(super) cache: Option<Seen>,
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
    pub(super) replies: Vec<(Number, Outcome)>,
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
            replies: Vec::new(),
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
        let with = |change: &dyn Fn(&mut State, &mut Replica)| {
            let mut next = state.clone();
            let mut own = replica;
            change(&mut next, &mut own);
            next.replicas[which] = own;
            next
        };
        let view = (self.seen(state), state.object.1);
        if replica.cache != Some(view) {
            add("looks", with(&|_, own| own.cache = Some(view)));
        }
        if let Some(seen) = replica.cache {
            self.idle_steps(state, which, seen, &mut add);
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
                add("reads for its claim", self.read_for_claim(state, (which, slot), (call, view)))
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
                if let Some(&(_, outcome)) = state.replies.iter().find(|(number, _)| *number == call.0) {
                    add(
                        "gets an answer",
                        with(&|next, own| {
                            own.tasks[slot] = Task::Recording(call, outcome);
                            next.replies.retain(|(number, _)| *number != call.0);
                        }),
                    );
                }
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
                    if is_ours && recorded.is_none() && self.product.is_hidden(view) {
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
        let is_there = self.product.attempt(view).is_some_and(|(number, _)| number == call.0);
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

    /// The attempts whose tasks live in this controller.
    fn live(replica: &Replica) -> u8 {
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

    /// A task begins, unless one lives for this uid and generation: it reads the object afresh and decides again.
    fn begin_task(&mut self, state: &State, which: usize, seen: Seen, add: &mut dyn FnMut(&'static str, State)) {
        let replica = state.replicas[which];
        let of = (self.product.uid(seen.0), self.product.generation(seen.0));
        let is_of = |task: &Task| match task {
            Task::None => false,
            Task::Fresh(_, other) => *other == of,
            Task::Lost(call, _)
            | Task::Withdrawing(call, _)
            | Task::Ready(call)
            | Task::Waiting(call)
            | Task::Recording(call, _) => (call.1, call.2) == of,
        };
        let slot = replica.tasks.iter().position(|task| *task == Task::None);
        let Some(slot) = slot.filter(|_| state.left.attempts > 0 && !replica.tasks.iter().any(is_of)) else { return };
        let view = (self.seen(state), state.object.1);
        if of != (self.product.uid(view.0), self.product.generation(view.0)) {
            return;
        }
        let decided = self.product.next(
            view.0,
            self.lapsed(state, which, view.0),
            (replica.abandoned, Self::live(&replica)),
            replica.sent,
        );
        let is_retried = matches!(decided, Move::Settle(_)) && self.mutant == Some(Mutant::RetryOrphanedClaim);
        if decided == Move::Claim || is_retried {
            let mut next = state.clone();
            next.replicas[which].tasks[slot] = Task::Fresh(view, of);
            add("begins a task", next);
        }
    }

    /// Whether this controller has waited for the grace of what this view shows.
    fn lapsed(&self, state: &State, which: usize, view: ObjectId) -> bool {
        let pending = self.product.waits_for(view);
        let hurried = self.mutant == Some(Mutant::NoCoolDown) && self.product.is_quiet(view);
        (pending.is_some() && state.replicas[which].lapsed == pending) || hurried
    }

    /// The step of a reconcile on the object that the controller has seen.
    fn idle_steps(&mut self, state: &State, which: usize, seen: Seen, add: &mut dyn FnMut(&'static str, State)) {
        let replica = state.replicas[which];
        let pending = self.product.waits_for(seen.0);
        let lapsed = pending.is_some() && replica.lapsed == pending;
        if let Some(number) = pending.filter(|_| !lapsed && Self::may_lapse(state, pending)) {
            let mut next = state.clone();
            next.replicas[which].lapsed = Some(number);
            add("has waited for the grace", next);
        }
        let lapsed = self.lapsed(state, which, seen.0);
        let mut action = self.product.next(seen.0, lapsed, (replica.abandoned, Self::live(&replica)), replica.sent);
        if matches!(action, Move::Settle(_)) && self.mutant == Some(Mutant::RetryOrphanedClaim) {
            action = Move::Claim;
        }
        let fits = state.object.1 == seen.1;
        if let Move::DryRun(object) = action {
            // The view after a dry run decides.
            if replica.is_kept {
                action = Move::Write(object);
            } else if !state.old_crd {
                let mut next = state.clone();
                (next.replicas[which].cache, next.replicas[which].is_kept) = (None, true);
                return add("tries what the CRD keeps", next);
            }
        }
        match action {
            Move::Rest | Move::DryRun(_) => {}
            Move::Write(object) | Move::Settle(object) => {
                let mut next = state.clone();
                (next.replicas[which].cache, next.replicas[which].is_kept) = (None, false);
                let object = fits.then(|| self.kept(state, object));
                add(if fits { "writes" } else { "meets a conflict" }, Self::rewritten(next, object));
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
        (seen, number): (Seen, Number),
        add: &mut dyn FnMut(&'static str, State),
    ) {
        let was_executed =
            state.executed.iter().any(|&(other, ..)| other == number) || self.mutant == Some(Mutant::AbsenceIsAccepted);
        for (label, running) in [("sees it run", true), ("sees nothing in time", false)] {
            if running && !was_executed {
                continue;
            }
            let Some(object) = self.product.observed(seen.0, running) else { continue };
            let mut next = state.clone();
            next.replicas[which].cache = None;
            let object = (state.object.1 == seen.1).then(|| self.kept(state, object));
            add(label, Self::rewritten(next, object));
        }
    }

    fn claim_steps(&mut self, state: &State, (which, slot): At, seen: Seen, add: &mut dyn FnMut(&'static str, State)) {
        if state.left.attempts == 0 {
            return;
        }
        let number = self.budget.attempts - state.left.attempts;
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
            add("claims, and the reply is lost", with(Task::Lost(call, seen.0), Some(kept)));
        } else {
            add("claims, and meets a conflict", with(Task::None, None));
        }
        let mut late = with(Task::Lost(call, seen.0), None);
        insert(&mut late.late_claims, (number, seen));
        add("claims, no reply, perhaps later", late);
    }

    fn network_steps(&mut self, state: &State, steps: &mut Vec<(Label, State)>) {
        for &call in &state.under_way {
            let mut gone = state.clone();
            gone.under_way.retain(|other| *other != call);
            for (label, outcome) in
                [("is carried out", Some(Outcome::Accepted)), ("is refused", Some(Outcome::Refused)), ("is lost", None)]
            {
                let mut next = gone.clone();
                if let Some(outcome) = outcome {
                    insert(&mut next.replies, (call.0, outcome));
                }
                if outcome == Some(Outcome::Accepted) {
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
        for number in (0..self.budget.attempts).filter(|number| state.permits & 1 << number != 0) {
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
        if state.old_crd {
            add("the CRD is replaced", None, &|next| next.old_crd = false);
        } else if state.left.rollbacks > 0 {
            add("the older CRD is installed", None, &|next| {
                next.old_crd = true;
                next.left.rollbacks -= 1;
            });
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
    fn seen(&mut self, state: &State) -> ObjectId {
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
