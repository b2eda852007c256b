//! How many objects there are, by reason, which of them need a person, and whose redistribution stands still. Fed by the
//! watch, which sees every object, finished ones too; of a finished one sixteen bytes are kept, and names only of those few
//! that need somebody. It decides nothing and nobody decides by it.

use std::{
    collections::{HashMap, hash_map::RandomState},
    fmt,
    hash::BuildHasher,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use kube::Resource;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::MetricType,
};

use super::named::{Named, counts, gauge};
use crate::{
    api::{ClusterRedistribution, Phase, Reason, ReasonClass},
    protocol::conditions::{REDISTRIBUTED, condition_at, is_held_at},
    store::object::StoredObject,
};

/// What an object says before its generation was looked at.
const PENDING: &str = "Pending";

/// What an object says of its current generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Said {
    reason: Reason,
    /// It goes on by itself, also under a reason that ends a call: a look before the claim found it.
    held: bool,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    said: Option<Said>,
    /// Its redistribution has begun and stands still.
    stopped: Option<Phase>,
    scope: u8,
    /// Of two lists after one another they differ.
    list: bool,
    /// The watch has shown it, and no reconciliation has begun since.
    queued: bool,
}

#[derive(Debug, Default)]
struct Known {
    hasher: RandomState,
    /// By a hash of the uid: two that collide make a count wrong by one.
    objects: HashMap<u64, Seen>,
    stalled: Named,
    stopped: Named,
    lists: HashMap<u8, bool>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Objects {
    known: Mutex<Known>,
    /// Followers see the same objects; shown by all of them they would be counted as often as there are replicas.
    shown: AtomicBool,
}

impl Objects {
    /// Whether this process leads, and so shows what it sees.
    pub fn show(&self, leads: bool) {
        self.shown.store(leads, Ordering::Relaxed);
    }

    /// The watch shows an object. `queued`: a reconciliation will look at it. `observe`: redistributions are looked at, so that
    /// what status says of one is of now.
    pub fn seen(&self, scope: usize, object: &StoredObject, (queued, observe): (bool, bool)) {
        let mut known = self.known();
        let (key, scope) = (known.key(object), index(scope));
        let invalid = Said { reason: Reason::ObjectInvalid, held: false };
        let said = object.object.as_ref().map_or(Some(invalid), said_of);
        let stopped = object.object.as_ref().ok().filter(|_| observe).and_then(stopped_of);
        let list = known.lists.get(&scope).copied().unwrap_or_default();
        known.objects.insert(key, Seen { said, stopped, scope, list, queued });
        let stalled = said.filter(|said| said.needs_person());
        known.stalled.show(key, object, stalled.map(|said| said.reason.as_str()));
        known.stopped.show(key, object, stopped.map(Phase::as_str));
    }

    /// A reconciliation begins to look at it.
    pub fn begun(&self, object: &StoredObject) {
        let mut known = self.known();
        let key = known.key(object);
        if let Some(seen) = known.objects.get_mut(&key) {
            seen.queued = false;
        }
    }

    /// It was deleted.
    pub fn gone(&self, object: &StoredObject) {
        let mut known = self.known();
        let key = known.key(object);
        known.objects.remove(&key);
        known.stalled.forget(key);
        known.stopped.forget(key);
    }

    /// A list of this watch begins.
    pub fn listing(&self, scope: usize) {
        let mut known = self.known();
        let list = known.lists.entry(index(scope)).or_default();
        *list = !*list;
    }

