//! The product inside the model: every decision and every status comes from the product's own pure rooms. Objects are
//! interned, and each answer of the product is asked for once.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use k8s_openapi::jiff::Timestamp;
use redistribution_operator::{
    decide::{Now, Rules, Step, decide},
    dws::endpoint::Regions,
    journal::{self, Journal},
    memory::Memory,
    observation::{Finding, Phase, Unseen},
    resource::{Attempt, AttemptState, Baseline, ClusterRedistribution, ClusterRedistributionStatus, Reason},
    status::{self, Record, Recording, observed::observed},
};

use super::world::Crd;

/// An interned object.
pub type ObjectId = u16;
/// Number of an attempt; its id is `a<number>`.
pub type Number = u8;
/// What a quiet journal without any attempt is waited for by.
pub const NO_ATTEMPT: Number = u8::MAX;

/// What a controller would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Nothing, or wait.
    Rest,
    /// Write this object.
    Write(ObjectId),
    /// Claim.
    Claim,
    /// As `Write`, which settles an open attempt of nobody.
    Settle(ObjectId),
    /// Look whether this attempt was carried out.
    Observe(Number),
}

/// What becomes of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// 200.
    Accepted,
    /// 403.
    Refused,
    /// Proven.
    NotSent,
    /// Nobody knows.
    Unknown,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Question {
    Decide { lapsed: bool, given_up: u8, sent: Option<(u8, u8)> },
    Claimed(Number),
    Recorded(Number, Outcome),
    Edited,
    Pruned(Crd),
    Observed { running: bool },
    Withdrawn,
}

/// See the module.
pub struct Product {
    objects: Vec<ClusterRedistribution>,
    index: HashMap<String, ObjectId>,
    moves: HashMap<(ObjectId, Question), Move>,
    changes: HashMap<(ObjectId, Question), Option<ObjectId>>,
    rules: Rules,
    wall: Timestamp,
    start: Instant,
}

impl Product {
    pub fn new() -> Self {
        let regions = Regions::new(Some("cn-north-4"), &[], &[]).unwrap();
        let grace = Duration::from_secs(75);
        let rules = Rules { require_not_after: false, hold_reverts: false, grace, regions, observe: true };
        let wall = "2026-12-01T18:00:00Z".parse().unwrap();
        Self {
            objects: Vec::new(),
            index: HashMap::new(),
            moves: HashMap::new(),
            changes: HashMap::new(),
            rules,
            wall,
            start: Instant::now(),
        }
    }

    /// A fresh object.
    pub fn create(&mut self, uid: u8) -> ObjectId {
        let mut object = ClusterRedistribution::new("wish", crate::world::spec("e59d6b86-9072-46eb-a996-13f8b44994c1"));
        object.metadata.namespace = Some("team".to_owned());
        object.metadata.uid = Some(uid.to_string());
        object.metadata.generation = Some(1);
        object.status = Some(ClusterRedistributionStatus { observed_generation: Some(-1), ..Default::default() });
        self.intern(object)
    }

    pub fn object(&self, id: ObjectId) -> &ClusterRedistribution {
        &self.objects[id as usize]
    }

    pub fn uid(&self, id: ObjectId) -> u8 {
        self.object(id).metadata.uid.as_deref().unwrap().parse().unwrap()
    }

    pub fn generation(&self, id: ObjectId) -> u8 {
        u8::try_from(self.object(id).metadata.generation.unwrap()).unwrap()
    }

    pub fn attempt(&self, id: ObjectId) -> Option<(Number, &Attempt)> {
        let attempt = self.object(id).status.as_ref()?.attempt.as_ref()?;
        Some((attempt.id.strip_prefix('a')?.parse().ok()?, attempt))
    }

    /// What an observer of this object waits for.
    pub fn waits_for(&self, id: ObjectId) -> Option<Number> {
        let number = |key: &str| key.strip_prefix('a').and_then(|number| number.parse().ok()).unwrap_or(NO_ATTEMPT);
        match journal::read(self.object(id)) {
            Journal::Open(attempt) => Some(number(&attempt.id)),
            Journal::Quiet { key, .. } => Some(number(key)),
            _ => None,
        }
    }

