//! All tests on a real control plane, in one binary: it is started once, and each test has a namespace, a cloud and
//! operators of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests fail by panicking, and their names are their documentation"
)]

mod burst;
mod chart;
mod costs;
mod crashes;
mod credentials;
mod deletion;
mod delivery;
mod documents;
mod election;
mod endpoints;
mod generations;
mod gitops;
mod hidden;
mod holds;
mod image;
mod journal;
mod kstatus;
mod loops;
mod many;
mod metrics;
mod model;
mod observations;
mod outage;
mod prechecks;
mod process;
mod progress;
mod proxied;
mod pruned;
mod queue;
mod refusals;
mod release;
mod schema;
mod secrets;
mod signatures;
mod storm;
mod throttled;
mod tokens;
mod upgrade;
mod wire;
mod world;
