//! Shared code of the unit tests.

mod imports;
pub mod mock;
pub mod sample;
