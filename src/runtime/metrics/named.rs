//! Gauges that show objects by name while there are few, and by number beyond that. They decide nothing.

use std::{collections::BTreeMap, fmt};

use kube::ResourceExt;
use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder},
    metrics::gauge::ConstGauge,
};

use crate::store::object::StoredObject;

/// Maximum number of series with the name of an object. Each is for a person, who will not read more.
const MAX_NAMED: usize = 100;

/// The objects that the gauge shows by name: namespace, name and reason by the object's key.
#[derive(Debug, Default)]
pub struct Named(BTreeMap<u64, (String, String, &'static str)>);

impl Named {
    /// From now on the gauge shows the object for this reason; `None`: it does not show the object.
    pub fn show(&mut self, key: u64, object: &StoredObject, reason: Option<&'static str>) {
        match reason {
            None => self.forget(key),
            Some(reason) if self.0.len() < MAX_NAMED || self.0.contains_key(&key) => {
                self.0.insert(key, (object.namespace().unwrap_or_default(), object.name_any(), reason));
            }
            Some(_) => {}
        }
    }

    /// The object was deleted.
    pub fn forget(&mut self, key: u64) {
        self.0.remove(&key);
    }

    /// Only these objects still exist.
    pub fn retain(&mut self, exists: impl Fn(u64) -> bool) {
        self.0.retain(|key, _| exists(*key));
    }

    /// One series for each object shown by name. The rest of `all` (objects by reason) is counted in series without
    /// names.
    pub fn encode(
        &self,
        mut all: BTreeMap<&'static str, usize>,
        encoder: &mut MetricEncoder<'_>,
    ) -> Result<(), fmt::Error> {
        for (namespace, name, reason) in self.0.values() {
            let labels = [("namespace", namespace.as_str()), ("name", name.as_str()), ("reason", *reason)];
            gauge(1).encode(encoder.encode_family(&labels)?)?;
            all.entry(*reason).and_modify(|count| *count = count.saturating_sub(1));
        }
        for (reason, count) in all.into_iter().filter(|(_, count)| *count > 0) {
            gauge(count).encode(encoder.encode_family(&[("namespace", ""), ("name", ""), ("reason", reason)])?)?;
        }
        Ok(())
    }
}

/// The number of objects by reason.
pub fn counts(reasons: impl Iterator<Item = &'static str>) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for reason in reasons {
        *counts.entry(reason).or_default() += 1;
    }
    counts
}

/// The value of a series.
pub fn gauge(count: usize) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX))
}
