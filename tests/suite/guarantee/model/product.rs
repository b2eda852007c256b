//! The product inside the model: every decision and every status comes from the product's own pure modules. Objects are
//! interned, and each answer of the product is computed once.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry},
    jiff::Timestamp,
};
use redistribution_operator::{
    api::{Attempt, AttemptState, Baseline, ClusterRedistribution, ClusterRedistributionStatus, Phase, Reason},
    observe::{self, Finding, Unseen, status::observed},
    protocol::{
        attempts::AttemptTracker,
        conditions::set_at,
        decide::{Now, Rules, Step, decide, journal_invalid},
        journal::{self, Journal},
        regions::Regions,
        transitions::{self, Record, Recording, held_as_lost},
    },
    store::{ReadBack, check_claim, object::StoredObject},
};
use rustc_hash::FxHashMap;
use serde_json::json;

/// What a CRD prunes from status: any of these.
pub mod prunes {
    pub const ATTEMPT: u8 = 1;
    pub const CONDITIONS: u8 = 2;
    pub const STATUS_CODE: u8 = 4;
    pub const HISTORY: u8 = 8;
    pub const OBSERVED_GENERATION: u8 = 16;
    /// Two fields of the attempt.
    pub const A_PART: u8 = 32;
}

/// An interned object.
pub type ObjectId = u16;
/// Number of an attempt; its id is `a<number>`.
pub type Number = u8;
/// The wait for a quiet journal without any attempt.
pub const NO_ATTEMPT: Number = u8::MAX;

/// A controller's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Nothing, or wait.
    Rest,
    /// Write this object.
    Write(ObjectId),
    /// Claim.
    Claim,
    /// Like `Write`, and settles an orphaned open attempt.
    Settle(ObjectId),
    /// Read whether this attempt was carried out.
    Observe(Number),
    /// Try without writing whether the CRD keeps all of status; if it does and the next view still lacks something,
    /// write this object.
    DryRun(ObjectId),
}

/// The outcome of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// 200.
    Accepted,
    /// 403.
    Refused,
    /// Proven unsent.
    NotSent,
    /// Unknown.
    Unknown,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Question {
    Decide { lapsed: bool, abandoned: u8, live: u8, sent: Option<(u8, u8)> },
    Claimed(Number),
    Recorded(Number, Outcome),
    Edited,
    Seen(u8),
    Kept(ObjectId, u8),
    Unmanaged,
    Observed { running: bool },
    Withdrawn(ObjectId),
    Asked,
}

/// What the model asks of an object again and again, read once.
pub struct Facts {
    pub uid: u8,
    pub generation: u8,
    /// Its attempt, with state and status code.
    pub attempt: Option<(Number, AttemptState, Option<i32>)>,
    /// The attempts that it names, as bits.
    pub named: u8,
    /// The identity of an observer's wait on it.
    pub waits_for: Option<Number>,
    pub is_quiet: bool,
    pub is_hidden: bool,
    /// Finished, or reported as held until a person acts.
    pub is_closed: bool,
    /// The status of `Delivered`, and the generation that it speaks of.
    pub delivered: Option<(String, Option<i64>)>,
}

impl Facts {
    fn of(object: &ClusterRedistribution) -> Self {
        let number = |id: &str| id.strip_prefix('a').and_then(|number| number.parse().ok());
        let status = object.status.as_ref();
        let attempt = object
            .attempt()
            .and_then(|attempt| Some((number(&attempt.id)?, attempt.known_state()?, attempt.status_code)));
        let past = status.iter().flat_map(|status| &status.history).filter_map(|past| number(&past.id));
        let named = past.chain(attempt.map(|(number, ..)| number)).fold(0, |bits, number: Number| bits | 1 << number);
        let journal = journal::read(object);
        let mut conditions = status.iter().flat_map(|status| &status.conditions);
        let delivered = conditions.find(|condition| condition.type_ == "Delivered");
        let is_reported = journal::invalid_generation(object) == object.metadata.generation
            && Some(journal::observed_generation(object)) == object.metadata.generation;
        Self {
            uid: object.metadata.uid.as_deref().unwrap().parse().unwrap(),
            generation: u8::try_from(object.metadata.generation.unwrap()).unwrap(),
            attempt,
            named,
            waits_for: match &journal {
                Journal::InFlight(attempt) => Some(number(&attempt.id).unwrap_or(NO_ATTEMPT)),
                Journal::CoolingDown { key, .. } => Some(number(key).unwrap_or(NO_ATTEMPT)),
                _ => None,
            },
            is_quiet: matches!(journal, Journal::CoolingDown { .. }),
            is_hidden: journal::hidden(object).is_some(),
            is_closed: journal::is_finished(object) || (matches!(journal, Journal::Invalid(_)) && is_reported),
            delivered: delivered.map(|condition| (condition.status.clone(), condition.observed_generation)),
        }
    }
}

