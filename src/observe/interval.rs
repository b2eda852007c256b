//! PURE: the interval to the next poll. Longer without progress, and if a poll takes two reads.

use std::time::Duration;

use super::{Finding, Observe, Stage, Unseen};
use crate::api::Phase;

/// The interval doubles each time this many polls in a row have shown no change.
const POLLS_PER_DOUBLING: u32 = 5;
/// Upper bound of the factor without progress; also the factor while a person has to act.
const SLOW: u32 = 5;
/// The factor if a change without intervention is unlikely.
const SLOWEST: u32 = 15;

/// The pause until the next poll. `unchanged_polls`: polls in a row without a change; `reads`: number of reads of this
/// poll; `jitter` is 0 to 1 and only lengthens, so that no more is read than the administrator allowed.
pub fn pause(
    observe: &Observe,
    stage: Stage,
    finding: &Finding,
    unchanged_polls: u32,
    reads: u32,
    jitter: f64,
) -> Duration {
    let factor = match finding {
        Finding::Run(Phase::Paused, _) | Finding::Unseen(Unseen::NotReadable, _) => SLOW,
        Finding::Run(Phase::Failed, _) => SLOWEST,
        // Until the settle time is over, a user waits for the result.
        _ if stage == Stage::Settling => 1,
        _ => (1 << (unchanged_polls / POLLS_PER_DOUBLING).min(8)).min(SLOW),
    };
    let reads = if stage == Stage::Settling { 1 } else { reads.max(1) };
    observe.every.saturating_mul(factor.max(reads)).mul_f64(1.0 + 0.25 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBSERVE: Observe = Observe { every: Duration::from_secs(60), settle: Duration::from_secs(600) };

    fn seconds(stage: Stage, finding: &Finding, unchanged_polls: u32, reads: u32) -> u64 {
        pause(&OBSERVE, stage, finding, unchanged_polls, reads, 0.0).as_secs()
    }

    #[test]
    fn a_running_object_is_read_at_most_sixty_times_an_hour() {
        let running = Finding::Run(Phase::Running, None);
        for (unchanged_polls, reads) in [(0, 1), (0, 2), (100, 1), (100, 2)] {
            let pause = seconds(Stage::Following, &running, unchanged_polls, reads);
            assert!(pause >= 60 * u64::from(reads), "{pause}");
        }
        assert_eq!(seconds(Stage::Following, &Finding::Nothing, 4, 1), 60);
        assert_eq!(seconds(Stage::Following, &Finding::Nothing, 5, 1), 120);
        assert_eq!(seconds(Stage::Following, &Finding::Nothing, u32::MAX, 1), 300);
    }

    #[test]
    fn the_interval_grows_without_progress_but_not_while_settling() {
        assert_eq!(seconds(Stage::Following, &Finding::Run(Phase::Paused, None), 0, 1), 300);
        assert_eq!(seconds(Stage::Following, &Finding::Run(Phase::Failed, None), 0, 1), 900);
        let denied = Finding::Unseen(Unseen::NotReadable, String::new());
        assert_eq!(seconds(Stage::Following, &denied, 0, 2), 300);
        assert_eq!(seconds(Stage::Settling, &denied, 0, 2), 300);
        assert_eq!(seconds(Stage::Settling, &Finding::Nothing, 100, 2), 60);
    }

    #[test]
    fn jitter_only_lengthens_the_interval() {
        let longest = pause(&OBSERVE, Stage::Following, &Finding::Nothing, 0, 1, 1.0);
        assert_eq!(longest, Duration::from_secs(75));
    }
}
