//! redistribution-operator: delivers a GaussDB(DWS) redistribution, once per request.
//!
//! # The law
//!
//! For one object uid and one spec generation the operator sends at most one request whose bytes can have reached the
//! cloud. If it saw the generation and could write its claim, it sends exactly one or says `OutcomeUnknown`. It never
//! sends again because it does not know.
//!
//! What follows from it:
//!
//! - Edits faster than a reconciliation become one generation's call: the last.
//! - A crash between claim and answer ends as `OutcomeUnknown`, even where nothing was sent.
//! - The way on is always a new spec generation (`spec.trigger`), never a hand-edited annotation or status.
//! - Safety rests on one thing only: the API server's compare-and-swap on the object itself. Leader election, caches,
//!   clocks, the admission and the pace are for tidiness; with all of them broken the law still holds.
//!
//! # Modules
//!
//! Each module knows only those before it in this order:
//!
//! ```text
//! api -> protocol -> runtime -> store | cloud -> credentials -> admission -> precheck, observe -> controller -> cli, main
//! ```

pub mod admission;
pub mod api;
pub mod cli;
pub mod cloud;
pub mod controller;
pub mod credentials;
pub mod observe;
pub mod precheck;
pub mod protocol;
pub mod runtime;
pub mod store;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod testing;