    pub fn is_quiet(&self, id: ObjectId) -> bool {
        matches!(journal::read(self.object(id)), Journal::Quiet { .. })
    }

    /// Closed: finished, or held until a person acts.
    pub fn is_closed(&self, id: ObjectId) -> bool {
        let object = self.object(id);
        journal::is_finished(object) || matches!(journal::read(object), Journal::Invalid(_))
    }

    /// What a controller does that sees this object, remembers this, and has waited for the grace or not.
    pub fn next(&mut self, id: ObjectId, lapsed: bool, given_up: u8, sent: Option<(u8, u8)>) -> Move {
        let question = Question::Decide { lapsed, given_up, sent };
        if let Some(&known) = self.moves.get(&(id, question)) {
            return known;
        }
        let object = self.object(id).clone();
        let mut memory = Memory::default();
        for number in (0..7).filter(|number| given_up & (1 << number) != 0) {
            memory.give_up(object.metadata.uid.as_deref().unwrap(), &format!("a{number}"));
        }
        if let Some((uid, generation)) = sent {
            memory.sending(&uid.to_string(), i64::from(generation), self.start);
        }
        memory.note(&object, self.start);
        let waited = if lapsed { Duration::from_secs(3000) } else { Duration::ZERO };
        let step = decide(&object, &memory, &self.rules, Now { wall: self.wall, instant: self.start + waited });
        let generation = object.metadata.generation.unwrap();
        let answer = match step {
            Step::Nothing | Step::Hidden | Step::Wait(_) | Step::Rehearse(_) => Move::Rest,
            Step::Claim(_) => Move::Claim,
            Step::Observe(_) => self.attempt(id).map_or(Move::Rest, |(number, _)| Move::Observe(number)),
            Step::Hold { reason, message } => {
                let held = status::held(object.status.as_ref(), generation, reason, &message, self.wall);
                held.map_or(Move::Rest, |held| Move::Write(self.with_status(id, held)))
            }
            Step::Recall { attempt_id } => {
                self.closed(id, &attempt_id, Outcome::NotSent).map_or(Move::Rest, Move::Write)
            }
            Step::Settle { attempt_id } => {
                self.closed(id, &attempt_id, Outcome::Unknown).map_or(Move::Rest, Move::Settle)
            }
        };
        self.moves.insert((id, question), answer);
        answer
    }

    /// The object with this attempt claimed.
    pub fn claimed(&mut self, id: ObjectId, number: Number) -> ObjectId {
        self.change(id, Question::Claimed(number), |product| {
            let object = product.object(id);
            let attempt = Attempt {
                id: format!("a{number}"),
                uid: object.metadata.uid.clone().unwrap(),
                generation: object.metadata.generation.unwrap(),
                state: AttemptState::Claimed.as_str().to_owned(),
                grace_seconds: Some(75),
                baseline: Some(Baseline::default()),
                ..Attempt::default()
            };
            let claimed = status::claimed(object.status.as_ref(), attempt, "calling", product.wall);
            Some(product.with_status(id, claimed))
        })
        .unwrap()
    }

    /// The object with this outcome recorded; `None` if that changes nothing.
    pub fn recorded(&mut self, id: ObjectId, number: Number, outcome: Outcome) -> Option<ObjectId> {
        self.change(id, Question::Recorded(number, outcome), |product| {
            product.closed(id, &format!("a{number}"), outcome)
        })
    }

    /// The object after an edit of its spec.
    pub fn edited(&mut self, id: ObjectId) -> ObjectId {
        self.change(id, Question::Edited, |product| {
            let mut object = product.object(id).clone();
            object.metadata.generation = object.metadata.generation.map(|generation| generation + 1);
            object.spec.trigger = Some(format!("edit {:?}", object.metadata.generation));
            Some(product.intern(object))
        })
        .unwrap()
    }

