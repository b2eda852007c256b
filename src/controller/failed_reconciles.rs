//! The pauses after reconciliations that failed, and which of the failures to log.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::runtime::{jitter::jittered, write_limit::ThrottledLog};

/// Longest pause after a failure that has not lasted long.
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// Longest pause per object that fails, once failures last long: all of them together then make less than one request a
/// second.
const PAUSE_PER_OBJECT: Duration = Duration::from_secs(4);
/// FailedReconciles that last this long are a long outage; after a shorter one, objects are retried soon.
const LONG_OUTAGE: Duration = Duration::from_secs(300);
/// Longest pause for any number of objects.
const MAX_PAUSE_OF_MANY: Duration = Duration::from_secs(300);
/// An object that has not failed for this long was deleted or waits for something else. Only its count of failures is
/// lost.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(900);

/// The failures in a row, by object uid.
#[derive(Debug, Default)]
pub struct FailedReconciles {
    objects: Mutex<HashMap<String, Failing>>,
    log: Mutex<ThrottledLog>,
}

/// An object whose reconciliations fail.
#[derive(Clone, Copy, Debug)]
struct Failing {
    count: u32,
    since: Instant,
    last: Instant,
}

impl FailedReconciles {
    /// The pause after one more failure in a row of this object: 1 s, doubling, half of it random.
    pub fn pause_after(&self, uid: &str, now: Instant) -> Duration {
        let mut objects = self.objects();
        objects.retain(|_, failing| now.saturating_duration_since(failing.last) < FORGOTTEN_AFTER);
        let new = Failing { count: 0, since: now, last: now };
        let Failing { count, since, .. } = objects.get(uid).copied().unwrap_or(new);
        objects.insert(uid.to_owned(), Failing { count: count.saturating_add(1), since, last: now });
        let is_long = now.saturating_duration_since(since) >= LONG_OUTAGE;
        let all =
            PAUSE_PER_OBJECT.saturating_mul(u32::try_from(objects.len()).unwrap_or(u32::MAX)).min(MAX_PAUSE_OF_MANY);
        let longest = if is_long { MAX_PAUSE.max(all) } else { MAX_PAUSE };
        jittered(Duration::from_secs(1 << count.min(16)).min(longest))
    }

    /// How often in a row reconciliations of this object have failed.
    pub fn count(&self, uid: &str) -> u32 {
        self.objects().get(uid).map_or(0, |failing| failing.count)
    }

    /// A reconciliation of this object succeeded.
    pub fn reset(&self, uid: &str) {
        self.objects().remove(uid);
    }

    /// A failure of this kind occurred. If it is to be logged: how many others of its kind occurred since the last line.
    pub fn to_log(&self, kind: &'static str, now: Instant) -> Option<u64> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).failed(kind, now)
    }

    fn objects(&self) -> MutexGuard<'_, HashMap<String, Failing>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_objects_that_fail_for_long_are_retried_less_than_once_a_second() {
        let (failures, objects) = (FailedReconciles::default(), 50_u32);
        let (begun, each) = (Instant::now(), |now| {
            (0..objects).map(|object| failures.pause_after(&object.to_string(), now)).collect::<Vec<_>>()
        });
        for round in 0..10 {
            let now = begun + Duration::from_secs(30) * round;
            assert!(each(now).iter().all(|pause| *pause <= Duration::from_secs(60)), "an outage may end soon");
        }
        let pauses = each(begun + Duration::from_secs(300));
        assert!(pauses.iter().all(|pause| *pause >= Duration::from_secs(1) * objects), "{pauses:?}");
    }
}
