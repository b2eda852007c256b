//! What unit tests share.

pub mod mock;
pub mod sample;
