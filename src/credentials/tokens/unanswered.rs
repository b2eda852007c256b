//! PURE: logins that left and brought no answer that tells whether the password was right. Each may have counted as a wrong
//! one, and five of these lock the user. The clock is an argument.

use std::time::{Duration, Instant};

/// How long a user who was never let in rests after one. Perhaps the password is wrong.
const UNPROVEN_RESTS: Duration = Duration::from_secs(300);
/// First pause of a user who had been let in; each is four times the last one.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// Within this long a user is locked by five.
const WINDOW: Duration = Duration::from_secs(900);
/// So many of them in that time, and no more.
const MOST: usize = 4;
/// Beyond this the window bounds the pause.
const MAX_GROWTH: u32 = 4;

/// Why a login tells nothing of the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureCause {
    /// IAM failed. With the HTTP status.
    Failed(u16),
    /// Nothing came in time.
    Silent,
    /// Something that could not be read. In a few words.
    Unreadable(&'static str),
}

/// The lost logins of one user, since the last one that was answered.
#[derive(Debug, Default)]
pub struct UnansweredLogins {
    /// The last ones, oldest first.
    at: Vec<Instant>,
    why: Option<FailureCause>,
}

impl UnansweredLogins {
    /// One more.
    pub fn add(&mut self, why: FailureCause, now: Instant) {
        self.at.retain(|at| now.saturating_duration_since(*at) < WINDOW);
        self.at.push(now);
        self.why = Some(why);
    }

    /// One was answered.
    pub fn end(&mut self) {
        *self = Self::default();
    }

    /// Why nobody logs in now, and for how long. `proven`: the user had been let in.
    pub fn rests(&self, proven: bool, now: Instant) -> Option<(FailureCause, Duration)> {
        let (why, last) = (self.why?, *self.at.last()?);
        let grown = u32::try_from(self.at.len()).map_or(u32::MAX, |count| count.saturating_sub(1).min(MAX_GROWTH));
        let pause = if proven { FIRST_PAUSE.saturating_mul(4_u32.pow(grown)) } else { UNPROVEN_RESTS };
        // Of the last four the first one is to be out of the window.
        let full = self.at.iter().rev().nth(MOST - 1).map(|at| *at + WINDOW);
        let rest = full.max(Some(last + pause))?.saturating_duration_since(now);
        (!rest.is_zero()).then_some((why, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_user_who_was_never_let_in_rests_five_minutes_after_each() {
        let (mut lost, now) = (UnansweredLogins::default(), Instant::now());
        assert_eq!(lost.rests(false, now), None);
        lost.add(FailureCause::Silent, now);
        assert_eq!(lost.rests(false, now), Some((FailureCause::Silent, 300 * SECOND)));
        assert_eq!(lost.rests(false, now + 300 * SECOND), None);
        lost.add(FailureCause::Failed(503), now + 300 * SECOND);
        assert_eq!(lost.rests(false, now + 300 * SECOND), Some((FailureCause::Failed(503), 300 * SECOND)));
        lost.end();
        assert_eq!(lost.rests(false, now + 300 * SECOND), None);
    }

    #[test]
    fn whoever_had_been_let_in_tries_again_soon_but_never_five_times_in_fifteen_minutes() {
        for proven in [true, false] {
            let (mut lost, start) = (UnansweredLogins::default(), Instant::now());
            let mut tried = Vec::new();
            for second in 0..7200 {
                if lost.rests(proven, start + SECOND * second).is_none() {
                    lost.add(FailureCause::Silent, start + SECOND * second);
                    tried.push(second);
                }
            }
            assert!(tried.windows(5).all(|five| five.last() >= five.first().map(|first| first + 900).as_ref()));
            assert!(tried.len() >= 20, "it does go on: {tried:?}");
            assert_eq!(tried.get(1), Some(if proven { &2 } else { &300 }));
        }
    }
}
