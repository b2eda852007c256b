//! Credentials: keys, IAM users and their tokens, and that none of them is seen anywhere.

pub mod credentials;
pub mod iam;
pub mod secrets;
