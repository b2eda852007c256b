//! The world around two controllers: an API server that compares and swaps, a network that loses and delays, a cloud
//! that carries out or refuses, people who edit. All of it as steps from one state to the next.

use super::product::{Move, NO_ATTEMPT, Number, ObjectId, Outcome, Product};

/// How much trouble there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Budget {
    pub crashes: u8,
    pub edits: u8,
    pub recreations: u8,
    pub attempts: u8,
    /// The CRD at first; an old one may be replaced at any time.
    pub crd: Crd,
}

/// What the installed CRD keeps of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Crd {
    Current,
    WithoutAttempt,
    WithoutAField,
}

/// A protocol with one part left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    NoClaim,
    ClaimWithoutSwap,
    EveryErrorIsNotSent,
    OrphanIsRetried,
    GoOnAfterLostClaimReply,
    NoReadBack,
    NoSendDeadline,
    NoQuietPeriod,
    AbsenceIsAccepted,
}

impl Mutant {
    pub const ALL: [Self; 9] = [
        Self::NoClaim,
        Self::ClaimWithoutSwap,
        Self::EveryErrorIsNotSent,
        Self::OrphanIsRetried,
        Self::GoOnAfterLostClaimReply,
        Self::NoReadBack,
        Self::NoSendDeadline,
        Self::NoQuietPeriod,
        Self::AbsenceIsAccepted,
    ];
}

