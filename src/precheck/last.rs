//! The last precheck of each object: until the next one is due, the same request with the same values is not prechecked
//! again. The clock is an argument.

use std::{collections::HashMap, time::Instant};

use super::{Checked, VALID_FOR};
use crate::{cloud::identity::KeyIdentity, protocol::hold::Hold};

#[derive(Clone, Debug)]
struct Last {
    generation: i64,
    values: KeyIdentity,
    result: Result<Checked, Hold>,
    next: Instant,
}

/// The last prechecks, by object uid.
#[derive(Debug, Default)]
pub struct LastPrechecks(HashMap<String, Last>);

impl LastPrechecks {
    /// The last precheck for this generation with these values, if the next one is not due yet. A hold ends when it is.
    pub fn get(&self, uid: &str, generation: i64, values: KeyIdentity, now: Instant) -> Option<Result<Checked, Hold>> {
        let last = self.0.get(uid).filter(|last| last.generation == generation && last.values == values)?;
        let wait = last.next.saturating_duration_since(now);
        let result = || last.result.clone().map_err(|hold| Hold { retry_after: wait, ..hold });
        (!wait.is_zero()).then(result)
    }

    /// Keeps a precheck until the next one is due.
    pub fn keep(
        &mut self,
        uid: &str,
        (generation, values): (i64, KeyIdentity),
        result: Result<Checked, Hold>,
        now: Instant,
    ) {
        self.0.retain(|_, last| last.next > now);
        let next = now + result.as_ref().map_or_else(|hold| hold.retry_after, |_| VALID_FOR);
        self.0.insert(uid.to_owned(), Last { generation, values, result, next });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::api::Reason;

    #[test]
    fn a_precheck_is_kept_for_its_generation_and_values_until_its_end() {
        let (mut last, now) = (LastPrechecks::default(), Instant::now());
        let (values, other) = (KeyIdentity::from([1; 32]), KeyIdentity::from([2; 32]));
        let passed = Checked { note: None, baseline: None, since: Some(now) };
        last.keep("uid", (1, values), Ok(passed), now);
        let half = now + VALID_FOR / 2;
        assert!(matches!(last.get("uid", 1, values, half), Some(Ok(_))));
        assert!(last.get("uid", 2, values, half).is_none() && last.get("uid", 1, other, half).is_none());
        assert!(last.get("uid", 1, values, now + VALID_FOR).is_none());
        let hour = Duration::from_secs(3600);
        let hold = Hold { reason: Reason::ClusterNotWaiting, message: String::new(), retry_after: hour };
        last.keep("uid", (1, values), Err(hold), now);
        let known = last.get("uid", 1, values, now + hour / 4);
        assert!(matches!(known, Some(Err(Hold { retry_after, .. })) if retry_after == hour / 4 * 3));
        assert!(last.get("uid", 1, values, now + hour).is_none());
        last.keep("another", (1, values), Ok(Checked { note: None, baseline: None, since: None }), now + hour);
        assert_eq!(last.0.len(), 1, "what is over is forgotten");
    }
}
