//! The number of objects by reason, the objects that need a person, and the redistributions that have stopped. Fed by
//! the watch, which sees every object, finished ones too: sixteen bytes are kept of a finished object, and names only
//! of the few that need a person. Decides nothing, and no decision uses it.

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

/// The reason of an object whose generation the operator has not processed yet.
const PENDING: &str = "Pending";

/// The reason that an object reports for its current generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ReportedReason {
    reason: Reason,
    /// The object proceeds by itself, even under a reason that ends a call: the precheck reported it.
    held: bool,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    reported: Option<ReportedReason>,
    /// Its redistribution has begun and has stopped.
    stopped: Option<Phase>,
    scope: u8,
    /// Alternates from list to list: objects with the old value were not in the latest list.
    list: bool,
    /// The watch has delivered the object, and no reconciliation has started since.
    queued: bool,
}

#[derive(Debug, Default)]
struct Known {
    hasher: RandomState,
    /// By a hash of the uid: a collision makes a count wrong by one.
    objects: HashMap<u64, Entry>,
    stalled: Named,
    stopped: Named,
    lists: HashMap<u8, bool>,
}

/// The objects that the watch has delivered.
#[derive(Debug, Default)]
pub struct Objects {
    known: Mutex<Known>,
    /// Only the leader exports: followers see the same objects, which would then be counted once per replica.
    exported: AtomicBool,
}

impl Objects {
    /// Whether this process leads, and so exports the gauges.
    pub fn export(&self, leads: bool) {
        self.exported.store(leads, Ordering::Relaxed);
    }

    /// The watch delivered an object. `queued`: a reconciliation will process it. `observe`: redistributions are
    /// polled, so that status shows their current state.
    pub fn seen(&self, scope: usize, object: &StoredObject, (queued, observe): (bool, bool)) {
        let mut known = self.known();
        let (key, scope) = (known.key(object), index(scope));
        let invalid = ReportedReason { reason: Reason::ObjectInvalid, held: false };
        let reported = object.object.as_ref().map_or(Some(invalid), reported_reason);
        let stopped = object.object.as_ref().ok().filter(|_| observe).and_then(stopped_phase);
        let list = known.lists.get(&scope).copied().unwrap_or_default();
        known.objects.insert(key, Entry { reported, stopped, scope, list, queued });
        let stalled = reported.filter(|reported| reported.needs_person());
        known.stalled.show(key, object, stalled.map(|reported| reported.reason.as_str()));
        known.stopped.show(key, object, stopped.map(Phase::as_str));
    }

    /// A reconciliation of the object starts.
    pub fn reconcile_started(&self, object: &StoredObject) {
        let mut known = self.known();
        let key = known.key(object);
        if let Some(entry) = known.objects.get_mut(&key) {
            entry.queued = false;
        }
    }

    /// The object was deleted.
    pub fn gone(&self, object: &StoredObject) {
        let mut known = self.known();
        let key = known.key(object);
        known.objects.remove(&key);
        known.stalled.forget(key);
        known.stopped.forget(key);
    }

    /// A list of this watch starts.
    pub fn listing(&self, scope: usize) {
        let mut known = self.known();
        let list = known.lists.entry(index(scope)).or_default();
        *list = !*list;
    }

    /// The list is complete: objects that it did not contain were deleted while no watch was open.
    pub fn listed(&self, scope: usize) {
        let mut known = self.known();
        let (scope, Known { objects, stalled, stopped, lists, .. }) = (index(scope), &mut *known);
        let list = lists.get(&scope).copied().unwrap_or_default();
        objects.retain(|_, entry| entry.scope != scope || entry.list == list);
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
        let queued = known.objects.values().filter(|entry| entry.queued).count();
        let mut depth = encoder.encode_descriptor(
            "workqueue_depth",
            "Objects that the watch has delivered and no reconciliation has started to process",
            None,
            MetricType::Gauge,
        )?;
        gauge(queued).encode(depth.encode_family(&[("name", super::CONTROLLER)])?)?;
        if !self.exported.load(Ordering::Relaxed) {
            return Ok(());
        }

        let count = |keep: fn(ReportedReason) -> bool| {
            let reported = known.objects.values().filter_map(|entry| entry.reported).filter(|reported| keep(*reported));
            counts(reported.map(|reported| reported.reason.as_str()))
        };
        let pending = known.objects.values().filter(|entry| entry.reported.is_none()).count();
        let mut objects = encoder.encode_descriptor(
            "dws_redistribution_objects",
            "Objects by the reason of their condition Ready, Pending until there is one for their generation; exported by the leader only",
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
            "Objects that wait unclaimed, by reason; exported by the leader only",
            None,
            MetricType::Gauge,
        )?;
        for (reason, count) in count(ReportedReason::waits) {
            gauge(count).encode(held.encode_family(&[("reason", reason)])?)?;
        }
        let mut stalled = encoder.encode_descriptor(
            "dws_redistribution_stalled",
            "1 for each object that needs a person; beyond 100 their number, without names; exported by the leader only",
            None,
            MetricType::Gauge,
        )?;
        known.stalled.encode(count(ReportedReason::needs_person), &mut stalled)?;
        let mut stopped = encoder.encode_descriptor(
            "dws_redistribution_stopped",
            "1 for each redistribution that has stopped; beyond 100 a number without names; exported by the leader only",
            None,
            MetricType::Gauge,
        )?;
        let phases = known.objects.values().filter_map(|entry| entry.stopped);
        known.stopped.encode(counts(phases.map(Phase::as_str)), &mut stopped)
    }
}

fn index(scope: usize) -> u8 {
    u8::try_from(scope).unwrap_or(u8::MAX)
}

impl ReportedReason {
    fn waits(self) -> bool {
        self.held || matches!(self.reason.class(), ReasonClass::Blocked | ReasonClass::Stalled)
    }

    fn needs_person(self) -> bool {
        !self.held && matches!(self.reason.class(), ReasonClass::Stalled | ReasonClass::Refused | ReasonClass::Unknown)
    }
}

/// The reason of the condition `Ready`, if that condition is of the current generation.
fn reported_reason(object: &ClusterRedistribution) -> Option<ReportedReason> {
    let conditions = &object.status.as_ref()?.conditions;
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready")?;
    let reason = *Reason::ALL.iter().find(|reason| reason.as_str() == ready.reason)?;
    let generation = object.metadata.generation?;
    let held = is_held_at(conditions, generation, reason.as_str()) && reason.class() != ReasonClass::InFlight;
    (ready.observed_generation == Some(generation)).then_some(ReportedReason { reason, held })
}

/// The phase of a stopped redistribution, from its condition, if that condition is of the current generation.
fn stopped_phase(object: &ClusterRedistribution) -> Option<Phase> {
    let conditions = &object.status.as_ref()?.conditions;
    let condition = condition_at(conditions, REDISTRIBUTED, object.metadata.generation?)?;
    [Phase::Paused, Phase::Failed]
        .into_iter()
        .find(|phase| condition.status == "False" && condition.reason == phase.as_str())
}