/// An object and its resourceVersion.
pub(super) type Seen = (ObjectId, u8);
/// A request: attempt, uid, generation.
pub(super) type Call = (Number, u8, u8);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Task {
    None,
    /// The reply to the claim was lost.
    Lost(Call),
    Ready(Call),
    Waiting(Call),
    Recording(Call, Outcome),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Replica {
    pub(super) cache: Option<Seen>,
    /// The attempt whose grace has ended for this process.
    pub(super) lapsed: Option<Number>,
    pub(super) given_up: u8,
    pub(super) sent: Option<(u8, u8)>,
    pub(super) task: Task,
}

const IDLE: Replica = Replica { cache: None, lapsed: None, given_up: 0, sent: None, task: Task::None };

/// See the module. Lists are kept sorted, so that equal worlds are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub(super) object: Seen,
    pub(super) replicas: [Replica; 2],
    pub(super) under_way: Vec<Call>,
    pub(super) sent: Vec<Call>,
    pub(super) executed: Vec<Call>,
    pub(super) replies: Vec<(Number, Outcome)>,
    /// Claims that may still be applied: the attempt, and what they were built from.
    pub(super) late_claims: Vec<(Number, Seen)>,
    /// Attempts whose send budget is not over.
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
        Self { product: Product::new(), budget, mutant }
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
            old_crd: self.budget.crd != Crd::Current,
            left: self.budget,
        }
    }

    /// Everything that can happen next.
    pub fn steps(&mut self, state: &State) -> Vec<(String, State)> {
        let mut steps = Vec::new();
        for replica in 0..2 {
            self.replica_steps(state, replica, &mut steps);
        }
        self.network_steps(state, &mut steps);
        self.people_steps(state, &mut steps);
        steps
    }

    fn replica_steps(&mut self, state: &State, which: usize, steps: &mut Vec<(String, State)>) {
        let replica = state.replicas[which];
        let mut add = |label: &str, next: State| steps.push((format!("r{which} {label}"), next));
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
        match replica.task {
            Task::None => {
                if replica.cache != Some(state.object) {
                    add("looks", with(&|next, own| own.cache = Some(next.object)));
                }
                if let Some(seen) = replica.cache {
                    self.idle_steps(state, which, seen, &mut add);
                }
            }
            Task::Lost(call) => add("looks for its claim", self.look_for_claim(state, which, call)),
            Task::Ready(call) => {
                if state.permits & 1 << call.0 != 0 || self.mutant == Some(Mutant::NoSendDeadline) {
                    add(
                        "sends",
                        with(&|next, own| {
                            own.task = Task::Waiting(call);
                            own.sent = Some((call.1, call.2));
                            insert(&mut next.sent, call);
                            insert(&mut next.under_way, call);
                        }),
                    );
                }
                add(
                    "cannot connect, or is too late",
                    with(&|_, own| own.task = Task::Recording(call, Outcome::NotSent)),
                );
            }
            Task::Waiting(call) => {
                if let Some(&(_, outcome)) = state.replies.iter().find(|(number, _)| *number == call.0) {
                    add(
                        "gets an answer",
                        with(&|next, own| {
                            own.task = Task::Recording(call, outcome);
                            next.replies.retain(|(number, _)| *number != call.0);
                        }),
                    );
                }
                let assumed =
                    if self.mutant == Some(Mutant::EveryErrorIsNotSent) { Outcome::NotSent } else { Outcome::Unknown };
                add("gets no answer", with(&|_, own| own.task = Task::Recording(call, assumed)));
            }
            Task::Recording(call, outcome) => {
                // Tried until it is written: one read and one swap, at some moment.
                let (object, uid) = (state.object.0, self.product.uid(state.object.0));
                let recorded = if uid == call.1 { self.product.recorded(object, call.0, outcome) } else { None };
                let recorded = recorded.map(|object| self.kept(state, object));
                add(
                    "records",
                    with(&|next, own| {
                        own.task = Task::None;
                        own.cache = None;
                        if outcome == Outcome::NotSent {
                            own.sent = None;
                        }
                        if let Some(object) = recorded {
                            next.object = (object, next.object.1 + 1);
                        }
                    }),
                );
            }
        }
    }

    /// The reply to a claim was lost: what the object itself says of it.
    fn look_for_claim(&mut self, state: &State, which: usize, call: Call) -> State {
        let mut next = state.clone();
        let there = self.product.attempt(state.object.0).filter(|(number, _)| *number == call.0);
        let is_open = there.map(|(_, attempt)| attempt.is_open());
        let kept = self.product.is_whole(state.object.0) || self.mutant == Some(Mutant::NoReadBack);
        let own = &mut next.replicas[which];
        own.task = match is_open {
            _ if self.mutant == Some(Mutant::GoOnAfterLostClaimReply) => Task::Ready(call),
            Some(true) if kept => Task::Ready(call),
            Some(false) => Task::Recording(call, Outcome::NotSent),
            Some(true) | None => Task::None,
        };
        if own.task == Task::None {
            (own.cache, own.given_up) = (None, own.given_up | 1 << call.0);
            if let Some(object) = is_open.and_then(|_| self.product.withdrawn(state.object.0)) {
                next.object = (object, next.object.1 + 1);
            }
        }
        next
    }

    /// What a controller without a task does with the object it has seen.
    fn idle_steps(&mut self, state: &State, which: usize, seen: Seen, add: &mut dyn FnMut(&str, State)) {
        let replica = state.replicas[which];
        let pending = self.product.waits_for(seen.0);
        let lapsed = pending.is_some() && replica.lapsed == pending;
        if let Some(number) = pending.filter(|_| !lapsed && Self::may_lapse(state, pending)) {
            let mut next = state.clone();
            next.replicas[which].lapsed = Some(number);
            add("has waited for the grace", next);
        }
        let hurried = self.mutant == Some(Mutant::NoQuietPeriod) && self.product.is_quiet(seen.0);
        let mut action = self.product.next(seen.0, lapsed || hurried, replica.given_up, replica.sent);
        if matches!(action, Move::Settle(_)) && self.mutant == Some(Mutant::OrphanIsRetried) {
            action = Move::Claim;
        }
        let fits = state.object == seen;
        match action {
            Move::Rest => {}
            Move::Write(object) | Move::Settle(object) => {
                let mut next = state.clone();
                next.replicas[which].cache = None;
                if fits {
                    next.object = (self.kept(state, object), seen.1 + 1);
                }
                add(if fits { "writes" } else { "meets a conflict" }, next);
            }
            Move::Claim => self.claim_steps(state, which, seen, add),
            Move::Observe(number) => self.observe_steps(state, which, (seen, number), add),
        }
    }

    /// What a look at the cloud can show: what was carried out, or for whatever reason nothing of it in time.
    fn observe_steps(
        &mut self,
        state: &State,
        which: usize,
        (seen, number): (Seen, Number),
        add: &mut dyn FnMut(&str, State),
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
            if state.object == seen {
                next.object = (self.kept(state, object), seen.1 + 1);
            }
            add(label, next);
        }
    }

    fn claim_steps(&mut self, state: &State, which: usize, seen: Seen, add: &mut dyn FnMut(&str, State)) {
        if state.left.attempts == 0 {
            return;
        }
        // Said to be old before: asked without writing first.
        if state.old_crd && self.product.says_outdated(seen.0) && self.mutant != Some(Mutant::NoReadBack) {
            return;
        }
        let number = self.budget.attempts - state.left.attempts;
        let call = (number, self.product.uid(seen.0), self.product.generation(seen.0));
        let mut base = state.clone();
        base.left.attempts -= 1;
        base.permits |= 1 << number;
        let with = |task: Task, object: Option<ObjectId>| {
            let mut next = base.clone();
            next.replicas[which] = Replica { task, cache: None, ..next.replicas[which] };
            if let Some(object) = object {
                next.object = (object, next.object.1 + 1);
            }
            next
        };
        if self.mutant == Some(Mutant::NoClaim) {
            return add("calls without a claim", with(Task::Ready(call), None));
        }
        let unswapped = self.mutant == Some(Mutant::ClaimWithoutSwap) && self.product.uid(state.object.0) == call.1;
        if state.object == seen || unswapped {
            let claimed = self.product.claimed(state.object.0, number);
            let kept = self.kept(state, claimed);
            if kept == claimed || self.mutant == Some(Mutant::NoReadBack) {
                add("claims", with(Task::Ready(call), Some(kept)));
            } else {
                // Read back without the journal: nothing is sent, and the object says why.
                let held = self.product.withdrawn(kept).unwrap_or(kept);
                let mut next = with(Task::None, Some(held));
                next.object.1 += 1;
                next.replicas[which].given_up |= 1 << number;
                add("claims, and the CRD prunes it", next);
                add("claims, the CRD prunes it, and it stops before saying so", with(Task::None, Some(kept)));
            }
            add("claims, and the reply is lost", with(Task::Lost(call), Some(kept)));
        } else {
            add("claims, and meets a conflict", with(Task::None, None));
        }
        let mut late = with(Task::Lost(call), None);
        insert(&mut late.late_claims, (number, seen));
        add("claims, no reply, perhaps later", late);
    }

    fn network_steps(&mut self, state: &State, steps: &mut Vec<(String, State)>) {
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
                steps.push((format!("request {} {label}", call.0), next));
            }
        }
        for &(number, base) in &state.late_claims {
            let mut next = state.clone();
            next.late_claims.retain(|other| *other != (number, base));
            if state.object == base {
                let claimed = self.product.claimed(base.0, number);
                next.object = (self.kept(state, claimed), base.1 + 1);
            }
            steps.push((format!("claim {number} arrives late"), next));
        }
        for number in (0..self.budget.attempts).filter(|number| state.permits & 1 << number != 0) {
            let mut next = state.clone();
            next.permits &= !(1 << number);
            steps.push((format!("send budget {number} ends"), next));
        }
    }

    fn people_steps(&mut self, state: &State, steps: &mut Vec<(String, State)>) {
        if state.left.edits > 0 {
            let mut next = state.clone();
            next.object = (self.product.edited(state.object.0), state.object.1 + 1);
            next.left.edits -= 1;
            steps.push(("the spec is edited".to_owned(), next));
        }
        if state.left.recreations > 0 {
            let mut next = state.clone();
            next.object = (self.product.create(self.product.uid(state.object.0) + 1), state.object.1 + 1);
            next.left.recreations -= 1;
            steps.push(("the object is deleted and created again".to_owned(), next));
        }
        if state.old_crd {
            let mut next = state.clone();
            next.old_crd = false;
            steps.push(("the CRD is replaced".to_owned(), next));
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

    fn kept(&mut self, state: &State, object: ObjectId) -> ObjectId {
        if state.old_crd { self.product.pruned(object, self.budget.crd) } else { object }
    }
}

fn insert<T: Ord>(list: &mut Vec<T>, item: T) {
    let at = list.partition_point(|other| *other < item);
    list.insert(at, item);
}
