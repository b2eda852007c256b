//! The clocks by which the right to send ends. The one that `Instant` reads stands still while the machine is suspended: a
//! request could leave long after others gave its claim up. It decides nothing.

use std::{sync::Arc, time::Duration};

use k8s_openapi::jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// What both clocks say at one time.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// `CLOCK_BOOTTIME`: nobody sets it, and it goes on while the machine is suspended.
    pub since_boot: Duration,
    /// This host's wall clock: it goes on where a whole virtual machine was paused, once that has been corrected.
    pub wall: Timestamp,
}

impl Reading {
    fn now() -> Self {
        // It is later than the start of the machine.
        let since_boot = clock_gettime(ClockId::Boottime).try_into().unwrap_or_default();
        Self { since_boot, wall: Timestamp::now() }
    }

    /// The longer of both. A wall clock that was set back says nothing.
    fn since(&self, earlier: &Self) -> Duration {
        let by_wall = Duration::try_from(self.wall.duration_since(earlier.wall)).unwrap_or_default();
        self.since_boot.saturating_sub(earlier.since_boot).max(by_wall)
    }
}

/// Where both are read.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Reading + Send + Sync>);

impl std::fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Clock").field(&self.read()).finish()
    }
}

impl Clock {
    /// The clocks of this host.
    pub fn of_this_host() -> Self {
        Self::new(Reading::now)
    }

    /// Others, for tests.
    pub fn new(read: impl Fn() -> Reading + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// What they say now.
    pub fn read(&self) -> Reading {
        (self.0)()
    }

    /// This much from now.
    pub fn deadline(&self, budget: Duration) -> Deadline {
        Deadline { clock: self.clone(), started: self.read(), budget }
    }
}

/// The end of a time that has begun.
#[derive(Clone, Debug)]
pub struct Deadline {
    clock: Clock,
    started: Reading,
    budget: Duration,
}

impl Deadline {
    /// Whether either clock says that it has come.
    pub fn is_over(&self) -> bool {
        self.clock.read().since(&self.started) >= self.budget
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
