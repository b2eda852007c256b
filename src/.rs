//! TODO

pub mod credentials;
