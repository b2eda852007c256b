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

mod admission;
mod docs;
mod guarantee;
mod install;
mod observe;
mod support;
mod tokens;