    /// The object after a look that showed its redistribution, or that nothing showed in time; `None` if that changes
    /// nothing.
    pub fn observed(&mut self, id: ObjectId, running: bool) -> Option<ObjectId> {
        self.change(id, Question::Observed { running }, |product| {
            let object = product.object(id);
            let (status, generation) = (object.status.clone().unwrap(), object.metadata.generation.unwrap());
            let finding = if running {
                Finding::Run(Phase::Running, None)
            } else {
                Finding::Unseen(Unseen::Unconfirmed, "nothing".to_owned())
            };
            let (next, _) = observed(&status, generation, &finding, product.wall)?;
            Some(product.with_status(id, next))
        })
    }

    /// The object as an old CRD keeps it.
    pub fn pruned(&mut self, id: ObjectId, crd: Crd) -> ObjectId {
        self.change(id, Question::Pruned(crd), |product| {
            let mut status = product.object(id).status.clone().unwrap();
            if crd == Crd::WithoutAttempt {
                status.attempt = None;
                status.history.clear();
            }
            if let Some(attempt) = &mut status.attempt {
                (attempt.grace_seconds, attempt.baseline) = (None, None);
            }
            status.redistribution = None;
            Some(product.with_status(id, status))
        })
        .unwrap()
    }

    /// All of the attempt was kept.
    pub fn is_whole(&self, id: ObjectId) -> bool {
        self.attempt(id).is_some_and(|(_, attempt)| attempt.grace_seconds.is_some())
    }

    /// The object after its claimant has taken back what an old CRD kept of its claim; `None` if that changes nothing.
    pub fn withdrawn(&mut self, id: ObjectId) -> Option<ObjectId> {
        self.change(id, Question::Withdrawn, |product| {
            let object = product.object(id);
            let (status, generation) = (object.status.as_ref().unwrap(), object.metadata.generation.unwrap());
            match status::withdrawn(status, status.attempt.as_ref(), generation, "old", product.wall) {
                Recording::Write(next) => Some(product.with_status(id, *next)),
                Recording::Known | Recording::Replaced => None,
            }
        })
    }

    /// Status says that the CRD was found too old.
    pub fn says_outdated(&self, id: ObjectId) -> bool {
        let conditions = self.object(id).status.iter().flat_map(|status| &status.conditions);
        conditions.into_iter().any(|condition| condition.reason == Reason::CRDOutdated.as_str())
    }

    fn closed(&mut self, id: ObjectId, attempt_id: &str, outcome: Outcome) -> Option<ObjectId> {
        let (state, reason, status_code) = match outcome {
            Outcome::Accepted => (AttemptState::Answered, Reason::Delivered, Some(200)),
            Outcome::Refused => (AttemptState::Answered, Reason::PermissionDenied, Some(403)),
            Outcome::NotSent => (AttemptState::NotSent, Reason::EndpointUnreachable, None),
            Outcome::Unknown => (AttemptState::Unknown, Reason::OutcomeUnknown, None),
        };
        let record = Record {
            state,
            reason,
            message: String::new(),
            status_code,
            error_code: None,
            request_id: None,
            retry_after: None,
        };
        let (object, generation) = (self.object(id), i64::from(self.generation(id)));
        match status::recorded(object.status.as_ref().unwrap(), generation, attempt_id, &record, self.wall) {
            Recording::Write(next) => Some(self.with_status(id, *next)),
            Recording::Known | Recording::Replaced => None,
        }
    }

    fn change(
        &mut self,
        id: ObjectId,
        question: Question,
        answer: impl FnOnce(&mut Self) -> Option<ObjectId>,
    ) -> Option<ObjectId> {
        if let Some(known) = self.changes.get(&(id, question)) {
            return *known;
        }
        let answer = answer(self);
        self.changes.insert((id, question), answer);
        answer
    }

    fn with_status(&mut self, id: ObjectId, status: ClusterRedistributionStatus) -> ObjectId {
        let mut object = self.object(id).clone();
        object.status = Some(status);
        self.intern(object)
    }

    fn intern(&mut self, object: ClusterRedistribution) -> ObjectId {
        let next = ObjectId::try_from(self.objects.len()).unwrap();
        let id = *self.index.entry(serde_json::to_string(&object).unwrap()).or_insert(next);
        if id == next {
            self.objects.push(object);
        }
        id
    }
}
