//! PURE: when to look again. Slower where nothing moves, and where a look takes two reads.

use std::time::Duration;

use super::{Finding, Observe, Stage, Unseen};
use crate::api::Phase;

/// Reads without a change before the pace is halved, again and again.
const MAX_WAIT: u32 = 5;
/// Where nothing moves, or a person has to do something.
const SLOW: u32 = 5;
/// Where it is not likely to change by itself.
const SLOWEST: u32 = 15;

/// The pause until the next look. `unmoved`: looks in a row that showed nothing new; `reads`: reads of this look; `jitter`
/// is 0 to 1 and only lengthens, so that no more is read than the administrator allowed.
pub fn pause(observe: &Observe, stage: Stage, finding: &Finding, unmoved: u32, reads: u32, jitter: f64) -> Duration {
    let factor = match finding {
        Finding::Run(Phase::Paused, _) | Finding::Unseen(Unseen::NotReadable, _) => SLOW,
        Finding::Run(Phase::Failed, _) => SLOWEST,
        // Until the settle time is over, somebody waits for it.
        _ if stage == Stage::Settling => 1,
        _ => (1 << (unmoved / MAX_WAIT).min(8)).min(SLOW),
    };
    let reads = if stage == Stage::Settling { 1 } else { reads.max(1) };
    observe.every.saturating_mul(factor.max(reads)).mul_f64(1.0 + 0.25 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBSERVE: Observe = Observe { every: Duration::from_secs(60), settle: Duration::from_secs(600) };

    fn seconds(stage: Stage, finding: &Finding, unmoved: u32, reads: u32) -> u64 {
        pause(&OBSERVE, stage, finding, unmoved, reads, 0.0).as_secs()
    }

    #[test]
    fn no_running_object_is_read_more_than_sixty_times_an_hour() {
        let running = Finding::Run(Phase::Running, None);
        for (unmoved, reads) in [(0, 1), (0, 2), (100, 1), (100, 2)] {
            let pause = seconds(Stage::Following, &running, unmoved, reads);
            assert!(pause >= 60 * u64::from(reads), "{pause}");
        }
        assert_eq!(seconds(Stage::Following, &Finding::Nothing, 4, 1), 60);
        assert_eq!(seconds(Stage::Following, &Finding::Nothing, 5, 1), 120);
        assert_eq!(seconds(Stage::Following, &Finding::Nothing, u32::MAX, 1), 300);
    }

    #[test]
    fn what_stands_still_is_looked_at_less_and_what_somebody_waits_for_is_not() {
        assert_eq!(seconds(Stage::Following, &Finding::Run(Phase::Paused, None), 0, 1), 300);
        assert_eq!(seconds(Stage::Following, &Finding::Run(Phase::Failed, None), 0, 1), 900);
        let denied = Finding::Unseen(Unseen::NotReadable, String::new());
        assert_eq!(seconds(Stage::Following, &denied, 0, 2), 300);
        assert_eq!(seconds(Stage::Settling, &denied, 0, 2), 300);
        assert_eq!(seconds(Stage::Settling, &Finding::Nothing, 100, 2), 60);
    }

    #[test]
    fn jitter_only_lengthens() {
        let longest = pause(&OBSERVE, Stage::Following, &Finding::Nothing, 0, 1, 1.0);
        assert_eq!(longest, Duration::from_secs(75));
    }
}
