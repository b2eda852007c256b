//! redistribution-operator: delivers a GaussDB(DWS) redistribution, once per wish.
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
//!   clocks, the gate and the pace are for tidiness; with all of them broken the law still holds.
//!
//! # The rooms
//!
//! | room | question |
//! | --- | --- |
//! | [`resource`] | what do people apply and read? |
//! | [`annotations`], [`journal`], [`decide`] | PURE: what is asked, what is proven, what is next? |
//! | [`conditions`], [`status`] | PURE: what does status say after that? |
//! | [`memory`] | what does this process remember? |
//! | [`prepare`], [`held`] | is everything right before a claim, and what is said if not? |
//! | [`precheck`], [`observation`] | PURE: what does a look at the cloud prove, before the call and after it? |
//! | [`gate`] | who may call now? |
//! | [`logins`] | which tokens of users are held, and who may fetch one? |
//! | [`ledger`] | the only writer of status |
//! | [`delivery`] | claim, send, record |
//! | [`clock`] | when is it too late to send? |
//! | [`dws`] | the only sender: endpoint, credentials, signature, outcome |
//! | [`view`] | PURE: what do an object's bytes say? |
//! | [`controller`], [`store`], [`context`] | what is watched, and step by step done? |
//! | [`election`] | which of several controllers works? |
//! | [`args`], [`clients`], [`telemetry`], [`events`], [`metrics`], [`admin`], [`watchdog`], [`jitter`], [`complaints`] | the process around it |

pub mod admin;
pub mod annotations;
pub mod args;
pub mod clients;
pub mod clock;
pub mod complaints;
pub mod conditions;
pub mod context;
pub mod controller;
pub mod decide;
pub mod delivery;
pub mod dws;
pub mod election;
pub mod events;
pub mod gate;
pub mod held;
pub mod jitter;
pub mod journal;
pub mod ledger;
pub mod logins;
pub mod memory;
pub mod metrics;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod mock;
pub mod observation;
pub mod precheck;
pub mod prepare;
pub mod resource;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod sample;
pub mod status;
pub mod store;
pub mod telemetry;
pub mod view;
pub mod watchdog;
