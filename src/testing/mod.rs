//! What unit tests share.

mod imports;
pub mod mock;
pub mod sample;
