//! The start of nearly every step: a stage, the runner's watch on it, and a running candidate. It measures nothing.

use std::{collections::HashMap, future::Future};

use crate::{
    Failure,
    candidate::{Candidate, Running, Settings},
    objects, process,
    setting::Setting,
    stage::Stage,
    watching::Watching,
};

/// Number of the object that shows that a candidate is running. Its name sorts after all others.
const FIRST: usize = 9_000_000;

/// A stage with a watch on its first place. The watch must end before the API server does.
pub struct Actors<'a> {
    pub watching: Watching,
    pub stage: Stage,
    setting: &'a Setting,
}

impl<'a> Actors<'a> {
    /// No candidate runs yet.
    pub async fn new(setting: &'a Setting) -> Result<Self, Failure> {
        let stage = Stage::new().await?;
        let watching = Watching::open(&stage.client, &stage.place).await?;
        Ok(Self { watching, stage, setting })
    }

    /// Starts a candidate and does not wait for it.
    pub async fn start(&self, candidate: Candidate, settings: &Settings) -> Result<Running, Failure> {
        Running::start(candidate, &self.setting.programs, &self.stage, &self.stage.place, settings).await
    }

    /// Starts a candidate and waits until it has served an object, so that its one-time work is done.
    pub async fn at_work(&self, candidate: Candidate, settings: &Settings) -> Result<Running, Failure> {
        let running = self.start(candidate, settings).await?;
        objects::create(&self.stage.client, &self.stage.place, FIRST).await?;
        explained(&running, self.watching.settled_at(FIRST)).await?;
        Ok(running)
    }

    /// Calls that arrived for an object after the first one.
    pub fn duplicates(&self) -> f64 {
        let mut calls = HashMap::<String, usize>::new();
        for entry in self.stage.cloud.entries() {
            // A rate-limit refusal is no second delivery.
            if !entry.outcome.as_deref().is_some_and(|outcome| outcome.starts_with("429")) {
                *calls.entry(entry.cluster).or_default() += 1;
            }
        }
        process::as_float(calls.values().map(|count| count - 1).sum::<usize>() as u64)
    }
}

/// Awaits the future; on failure, adds the candidate's last output to the error.
pub async fn explained<T>(running: &Running, what: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    what.await.map_err(|error| format!("{error}; {}", running.last_output()).into())
}