/// The product. Objects are stored ones, as the API server keeps them, or views, as it shows them.
pub struct Product {
    objects: Vec<ClusterRedistribution>,
    facts: Vec<Facts>,
    index: HashMap<String, ObjectId>,
    moves: FxHashMap<(ObjectId, Question), Move>,
    changes: FxHashMap<(ObjectId, Question), Option<ObjectId>>,
    rules: Rules,
    wall: Timestamp,
    start: Instant,
    ready_is_asked_for: bool,
}

impl Product {
    pub fn new(ready_is_asked_for: bool) -> Self {
        let regions = Regions::new(Some("cn-north-4"), &[], &[]).unwrap();
        let grace = Duration::from_secs(75);
        let rules = Rules { require_not_after: false, hold_reverts: false, grace, regions };
        let wall = "2026-12-01T18:00:00Z".parse().unwrap();
        Self {
            objects: Vec::new(),
            facts: Vec::new(),
            index: HashMap::new(),
            moves: FxHashMap::default(),
            changes: FxHashMap::default(),
            rules,
            wall,
            start: Instant::now(),
            ready_is_asked_for,
        }
    }

    /// A fresh object.
    pub fn create(&mut self, uid: u8) -> ObjectId {
        let mut object =
            ClusterRedistribution::new("request", crate::support::world::spec("e59d6b86-9072-46eb-a996-13f8b44994c1"));
        object.metadata.namespace = Some("team".to_owned());
        object.metadata.uid = Some(uid.to_string());
        object.metadata.generation = Some(1);
        self.intern(object)
    }

    fn object(&self, id: ObjectId) -> &ClusterRedistribution {
        &self.objects[id as usize]
    }

    pub fn facts(&self, id: ObjectId) -> &Facts {
        &self.facts[id as usize]
    }

    pub fn uid(&self, id: ObjectId) -> u8 {
        self.facts(id).uid
    }

    pub fn generation(&self, id: ObjectId) -> u8 {
        self.facts(id).generation
    }

