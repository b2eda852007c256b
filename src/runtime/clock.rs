//! The clocks that end a permit to send. The clock of `Instant` stops while the machine is suspended: by it, a request
//! could leave long after other processes let its claim expire.

use std::{sync::Arc, time::Duration};

use k8s_openapi::jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// `CLOCK_BOOTTIME`: it cannot be set, and it advances while the machine is suspended.
    pub since_boot: Duration,
    /// This host's wall clock: after a pause of the whole virtual machine it advances as soon as it is corrected.
    pub wall: Timestamp,
}

impl Reading {
    fn now() -> Self {
        // The conversion cannot fail: the time since boot is not negative.
        let since_boot = clock_gettime(ClockId::Boottime).try_into().unwrap_or_default();
        Self { since_boot, wall: Timestamp::now() }
    }

    /// The longer of both times. A wall clock that was set back proves nothing.
    fn since(&self, earlier: &Self) -> Duration {
        let by_wall = Duration::try_from(self.wall.duration_since(earlier.wall)).unwrap_or_default();
        self.since_boot.saturating_sub(earlier.since_boot).max(by_wall)
    }
}

#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Reading + Send + Sync>);

impl std::fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Clock").field(&self.read()).finish()
    }
}

impl Clock {
    pub fn of_this_host() -> Self {
        Self::new(Reading::now)
    }

    pub fn new(read: impl Fn() -> Reading + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    pub fn read(&self) -> Reading {
        (self.0)()
    }

    /// The end of a time of this length that starts now.
    pub fn deadline(&self, budget: Duration) -> Deadline {
        Deadline { clock: self.clone(), started: self.read(), budget }
    }
}

/// The end of a time that has started.
#[derive(Clone, Debug)]
pub struct Deadline {
    clock: Clock,
    started: Reading,
    budget: Duration,
}

impl Deadline {
    /// Whether the time is over by either clock.
    pub fn is_over(&self) -> bool {
        self.clock.read().since(&self.started) >= self.budget
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
