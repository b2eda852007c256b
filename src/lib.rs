//! A Kubernetes operator that sends one GaussDB(DWS) redistribution request per spec generation of a
//! `ClusterRedistribution` and writes the result into its status.
//!
//! # The guarantee: at most once
//!
//! For one object uid and one spec generation the operator sends at most one request whose bytes can have reached the
//! cloud. If it saw the generation and could write its claim, it sends exactly one or reports `OutcomeUnknown`. It never
//! sends another request because it does not know what became of one.
//!
//! - Edits faster than a reconcile become one generation's request: the last one's.
//! - A crash between claim and answer ends as `OutcomeUnknown`, even where nothing was sent.
//! - The way forward is always a new spec generation (`spec.trigger`), never a hand-edited annotation or status.
//! - Safety rests on one thing only: the API server's compare-and-swap on the object itself. Leader election, caches,
//!   clocks, admission and rate limits are conveniences; with all of them broken the guarantee still holds.
//!
//! # The way of a request
//!
//! ```text
//! watch --> reconcile: decide (pure) --> task: cluster turn --> place --> endpoint --> credentials --> key check
//!                                          --> credential lock --> precheck --> slot --> Secret again
//!                                          --> fresh read, decide again --> claim --> send --> record --> reconcile
//! ```
//!
//! Each object that a request is due for has one task, which waits for all of this; reconcile never does. The claim is a
//! PUT of status, the send is the one POST, and the record is a PUT of the outcome, again until it is written.
//!
//! # Modules
//!
//! Other programs may use [`api`]. The rest is public for the binary and the tests only and may change.
//!
//! Each module knows only those before it in this order (`testing::imports` checks it):
//!
//! ```text
//! api -> protocol -> runtime -> store | cloud -> credentials -> admission -> precheck, observe -> controller -> cli, main
//! ```
//!
//! | module | holds |
//! | --- | --- |
//! | [`api`] | the resource: spec, status, reasons, CRD |
//! | [`protocol`] | rules (pure), and what this process knows of attempts |
//! | [`runtime`] | the process: Kubernetes client, election, metrics, events, health, logs, clocks, locks, back-off, complete lists |
//! | [`store`] | the only writer of status: claim, read back, record |
//! | [`cloud`] | the only sender: client, signature, outcome, reads, IAM login, health of endpoints |
//! | [`credentials`] | which source an object uses, what it holds, tokens of users |
//! | [`admission`] | whether a request may be sent now: turns of a cluster, concurrency limit, rate limit, lock-out of keys |
//! | [`precheck`] | what a read of the cluster before the request means |
//! | [`observe`] | reads after the request, and what they mean |
//! | [`controller`] | watch, reconcile, the task of a request, reporting |
//! | [`cli`] | flags |

pub mod admission;
#[deny(missing_docs)]
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
