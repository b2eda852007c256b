//! Does the guarantee hold under every fault at every request, under pairs of them, with an operator that is frozen
//! across its claim, and in a storm of kills? Real API server, real operators as processes, real TLS.
//!
//! | module | question |
//! | --- | --- |
//! | [`mod@bench`] | what do all plans share? |
//! | [`plans`] | which plans exist? |
//! | [`one`], [`scenario`], [`kubelet`] | how is one carried out: what does its user do, what keeps the operator
//! running? |
//! | [`verdict`] | did the properties hold? |
//! | [`many`], [`report`] | how are many carried out and reported? |
//! | [`storm`] | the same for kills at random |
//! | [`endless`] | what does a fault without end cost? |

pub mod bench;
pub mod endless;
pub mod kubelet;
pub mod many;
pub mod one;
pub mod plans;
pub mod report;
pub mod scenario;
pub mod storm;
pub mod verdict;
