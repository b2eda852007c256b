//! PURE: what to say of failures that many objects meet again and again: each kind at once, and then every ten minutes while
//! it goes on. The clock is an argument.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Pause between two lines about failures of the same kind.
const PAUSE: Duration = Duration::from_secs(600);
/// A kind that was not met for so long is over, and the next time it is said at once.
const OVER: Duration = Duration::from_secs(180);

/// See the module.
#[derive(Debug, Default)]
pub struct ThrottledLog(HashMap<&'static str, Throttle>);

#[derive(Debug)]
struct Throttle {
    said: Instant,
    met: Instant,
    /// Times it was met since it was said.
    more: u64,
}

impl ThrottledLog {
    /// A failure of this kind was met. Where it is to be said: how many others there were since the last line about it.
    pub fn about(&mut self, kind: &'static str, now: Instant) -> Option<u64> {
        let since = |then: Instant| now.saturating_duration_since(then);
        let (more, is_said) = match self.0.get(kind) {
            Some(known) if since(known.met) < OVER => (known.more, since(known.said) < PAUSE),
            _ => (0, false),
        };
        if is_said {
            self.0.entry(kind).and_modify(|known| (known.met, known.more) = (now, known.more.saturating_add(1)));
            return None;
        }
        self.0.insert(kind, Throttle { said: now, met: now, more: 0 });
        Some(more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_said_at_once_then_every_ten_minutes_and_at_once_after_it_was_over() {
        let (start, mut complaints) = (Instant::now(), ThrottledLog::default());
        let mut said = |kind, second| complaints.about(kind, start + Duration::from_secs(second));
        let heard: Vec<_> = (0..1300).filter_map(|second| said("refused", second).map(|more| (second, more))).collect();
        assert_eq!(heard, [(0, 0), (600, 599), (1200, 599)]);
        assert_eq!((said("unclear", 1300), said("refused", 1300)), (Some(0), None));
        assert_eq!(said("refused", 1300 + 180), Some(0));
    }
}