    /// It is complete: what it did not hold was deleted while no watch was open.
    pub fn listed(&self, scope: usize) {
        let mut known = self.known();
        let (scope, Known { objects, stalled, stopped, lists, .. }) = (index(scope), &mut *known);
        let list = lists.get(&scope).copied().unwrap_or_default();
        objects.retain(|_, seen| seen.scope != scope || seen.list == list);
        for named in [stalled, stopped] {
            named.retain(|key| objects.contains_key(&key));
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn key(&self, object: &StoredObject) -> u64 {
        self.hasher.hash_one(object.meta().uid.as_deref().unwrap_or_default())
    }
}

impl Collector for Objects {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let known = self.known();
        let queued = known.objects.values().filter(|seen| seen.queued).count();
        let mut depth = encoder.encode_descriptor(
            "workqueue_depth",
            "Objects that the watch has shown and no reconciliation has begun to look at",
            None,
            MetricType::Gauge,
        )?;
        gauge(queued).encode(depth.encode_family(&[("name", super::CONTROLLER)])?)?;
        if !self.shown.load(Ordering::Relaxed) {
            return Ok(());
        }

        let count = |keep: fn(Said) -> bool| {
            let said = known.objects.values().filter_map(|seen| seen.said).filter(|said| keep(*said));
            counts(said.map(|said| said.reason.as_str()))
        };
        let pending = known.objects.values().filter(|seen| seen.said.is_none()).count();
        let mut objects = encoder.encode_descriptor(
            "dws_redistribution_objects",
            "Objects by the reason of their condition Ready, Pending before there is one; shown by the leader only",
            None,
            MetricType::Gauge,
        )?;
        for (reason, count) in count(|_| true) {
            gauge(count).encode(objects.encode_family(&[("reason", reason)])?)?;
        }
        if pending > 0 {
            gauge(pending).encode(objects.encode_family(&[("reason", PENDING)])?)?;
        }
        let mut held = encoder.encode_descriptor(
            "dws_redistribution_held_objects",
            "Objects that wait unclaimed, by reason; shown by the leader only",
            None,
            MetricType::Gauge,
        )?;
        for (reason, count) in count(Said::waits) {
            gauge(count).encode(held.encode_family(&[("reason", reason)])?)?;
        }
        let mut stalled = encoder.encode_descriptor(
            "dws_redistribution_stalled",
            "1 for each object that needs a person; beyond 100 their number, without names; shown by the leader only",
            None,
            MetricType::Gauge,
        )?;
        known.stalled.encode(count(Said::needs_person), &mut stalled)?;
        let mut stopped = encoder.encode_descriptor(
            "dws_redistribution_stopped",
            "1 for each redistribution that stands still; beyond 100 a number without names; shown by the leader only",
            None,
            MetricType::Gauge,
        )?;
        let phases = known.objects.values().filter_map(|seen| seen.stopped);
        known.stopped.encode(counts(phases.map(Phase::as_str)), &mut stopped)
    }
}

fn index(scope: usize) -> u8 {
    u8::try_from(scope).unwrap_or(u8::MAX)
}

impl Said {
    fn waits(self) -> bool {
        self.held || matches!(self.reason.class(), ReasonClass::Blocked | ReasonClass::Stalled)
    }

    fn needs_person(self) -> bool {
        !self.held && matches!(self.reason.class(), ReasonClass::Stalled | ReasonClass::Refused | ReasonClass::Unknown)
    }
}

/// The reason of `Ready`, if it speaks of the current generation.
fn said_of(object: &ClusterRedistribution) -> Option<Said> {
    let conditions = &object.status.as_ref()?.conditions;
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready")?;
    let reason = *Reason::ALL.iter().find(|reason| reason.as_str() == ready.reason)?;
    let generation = object.metadata.generation?;
    let held = is_held_at(conditions, generation, reason.as_str()) && reason.class() != ReasonClass::InFlight;
    (ready.observed_generation == Some(generation)).then_some(Said { reason, held })
}

/// How its redistribution stands still, by the condition that tells of it, if that speaks of the current generation.
fn stopped_of(object: &ClusterRedistribution) -> Option<Phase> {
    let conditions = &object.status.as_ref()?.conditions;
    let told = condition_at(conditions, REDISTRIBUTED, object.metadata.generation?)?;
    [Phase::Paused, Phase::Failed].into_iter().find(|phase| told.status == "False" && told.reason == phase.as_str())
}
