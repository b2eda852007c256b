//! Documents say what is so.

pub mod documents;
