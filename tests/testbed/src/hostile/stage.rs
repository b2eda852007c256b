//! The shared base of all attacks of a run: control plane, simulated cloud, built operator, and the figures of an idle
//! one. It attacks nothing.

use std::{path::PathBuf, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{
    measure::{self, Measured},
    tenant::Tenant,
    victim::{MemoryLimit, Setting, Victim},
};
use crate::{
    Failure,
    simulator::Script,
    sweep::{
        bench::Bench,
        scenario::{PROJECT, random_uuid},
    },
};

pub struct Stage {
    pub bench: Bench,
    /// Reduced sizes, for a run of a few minutes.
    pub small: bool,
    /// The chart's memory limit, where it can be imposed.
    pub limit: Option<MemoryLimit>,
    /// The figures of an operator that serves B alone.
    pub idle: Measured,
}

impl Stage {
    /// Starts it with this operator, or with the workspace's own, and measures it idle.
    pub async fn start(operator: Option<PathBuf>, small: bool) -> Result<Self, Failure> {
        let bench = match operator {
            Some(binary) => Bench::with(binary.canonicalize()?).await?,
            None => Bench::start(!cfg!(debug_assertions)).await?,
        };
        let mut stage = Self { bench, small, limit: MemoryLimit::new(), idle: Measured::default() };
        let b = Tenant::with_own_key(&stage).await?;
        let victim = Victim::start(&stage, &[&b], Setting::flags(["--rate-limit=5"])).await?;
        stage.idle = stage.measure(&victim, &b).await?;
        Ok(stage)
    }

    /// A size of an attack, whole or reduced.
    pub fn size(&self, whole: usize, small: usize) -> usize {
        if self.small { small } else { whole }
    }

    /// After this time a call of B counts as never made.
    pub fn patience(&self) -> Duration {
        Duration::from_secs(if self.small { 15 } else { 60 })
    }

    /// Between two objects of B: an attack may need a while to take effect.
    pub fn between(&self) -> Duration {
        Duration::from_millis(if self.small { 300 } else { 2000 })
    }

    /// A new cluster that waits for its redistribution, and its next answer.
    pub fn cluster(&self, script: Option<Script>) -> String {
        let id = random_uuid();
        self.bench.cloud.add_cluster(PROJECT, &id);
        self.bench.cloud.script(&id, script);
        id
    }

    /// Calls of this tenant's key that have arrived.
    pub fn calls_of(&self, tenant: &Tenant) -> usize {
        self.bench.cloud.entries().iter().filter(|entry| entry.access_key == tenant.access_key).count()
    }

    /// All figures at once, for as long as an attack on the whole process lasts.
    pub async fn measure(&self, victim: &Victim, b: &Tenant) -> Result<Measured, Failure> {
        let enough = CancellationToken::new();
        let lasts = Duration::from_secs(if self.small { 8 } else { 30 });
        let (called, livez) = tokio::join!(
            async {
                let (called, ()) = tokio::join!(measure::called(self, b, None), tokio::time::sleep(lasts));
                enough.cancel();
                called
            },
            measure::livez(victim.address, &enough)
        );
        Ok(Measured { called: called?.worst, livez: livez?, peak: victim.peak() })
    }
}
