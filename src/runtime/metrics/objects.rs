//! The number of objects by reason, the objects that need a person, and the redistributions that have stopped. Fed by
//! the watch, which sees every object, finished ones too: sixteen bytes are kept of a finished object, and names only
//! of the few that need a person. No decision uses it.

use std::{
    collections::{BTreeMap, HashMap, hash_map::RandomState},
    fmt,
    hash::BuildHasher,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use parking_lot::Mutex;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder},
    metrics::{MetricType, gauge::ConstGauge},
};

use crate::{
    api::{ClusterRedistribution, Phase, Reason, ReasonClass},
    protocol::conditions::{REDISTRIBUTED, condition_at, is_held_at, reason_at},
};

/// The reason of an object whose generation the operator has not processed yet.
const PENDING: &str = "Pending";
/// Maximum number of series with the name of an object. Each is for a person, who will not read more.
const MAX_NAMED: usize = 100;

#[derive(Debug, Default)]
pub struct Objects(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    hasher: RandomState,
    /// By a hash of the uid: a collision makes a count wrong by one.
    objects: HashMap<u64, Entry>,
    stalled: Named,
    stopped: Named,
    lists: HashMap<u8, u8>,
    /// Only the leader exports: followers see the same objects, which would then be counted once per replica.
    is_exported: bool,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    reported: Option<ReportedReason>,
    /// Its redistribution has begun and has stopped.
    stopped: Option<Phase>,
    scope: u8,
    /// Grows from list to list, also one that breaks off: objects with another value were not in the latest list.
    list: u8,
    /// The watch has delivered the object, and no reconciliation has started since.
    is_queued: bool,
}

#[derive(Clone, Copy, Debug)]
struct ReportedReason {
    reason: Reason,
    /// The object proceeds by itself, even under a reason that ends a call: the precheck reported it.
    is_held: bool,
}

impl Objects {
    pub fn export(&self, leads: bool) {
        self.0.lock().is_exported = leads;
    }

    /// `is_queued`: a reconciliation will process it. `observe`: status shows the current state of redistributions.
    pub fn seen(
        &self,
        scope: usize,
        object: Result<&ClusterRedistribution, &ObjectMeta>,
        (is_queued, observe): (bool, bool),
    ) {
        let mut known = self.0.lock();
        let metadata = object.map_or_else(|metadata| metadata, |object| &object.metadata);
        let (key, scope) = (known.key(metadata), index(scope));
        let invalid = ReportedReason { reason: Reason::ObjectInvalid, is_held: false };
        let reported = object.map_or(Some(invalid), reported_reason);
        let stopped = object.ok().filter(|_| observe).and_then(stopped_phase);
        let list = known.lists.get(&scope).copied().unwrap_or_default();
        known.objects.insert(key, Entry { reported, stopped, scope, list, is_queued });
        let stalled = reported.filter(|reported| reported.needs_person());
        known.stalled.show(key, metadata, stalled.map(ReportedReason::as_str));
        known.stopped.show(key, metadata, stopped.map(Phase::as_str));
    }

    pub fn reconcile_started(&self, object: &ObjectMeta) {
        let mut known = self.0.lock();
        let key = known.key(object);
        if let Some(entry) = known.objects.get_mut(&key) {
            entry.is_queued = false;
        }
    }

    pub fn gone(&self, object: &ObjectMeta) {
        let mut known = self.0.lock();
        let key = known.key(object);
        known.objects.remove(&key);
        known.stalled.0.remove(&key);
        known.stopped.0.remove(&key);
    }

    pub fn listing(&self, scope: usize) {
        let mut known = self.0.lock();
        let list = known.lists.entry(index(scope)).or_default();
        *list = list.wrapping_add(1);
    }

    /// The list is complete: objects that it did not contain were deleted while no watch was open.
    pub fn listed(&self, scope: usize) {
        let (mut known, scope) = (self.0.lock(), index(scope));
        let list = known.lists.get(&scope).copied().unwrap_or_default();
        known.objects.retain(|_, entry| entry.scope != scope || entry.list == list);
        let Known { objects, stalled, stopped, .. } = &mut *known;
        for named in [stalled, stopped] {
            named.0.retain(|key, _| objects.contains_key(key));
        }
    }
}

impl Known {
    fn key(&self, object: &ObjectMeta) -> u64 {
        self.hasher.hash_one(object.uid.as_deref().unwrap_or_default())
    }

    /// The number of objects by the reason that this gives them.
    fn count(&self, reason: impl Fn(&Entry) -> Option<&'static str>) -> Counts {
        let mut counts = Counts::new();
        for reason in self.objects.values().filter_map(reason) {
            *counts.entry(reason).or_default() += 1;
        }
        counts
    }
}

impl Collector for Objects {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let known = self.0.lock();
        let help = "Objects that the watch has delivered and no reconciliation has started to process";
        let queued = known.objects.values().filter(|entry| entry.is_queued).count();
        series(&mut family(&mut encoder, "workqueue_depth", help)?, &[("name", super::CONTROLLER)], queued)?;
        if !known.is_exported {
            return Ok(());
        }
        let help = "Objects by the reason of their condition Ready, Pending until there is one for their generation; exported by the leader only";
        let counts = known.count(|entry| Some(entry.reported.map_or(PENDING, ReportedReason::as_str)));
        by_reason(&mut family(&mut encoder, "dws_redistribution_objects", help)?, counts)?;