    /// The decision of a controller that sees this object, remembers this, and has waited for the grace or not.
    pub fn next(&mut self, id: ObjectId, lapsed: bool, (abandoned, live): (u8, u8), sent: Option<(u8, u8)>) -> Move {
        let question = Question::Decide { lapsed, abandoned, live, sent };
        if let Some(&known) = self.moves.get(&(id, question)) {
            return known;
        }
        let mut object = self.object(id).clone();
        if !self.ready_is_asked_for {
            with_ready(&mut object, self.wall);
        }
        let mut memory = AttemptTracker::default();
        for number in (0..7).filter(|number| abandoned & (1 << number) != 0) {
            memory.abandon(object.metadata.uid.as_deref().unwrap(), &format!("a{number}"));
        }
        if let Some((uid, generation)) = sent {
            memory.sending(&uid.to_string(), i64::from(generation), self.start);
        }
        memory.note(&object, self.start);
        let waited = if lapsed { Duration::from_secs(3000) } else { Duration::ZERO };
        let step = decide(&object, &memory, &self.rules, Now { wall: self.wall, instant: self.start + waited });
        let generation = object.metadata.generation.unwrap();
        let answer = match step {
            step @ Step::Done if observe::due(&object, &step, self.wall).is_some() => {
                self.facts(id).attempt.map_or(Move::Rest, |(number, ..)| Move::Observe(number))
            }
            Step::Done | Step::Wait(_) | Step::Preview(_) => Move::Rest,
            Step::Hidden(what) => {
                let (uid, message) = (object.metadata.uid.as_deref().unwrap(), journal_invalid(&what));
                let lost = held_as_lost(object.status.as_ref(), (uid, generation), &message, self.wall);
                lost.map_or(Move::Rest, |lost| Move::DryRun(self.with_status(id, lost)))
            }
            Step::Call(_) => Move::Claim,
            Step::Hold { reason, message } => {
                let held = transitions::held(object.status.as_ref(), generation, reason, &message, self.wall);
                held.map_or(Move::Rest, |held| Move::Write(self.with_status(id, held)))
            }
            Step::Retract { attempt_id } => {
                self.closed(id, &attempt_id, Outcome::NotSent).map_or(Move::Rest, Move::Write)
            }
            Step::Expire { attempt_id } => {
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
            let claimed =
                transitions::claimed(object.status.as_ref(), new_attempt(object, number), "calling", product.wall);
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

    /// The object without its status: what a claim is made for.
    pub fn asked(&mut self, id: ObjectId) -> ObjectId {
        self.change(id, Question::Asked, |product| {
            let mut object = product.object(id).clone();
            (object.status, object.metadata.managed_fields) = (None, None);
            Some(product.intern(object))
        })
        .unwrap()
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

    /// The object after a read that showed its redistribution, or after reads that did not show it in time; `None` if
    /// that changes nothing.
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

    /// A view of a stored object under a CRD that prunes this.
    pub fn seen(&mut self, stored: ObjectId, pruned: u8) -> ObjectId {
        self.change(stored, Question::Seen(pruned), |product| {
            let mut object = product.object(stored).clone();
            let mut status = object.status.take().unwrap_or_default();
            prune(&mut status, pruned);
            if pruned & prunes::OBSERVED_GENERATION == 0 && status.observed_generation.is_none() {
                status.observed_generation = Some(-1);
            }
            object.status = Some(status);
            let shown = serde_json::to_string(&object).unwrap();
            Some(product.intern(serde_json::from_str::<StoredObject>(&shown).unwrap().object.unwrap()))
        })
        .unwrap()
    }

    /// The stored object after the status of `next` was written over `stored` under a CRD that prunes this. Managed
    /// fields change by what the API server sees of both under that CRD: it neither adds nor removes a pruned field.
    pub fn kept(&mut self, stored: ObjectId, next: ObjectId, pruned: u8) -> ObjectId {
        self.change(stored, Question::Kept(next, pruned), |product| {
            let mut object = product.object(stored).clone();
            let mut before = object.status.clone().unwrap_or_default();
            let mut after = product.object(next).status.clone().unwrap_or_default();
            prune(&mut before, pruned);
            prune(&mut after, pruned);
            let named = names(&object).into_iter().zip(values(&before).into_iter().zip(values(&after)));
            let named: Vec<_> = named
                .map(|(was, (before, after))| {
                    let (is_gone, is_new) = (before.is_some() && after.is_none(), after.is_some() && before != after);
                    is_new || (was && !is_gone)
                })
                .collect();
            object.metadata.managed_fields = Some(managed_fields(&named));
            object.status = Some(after);
            Some(product.intern(object))
        })
        .unwrap()
    }

    /// The object after its managed fields were emptied.
    pub fn unmanaged(&mut self, stored: ObjectId) -> ObjectId {
        self.change(stored, Question::Unmanaged, |product| {
            let mut object = product.object(stored).clone();
            object.metadata.managed_fields = None;
            Some(product.intern(object))
        })
        .unwrap()
    }

    /// How a view shows a claim that was made on another view.
    pub fn check_claim(&self, written: ObjectId, made_on: ObjectId, number: Number) -> ReadBack {
        let object = self.object(made_on);
        check_claim(self.object(written), object, &new_attempt(object, number))
    }

    /// The object after its claimant has retracted the part of its claim that the reply shows; `None` if that changes
    /// nothing.
    pub fn withdrawn(&mut self, id: ObjectId, reply: ObjectId) -> Option<ObjectId> {
        self.change(id, Question::Withdrawn(reply), |product| {
            let (object, left) = (product.object(id), product.object(reply).attempt());
            // A later view: only if it shows our own attempt.
            if id != reply && object.attempt().is_none_or(|attempt| Some(&attempt.id) != left.map(|left| &left.id)) {
                return None;
            }
            let (status, generation) = (object.status.as_ref().unwrap(), object.metadata.generation.unwrap());
            match transitions::withdrawn(status, left, generation, "old", product.wall) {
                Recording::Write(next) => Some(product.with_status(id, *next)),
                Recording::Known | Recording::Replaced => None,
            }
        })
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
        match transitions::recorded(object.status.as_ref().unwrap(), generation, attempt_id, &record, self.wall) {
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
            self.facts.push(Facts::of(&object));
            self.objects.push(object);
        }
        id
    }
}

fn new_attempt(object: &ClusterRedistribution, number: Number) -> Attempt {
    Attempt {
        id: format!("a{number}"),
        uid: object.metadata.uid.clone().unwrap(),
        generation: object.metadata.generation.unwrap(),
        state: AttemptState::Claimed.as_str().to_owned(),
        closed: Some(false),
        spec_hash: Some(journal::spec_hash(&object.spec)),
        grace_seconds: Some(75),
        baseline: Some(Baseline::default()),
        ..Attempt::default()
    }
}

fn prune(status: &mut ClusterRedistributionStatus, pruned: u8) {
    let lacks = |what: u8| pruned & what != 0;
    if lacks(prunes::ATTEMPT) {
        status.attempt = None;
    }
    if lacks(prunes::CONDITIONS) {
        status.conditions.clear();
    }
    if lacks(prunes::STATUS_CODE) {
        status.status_code = None;
    }
    if lacks(prunes::HISTORY) {
        status.history.clear();
    }
    if lacks(prunes::OBSERVED_GENERATION) {
        status.observed_generation = None;
    }
    if lacks(prunes::A_PART)
        && let Some(attempt) = &mut status.attempt
    {
        (attempt.grace_seconds, attempt.baseline) = (None, None);
        status.redistribution = None;
    }
}

/// The fields that are looked up in managed fields: `conditions`, and these of `attempt`.
const OF_ATTEMPT: [&str; 5] = ["id", "uid", "generation", "state", "closed"];

fn values(status: &ClusterRedistributionStatus) -> Vec<Option<serde_json::Value>> {
    let conditions = (!status.conditions.is_empty()).then(|| json!(status.conditions));
    let attempt = json!(status.attempt);
    let of_attempt = OF_ATTEMPT.iter().map(|field| attempt.get(field).cloned());
    std::iter::once(conditions).chain(of_attempt).collect()
}

fn names(object: &ClusterRedistribution) -> Vec<bool> {
    let fields = object.metadata.managed_fields.as_ref().and_then(|entries| entries.first()?.fields_v1.clone());
    let fields = fields.map(|fields| fields.0).unwrap_or_default();
    let is_named = |path: &str| fields.pointer(path).is_some();
    let of_attempt = OF_ATTEMPT.iter().map(|field| is_named(&format!("/f:status/f:attempt/f:{field}")));
    std::iter::once(is_named("/f:status/f:conditions")).chain(of_attempt).collect()
}

fn managed_fields(named: &[bool]) -> Vec<ManagedFieldsEntry> {
    let mut fields = json!({"f:status": {}});
    for (name, _) in OF_ATTEMPT.iter().zip(&named[1..]).filter(|(_, is_named)| **is_named) {
        fields["f:status"]["f:attempt"][format!("f:{name}")] = json!({});
    }
    if named[0] {
        fields["f:status"]["f:conditions"] = json!({});
    }
    vec![ManagedFieldsEntry { fields_v1: Some(FieldsV1(fields)), ..ManagedFieldsEntry::default() }]
}

/// As seen by a controller that does not check for `Ready`.
fn with_ready(object: &mut ClusterRedistribution, now: Timestamp) {
    let Some(status) = &mut object.status else { return };
    let observed = status.observed_generation.filter(|observed| *observed > 0);
    if let Some(observed) = observed.filter(|_| status.conditions.is_empty()) {
        let _ = set_at(&mut status.conditions, observed, Reason::Throttled, "", now);
    }
}
