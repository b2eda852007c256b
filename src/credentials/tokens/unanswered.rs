//! PURE: logins that were sent and had no answer that proves whether the password was right. IAM may have counted each as a
//! wrong password, and five of these lock the user. The clock is an argument.

use std::time::{Duration, Instant};

/// Back-off of a user whose password was never accepted, and may be wrong.
const UNPROVEN_BACK_OFF: Duration = Duration::from_secs(300);
/// First back-off of a user whose password was accepted before; each is four times the previous one.
const FIRST_BACK_OFF: Duration = Duration::from_secs(2);
/// Five wrong passwords within this time lock a user.
const WINDOW: Duration = Duration::from_secs(900);
/// Maximum number of unanswered logins within the window.
const MAX_IN_WINDOW: usize = 4;
/// Maximum exponent of the back-off: beyond it the window is the bound.
const MAX_GROWTH: u32 = 4;

/// Why a login proves nothing about the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureCause {
    /// IAM failed. With the HTTP status.
    Failed(u16),
    /// No answer before the timeout.
    Silent,
    /// An answer that could not be read. With a short description.
    Unreadable(&'static str),
}

/// The unanswered logins of one user since the last login with a conclusive answer.
#[derive(Debug, Default)]
pub struct UnansweredLogins {
    /// Times of the logins within the window, oldest first.
    times: Vec<Instant>,
    why: Option<FailureCause>,
}

impl UnansweredLogins {
    /// Records an unanswered login.
    pub fn add(&mut self, why: FailureCause, now: Instant) {
        self.times.retain(|time| now.saturating_duration_since(*time) < WINDOW);
        self.times.push(now);
        self.why = Some(why);
    }

    /// Records a login with a conclusive answer.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Why a login has to wait now, and for how long. `proven`: the password was accepted before.
    pub fn back_off(&self, proven: bool, now: Instant) -> Option<(FailureCause, Duration)> {
        let (why, last) = (self.why?, *self.times.last()?);
        let exponent =
            u32::try_from(self.times.len()).map_or(u32::MAX, |count| count.saturating_sub(1).min(MAX_GROWTH));
        let pause = if proven { FIRST_BACK_OFF.saturating_mul(4_u32.pow(exponent)) } else { UNPROVEN_BACK_OFF };
        // The first of the last four must be out of the window.
        let window_ends = self.times.iter().rev().nth(MAX_IN_WINDOW - 1).map(|time| *time + WINDOW);
        let wait = window_ends.max(Some(last + pause))?.saturating_duration_since(now);
        (!wait.is_zero()).then_some((why, wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_unproven_user_backs_off_five_minutes_after_each_unanswered_login() {
        let (mut logins, now) = (UnansweredLogins::default(), Instant::now());
        assert_eq!(logins.back_off(false, now), None);
        logins.add(FailureCause::Silent, now);
        assert_eq!(logins.back_off(false, now), Some((FailureCause::Silent, 300 * SECOND)));
        assert_eq!(logins.back_off(false, now + 300 * SECOND), None);
        logins.add(FailureCause::Failed(503), now + 300 * SECOND);
        assert_eq!(logins.back_off(false, now + 300 * SECOND), Some((FailureCause::Failed(503), 300 * SECOND)));
        logins.reset();
        assert_eq!(logins.back_off(false, now + 300 * SECOND), None);
    }

    #[test]
    fn a_user_never_has_five_unanswered_logins_in_fifteen_minutes() {
        for proven in [true, false] {
            let (mut logins, start) = (UnansweredLogins::default(), Instant::now());
            let mut tried = Vec::new();
            for second in 0..7200 {
                if logins.back_off(proven, start + SECOND * second).is_none() {
                    logins.add(FailureCause::Silent, start + SECOND * second);
                    tried.push(second);
                }
            }
            assert!(tried.windows(5).all(|five| five.last() >= five.first().map(|first| first + 900).as_ref()));
            assert!(tried.len() >= 20, "logins continue: {tried:?}");
            assert_eq!(tried.get(1), Some(if proven { &2 } else { &300 }));
        }
    }
}
