//! Does the law hold under every fault at every request, under pairs of them, with an operator that is frozen across its
//! claim, and in a storm of kills? Real API server, real operators as processes, real TLS.
//!
//! | room | question |
//! | --- | --- |
//! | [`mod@bench`] | what do all plans share? |
//! | [`plans`] | which are there? |
//! | [`one`], [`scenario`], [`kubelet`] | how is one carried out: by whom is it used, who keeps the operator running? |
//! | [`verdict`] | did the laws hold? |
//! | [`many`], [`report`] | how are many carried out and told? |
//! | [`storm`] | the same for kills at random |
//! | [`endless`] | what does it cost while something is wrong without end? |

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
