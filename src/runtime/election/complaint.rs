//! PURE: when to complain about a trouble that goes on: at once, then once in ten minutes. The clock is an argument.

use std::time::{Duration, Instant};

/// Pause between two complaints about the same trouble.
const PAUSE: Duration = Duration::from_secs(600);

/// See the module.
#[derive(Debug, Default)]
pub struct Throttle {
    said: Option<Instant>,
}

impl Throttle {
    /// What to say now of this trouble; of none, nothing, and the next one is said at once.
    pub fn about(&mut self, trouble: Option<String>, now: Instant) -> Option<String> {
        if trouble.is_none() {
            self.said = None;
            return None;
        }
        if self.said.is_some_and(|said| now.saturating_duration_since(said) < PAUSE) {
            return None;
        }
        self.said = Some(now);
        trouble
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_is_said_at_once_then_every_ten_minutes_and_at_once_again_after_it_was_over() {
        let (start, mut complaint) = (Instant::now(), Throttle::default());
        let mut said = |trouble: bool, second| {
            complaint.about(trouble.then(String::new), start + Duration::from_secs(second)).is_some()
        };
        let heard: Vec<_> = (0..1300).filter(|second| said(true, *second)).collect();
        assert_eq!(heard, [0, 600, 1200]);
        assert!(!said(false, 1300) && said(true, 1301));
    }
}