        let reported = |keep: fn(ReportedReason) -> bool| {
            known.count(|entry| entry.reported.filter(|reported| keep(*reported)).map(ReportedReason::as_str))
        };
        let help = "Objects that wait unclaimed, by reason; exported by the leader only";
        let counts = reported(ReportedReason::waits);
        by_reason(&mut family(&mut encoder, "dws_redistribution_held_objects", help)?, counts)?;
        let help = "1 for each object that needs a person; beyond 100 their number, without names; exported by the leader only";
        let counts = reported(ReportedReason::needs_person);
        known.stalled.encode(&mut family(&mut encoder, "dws_redistribution_stalled", help)?, counts)?;
        let help = "1 for each redistribution that has stopped; beyond 100 a number without names; exported by the leader only";
        let counts = known.count(|entry| entry.stopped.map(Phase::as_str));
        known.stopped.encode(&mut family(&mut encoder, "dws_redistribution_stopped", help)?, counts)
    }
}

type Counts = BTreeMap<&'static str, usize>;

/// The objects that a gauge shows by name while there are few: namespace, name and reason by the object's key.
#[derive(Debug, Default)]
struct Named(BTreeMap<u64, (String, String, &'static str)>);

impl Named {
    /// Shows the object for this reason from now on, or no longer.
    fn show(&mut self, key: u64, object: &ObjectMeta, reason: Option<&'static str>) {
        let Some(reason) = reason else {
            self.0.remove(&key);
            return;
        };
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let namespace = text(&object.namespace);
        if self.0.contains_key(&key) || self.may_name_one_of(&namespace) {
            self.0.insert(key, (namespace, text(&object.name), reason));
        }
    }

    /// Namespaces share the series: the one with the most gives one up for one with fewer.
    fn may_name_one_of(&mut self, namespace: &str) -> bool {
        if self.0.len() < MAX_NAMED {
            return true;
        }
        let mut counts = HashMap::<&str, usize>::new();
        for (namespace, ..) in self.0.values() {
            *counts.entry(namespace).or_default() += 1;
        }
        let own = counts.get(namespace).copied().unwrap_or_default();
        let Some((fullest, most)) = counts.into_iter().max_by_key(|(_, count)| *count) else { return false };
        let taken = self.0.iter().find(|(_, (namespace, ..))| namespace == fullest).map(|(key, _)| *key);
        most > own + 1 && taken.is_some_and(|key| self.0.remove(&key).is_some())
    }

    /// One series for each object shown by name. The rest of `all` is counted in series without names.
    fn encode(&self, encoder: &mut MetricEncoder<'_>, mut all: Counts) -> Result<(), fmt::Error> {
        for (namespace, name, reason) in self.0.values() {
            series(encoder, &[("namespace", namespace), ("name", name), ("reason", reason)], 1)?;
            all.entry(*reason).and_modify(|count| *count = count.saturating_sub(1));
        }
        for (reason, count) in all.into_iter().filter(|(_, count)| *count > 0) {
            series(encoder, &[("namespace", ""), ("name", ""), ("reason", reason)], count)?;
        }
        Ok(())
    }
}

fn family<'a>(
    encoder: &'a mut DescriptorEncoder<'_>,
    name: &'a str,
    help: &'a str,
) -> Result<MetricEncoder<'a>, fmt::Error> {
    encoder.encode_descriptor(name, help, None, MetricType::Gauge)
}

fn by_reason(encoder: &mut MetricEncoder<'_>, counts: Counts) -> Result<(), fmt::Error> {
    counts.into_iter().try_for_each(|(reason, count)| series(encoder, &[("reason", reason)], count))
}

fn series<const LABELS: usize>(
    encoder: &mut MetricEncoder<'_>,
    labels: &[(&str, &str); LABELS],
    count: usize,
) -> Result<(), fmt::Error> {
    ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX)).encode(encoder.encode_family(labels)?)
}

fn index(scope: usize) -> u8 {
    u8::try_from(scope).unwrap_or(u8::MAX)
}

impl ReportedReason {
    const fn as_str(self) -> &'static str {
        self.reason.as_str()
    }

    fn waits(self) -> bool {
        self.is_held || matches!(self.reason.class(), ReasonClass::Blocked | ReasonClass::Stalled)
    }

    fn needs_person(self) -> bool {
        !self.is_held
            && matches!(self.reason.class(), ReasonClass::Stalled | ReasonClass::Refused | ReasonClass::Unknown)
    }
}

/// The reason of the condition `Ready`, if that condition is of the current generation.
fn reported_reason(object: &ClusterRedistribution) -> Option<ReportedReason> {
    let conditions = &object.status.as_ref()?.conditions;
    let generation = object.metadata.generation?;
    let ready = reason_at(conditions, generation)?;
    let reason = *Reason::ALL.iter().find(|reason| reason.as_str() == ready)?;
    let is_held = is_held_at(conditions, generation, reason.as_str()) && reason.class() != ReasonClass::InFlight;
    Some(ReportedReason { reason, is_held })
}

/// The phase of a stopped redistribution, from its condition, if that condition is of the current generation.
fn stopped_phase(object: &ClusterRedistribution) -> Option<Phase> {
    let conditions = &object.status.as_ref()?.conditions;
    let condition = condition_at(conditions, REDISTRIBUTED, object.metadata.generation?)?;
    [Phase::Paused, Phase::Failed]
        .into_iter()
        .find(|phase| condition.status == "False" && condition.reason == phase.as_str())
}
